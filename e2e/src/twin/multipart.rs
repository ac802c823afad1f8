//! R2's rules about what a body lists: parts that are all equal but the last, and no more than 1,000 keys. Pure.

use std::collections::BTreeMap;

use super::refusal::Refusal;

/// "Object part sizes must be at least 5MiB".
const SMALLEST: u64 = 5 * 1024 * 1024;
/// As S3 has it.
const BATCH: usize = 1000;

/// What a store says of an upload's parts, one page of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Bytes by number.
    pub sizes: BTreeMap<u32, u64>,
    /// After which number the next page begins.
    pub next: Option<u32>,
}

/// Reads an answer to `ListParts`.
#[must_use]
pub fn parts(xml: &str) -> Parts {
    let sizes = elements(xml, "Part")
        .filter_map(|part| Some((number(part, "PartNumber")?, number(part, "Size")?)))
        .collect();
    let truncated = elements(xml, "IsTruncated").next() == Some("true");
    let next = truncated.then(|| number(xml, "NextPartNumberMarker")).flatten();
    Parts { sizes, next }
}

/// Which parts a request to complete lists.
#[must_use]
pub fn listed(xml: &str) -> Vec<u32> {
    elements(xml, "Part")
        .filter_map(|part| number(part, "PartNumber"))
        .collect()
}

/// Whether R2 deletes all that a request lists: up to 1,000 keys.
pub fn check_batch(xml: &str) -> Result<(), Refusal> {
    if elements(xml, "Key").count() <= BATCH {
        return Ok(());
    }
    Err(Refusal::new(
        400,
        "MalformedXML",
        "The XML you provided was not well formed or did not validate against our published schema.",
    ))
}

/// Whether R2 makes an object of parts of these sizes.
pub fn check(sizes: &[u64]) -> Result<(), Refusal> {
    let Some((last, others)) = sizes.split_last() else {
        return Ok(());
    };
    let Some(first) = others.first() else {
        return Ok(());
    };
    if others.iter().any(|size| *size < SMALLEST) {
        return Err(Refusal::new(
            400,
            "EntityTooSmall",
            "Your proposed upload is smaller than the minimum allowed object size.",
        ));
    }
    if others.iter().any(|size| size != first) || last > first {
        return Err(Refusal::new(
            400,
            "InvalidPart",
            "All non-trailing parts must have the same length.",
        ));
    }
    Ok(())
}

fn number<T: std::str::FromStr>(xml: &str, name: &str) -> Option<T> {
    elements(xml, name).next()?.trim().parse().ok()
}

/// The contents of every element of a name. Enough for what S3 says, where no element has attributes but the outermost.
fn elements<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (inner, after) = after.split_once(&close)?;
        rest = after;
        Some(inner)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn parts_must_be_equal_but_the_last() {
        for sizes in [
            &[][..],
            &[1],
            &[5 * MIB, 1],
            &[5 * MIB, 5 * MIB],
            &[6 * MIB, 6 * MIB, 5],
        ] {
            assert_eq!(check(sizes), Ok(()), "{sizes:?}");
        }
        for (sizes, code) in [
            (&[5 * MIB, 6 * MIB][..], "InvalidPart"),
            (&[6 * MIB, 5 * MIB, 1], "InvalidPart"),
            (&[5 * MIB - 1, 5], "EntityTooSmall"),
        ] {
            assert_eq!(check(sizes).unwrap_err().code, code, "{sizes:?}");
        }
    }

    #[test]
    fn lists_of_parts_are_read() {
        let xml = "<ListPartsResult xmlns=\"x\"><PartNumberMarker>0</PartNumberMarker><IsTruncated>true</IsTruncated>\
                   <NextPartNumberMarker>2</NextPartNumberMarker>\
                   <Part><PartNumber>1</PartNumber><ETag>a</ETag><Size>7</Size></Part>\
                   <Part><Size>3</Size><PartNumber>2</PartNumber></Part></ListPartsResult>";
        assert_eq!(
            parts(xml),
            Parts {
                sizes: BTreeMap::from([(1, 7), (2, 3)]),
                next: Some(2)
            }
        );
        assert_eq!(listed(xml), [1, 2]);
        assert_eq!(parts("nonsense"), Parts::default());
    }
}
