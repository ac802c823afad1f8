//! The path of a passthrough Mount: one path, or with `*` as many as its Secret has keys. No IO.

use std::fmt;

use crate::text::{InvalidText, StreamPath, fits_into_path};

/// Longest key that may stand for the `*`.
const LONGEST_KEY: usize = 40;

/// A path with or without a `*` in its last part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    before: String,
    after: Option<String>,
}

impl PathPattern {
    /// The path of a passthrough Mount.
    pub fn parse(field: &str, text: &str) -> Result<Self, InvalidText> {
        let invalid = |rule: &str| InvalidText {
            field: field.to_owned(),
            rule: rule.to_owned(),
        };
        if text.len() > 64 {
            return Err(invalid("must have at most 64 characters"));
        }
        let Some((before, after)) = text.split_once('*') else {
            return Ok(Self::exact(StreamPath::with_ending(field, text)?.as_str()));
        };
        if after.contains(['*', '/']) {
            return Err(invalid("must have at most one '*', in its last part"));
        }
        StreamPath::with_ending(field, &format!("{before}x{after}"))?;
        Ok(Self {
            before: before.to_owned(),
            after: Some(after.to_owned()),
        })
    }

    /// A path that stands for itself.
    #[must_use]
    pub fn exact(path: &str) -> Self {
        Self {
            before: path.to_owned(),
            after: None,
        }
    }

    /// The path itself, if there is no `*` in it.
    #[must_use]
    pub fn as_exact(&self) -> Option<&str> {
        self.after.is_none().then_some(self.before.as_str())
    }

    /// The path with `key` for the `*`, if that makes one.
    #[must_use]
    pub fn with(&self, key: &str) -> Option<StreamPath> {
        let after = self.after.as_deref()?;
        if key.is_empty() || key.len() > LONGEST_KEY || !fits_into_path(key) {
            return None;
        }
        StreamPath::with_ending("key", &format!("{}{key}{after}", self.before)).ok()
    }

    /// Whether some path is one of both, whatever keys there are now: a new key must not take a path from another Mount.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        match (&self.after, &other.after) {
            (None, None) => self.before == other.before,
            (Some(after), None) => stands_for(&self.before, after, &other.before),
            (None, Some(after)) => stands_for(&other.before, after, &self.before),
            (Some(after), Some(other_after)) => {
                let front = rest_of_longer(&self.before, &other.before, |a, b| a.strip_prefix(b));
                let back = rest_of_longer(after, other_after, |a, b| a.strip_suffix(b));
                front.is_some_and(fits_into_path) && back.is_some_and(fits_into_path)
            }
        }
    }
}

fn stands_for(before: &str, after: &str, path: &str) -> bool {
    path.strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after))
        .is_some_and(|key| !key.is_empty() && fits_into_path(key))
}

/// What the longer of two texts has more than the shorter, if `strip` can take that one away.
fn rest_of_longer<'a>(
    a: &'a str,
    b: &'a str,
    strip: fn(&'a str, &'a str) -> Option<&'a str>,
) -> Option<&'a str> {
    if a.len() >= b.len() {
        strip(a, b)
    } else {
        strip(b, a)
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.after {
            Some(after) => write!(formatter, "{}*{after}", self.before),
            None => formatter.write_str(&self.before),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> PathPattern {
        PathPattern::parse("spec.path", text).unwrap()
    }

    #[test]
    fn what_is_a_pattern() {
        for good in ["/mic.opus", "/mic-*.opus", "/*.mp3", "/city/hall/a*b.flac"] {
            assert_eq!(pattern(good).to_string(), good);
        }
        for bad in [
            "/mic",
            "/mic-*",
            "/mic.wav",
            "/*-*.opus",
            "/*/mic.opus",
            "/mic.op*us",
            "/-*.opus",
            "/admin/*.opus",
            "mic-*.opus",
            &format!("/{}*.opus", "a".repeat(60)),
        ] {
            assert!(PathPattern::parse("spec.path", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_stands_for_the_star() {
        let mics = pattern("/city/mic-*.opus");
        assert_eq!(mics.with("7").unwrap().as_str(), "/city/mic-7.opus");
        assert_eq!(pattern("/*.mp3").with("a_b").unwrap().as_str(), "/a_b.mp3");
        for bad in ["", "A", "a.b", "a/b", "..", "ä", "#{x}", &"a".repeat(41)] {
            assert_eq!(mics.with(bad), None, "{bad}");
        }
        // A path may not begin with it.
        assert_eq!(pattern("/*.mp3").with("-a"), None);
        assert_eq!(pattern("/mic.mp3").with("a"), None);
    }

    #[test]
    fn patterns_that_may_meet() {
        for (a, b, meet) in [
            ("/mic.opus", "/mic.opus", true),
            ("/mic.opus", "/mic.mp3", false),
            ("/mic-*.opus", "/mic-7.opus", true),
            ("/mic-*.opus", "/mic-.opus", false),
            ("/mic-*.opus", "/mic-7.mp3", false),
            ("/mic-*.opus", "/city/mic-7.opus", false),
            ("/mic-*.opus", "/mic-*.opus", true),
            ("/mic-*.opus", "/m*.opus", true),
            ("/mic-*.opus", "/*-studio.opus", true),
            ("/*-hall.opus", "/*hall.opus", true),
            ("/mic-*.opus", "/mic-a*.opus", true),
            ("/mic-*.opus", "/mic-*.mp3", false),
            ("/*.opus", "/city/*.opus", false),
            ("/a*.opus", "/b*.opus", false),
        ] {
            let (a, b) = (pattern(a), pattern(b));
            assert_eq!(a.overlaps(&b), meet, "{a} {b}");
            assert_eq!(b.overlaps(&a), meet, "{b} {a}");
        }
        // Of outputs only those that look like one.
        assert!(pattern("/mic-*.opus").overlaps(&PathPattern::exact("/mic-7.opus")));
        assert!(!pattern("/mic-*.opus").overlaps(&PathPattern::exact("/mic-7.hq.opus")));
        assert!(!pattern("/mic-*.opus").overlaps(&PathPattern::exact("/mic-7/studio")));
    }
}
