//! What people wrote, checked once more and given a type: an object may have been stored before a rule of its CRD
//! existed, and what reaches Icecast, Liquidsoap and pod specs must be what it seems. No IO.

use std::fmt;

use thiserror::Error;

/// Text that breaks a rule. The text itself is not repeated: it may be long, or hostile.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field} {rule}")]
pub struct InvalidText {
    /// Path of the field.
    pub field: String,
    /// The rule, as what the field has to do.
    pub rule: String,
}

fn invalid(field: &str, rule: impl Into<String>) -> InvalidText {
    InvalidText {
        field: field.to_owned(),
        rule: rule.into(),
    }
}

macro_rules! checked_text {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    )*};
}

checked_text! {
    /// One line of free text for listeners.
    Line
    /// A web address.
    WebAddress
    /// A host name.
    HostName
    /// A container image.
    ImageName
    /// The name of a Station or Mount, fit for Services and labels.
    ObjectName
    /// The path an output is heard at.
    StreamPath
    /// The path a source connects to.
    SourcePath
    /// Whom a source logs in as.
    UserName
    /// The name of an object of any kind.
    ResourceName
    /// A key of a `ConfigMap`.
    ConfigMapKey
    /// A key of a Secret.
    SecretKey
    /// The name of an entry in a list of ours.
    EntryName
    /// A directory inside a volume.
    VolumeDirectory
}

impl Line {
    /// At most `longest` characters on one line, and nothing that markup or Liquidsoap could take for its own.
    pub fn parse(field: &str, text: &str, longest: usize) -> Result<Self, InvalidText> {
        if text.is_empty() || text.chars().count() > longest {
            return Err(invalid(field, format!("must have 1 to {longest} characters")));
        }
        let strange = |c: char| {
            c.is_control() || matches!(c, '<' | '>' | '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}')
        };
        if text.contains(strange) || text.contains("#{") {
            return Err(invalid(
                field,
                "must be one line without control characters, '<', '>' or '#{'",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl WebAddress {
    /// `http://` or `https://`, in URL characters.
    pub fn parse(field: &str, text: &str) -> Result<Self, InvalidText> {
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"))
            .unwrap_or_default();
        let fits = |c: char| c.is_ascii_alphanumeric() || "._~:/?#@!$&()*+,;=%-".contains(c);
        if !rest.starts_with(|c: char| c.is_ascii_alphanumeric())
            || !rest.chars().all(fits)
            || text.len() > 200
        {
            return Err(invalid(
                field,
                "must be an http:// or https:// address of at most 200 URL characters",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl HostName {
    /// RFC 1123.
    pub fn parse(field: &str, text: &str) -> Result<Self, InvalidText> {
        if text.len() > 253 || !text.split('.').all(|part| is_label(part) && part.len() <= 63) {
            return Err(invalid(field, "must be a host name such as radio.example.org"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl ImageName {
    /// What a container runtime may be asked for; whether it is there, the kubelet tells.
    pub fn parse(field: &str, text: &str) -> Result<Self, InvalidText> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._:/@-".contains(c);
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !begins || !text.chars().all(fits) || text.len() > 512 {
            return Err(invalid(
                field,
                "must be an image reference such as registry.example.org/radio/icecast:1.2",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl ObjectName {
    /// Short enough for the children's names, and a Service's first letter.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let begins = text.starts_with(|c: char| c.is_ascii_lowercase());
        if !begins || !is_label(text) || text.len() > radio_crds::MAX_NAME_LENGTH {
            let longest = radio_crds::MAX_NAME_LENGTH;
            return Err(invalid(
                "metadata.name",
                format!(
                    "must be at most {longest} lower-case letters, digits and '-', beginning with a letter"
                ),
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Whether a text may be anywhere in a part of a path.
#[must_use]
pub fn fits_into_path(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c))
}

/// One to four parts, none of them Icecast's own.
fn check_path(field: &str, path: &str, longest: usize) -> Result<(), InvalidText> {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()) && fits_into_path(part)
    };
    let parts: Vec<&str> = path
        .strip_prefix('/')
        .map(|rest| rest.split('/').collect())
        .unwrap_or_default();
    if !(1..=4).contains(&parts.len()) || !parts.iter().all(|text| part(text)) || path.len() > longest {
        return Err(invalid(
            field,
            format!("must be a path such as /live, of one to four parts and at most {longest} characters"),
        ));
    }
    if parts[0] == "admin" {
        return Err(invalid(
            field,
            "must not be /admin or under it: Icecast uses it itself",
        ));
    }
    Ok(())
}

impl SourcePath {
    /// `path` of a Mount and the `name` of its input.
    pub fn parse(field: &str, path: &str, name: &EntryName) -> Result<Self, InvalidText> {
        check_path(field, path, 64)?;
        Ok(Self(format!("{path}/{name}")))
    }

    /// Where it is sent to is where it is heard.
    #[must_use]
    pub fn through(path: &StreamPath) -> Self {
        Self(path.0.clone())
    }
}

impl UserName {
    /// What encoders ask for, and HTTP basic authentication can carry.
    pub fn parse(field: &str, text: &str) -> Result<Self, InvalidText> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._@-".contains(c);
        if text.is_empty() || text.len() > 64 || !text.chars().all(fits) {
            return Err(invalid(
                field,
                "must have users of 1 to 64 letters, digits, '.', '_', '@' and '-'",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl StreamPath {
    /// A whole path with an ending that names its format.
    pub fn with_ending(field: &str, text: &str) -> Result<Self, InvalidText> {
        let ending = text
            .rsplit_once('.')
            .filter(|(_, ending)| ["opus", "ogg", "flac", "mp3", "aac"].contains(ending));
        let Some((path, _)) = ending else {
            return Err(invalid(field, "must end in .opus, .ogg, .flac, .mp3 or .aac"));
        };
        check_path(field, path, 128)?;
        Ok(Self(text.to_owned()))
    }

    /// `path` of a Mount and the `name` of its output.
    pub fn parse(field: &str, path: &str, name: &str) -> Result<Self, InvalidText> {
        check_path(field, path, 64)?;
        if name.len() > 16 || !name.split('.').all(is_label) {
            return Err(invalid(
                "spec.outputs",
                "must have names of 1 to 16 lower-case letters, digits, '-' and '.'",
            ));
        }
        Ok(Self(format!("{path}.{name}")))
    }
}

impl ResourceName {
    /// RFC 1123 subdomain.
    pub fn parse(field: &str, text: &str) -> Result<Self, InvalidText> {
        if text.len() > 253 || !text.split('.').all(is_label) {
            return Err(invalid(
                field,
                "must be the name of an object: lower-case letters, digits, '-' and '.'",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// What Kubernetes allows as a key, which is also a file name.
fn is_key(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=253).contains(&text.len()) && text.chars().all(fits) && !text.starts_with("..") && text != "."
}

impl SecretKey {
    /// As for a `ConfigMap`.
    pub fn parse(field: &str, text: &str) -> Result<Self, InvalidText> {
        if !is_key(text) {
            return Err(invalid(
                field,
                "must name keys of Secrets: letters, digits, '-', '_' and '.'",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl ConfigMapKey {
    /// What Kubernetes allows as a key, which is also a file name.
    pub fn parse(field: &str, text: &str) -> Result<Self, InvalidText> {
        if !is_key(text) {
            return Err(invalid(
                field,
                "must be a ConfigMap key: letters, digits, '-', '_' and '.'",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl EntryName {
    /// Short enough to be part of a volume's name.
    pub fn parse(field: &str, text: &str) -> Result<Self, InvalidText> {
        if text.len() > 40 || !is_label(text) {
            return Err(invalid(
                field,
                "must be 1 to 40 lower-case letters, digits and '-'",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl VolumeDirectory {
    /// Stays inside the volume.
    pub fn parse(field: &str, text: &str) -> Result<Self, InvalidText> {
        let strange = text.chars().any(char::is_control) || text.is_empty() || text.len() > 255;
        if strange || text.starts_with('/') || text.split('/').any(|part| part == "..") {
            return Err(invalid(
                field,
                "must be a directory inside the volume: no leading '/', no '..'",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Something nobody may see: not in logs, not in errors, not in a debugger's output of what holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// 32 letters and digits: 190 bits.
    #[must_use]
    pub fn random() -> Self {
        use rand::{RngExt, distr::Alphanumeric};
        Self(
            rand::rng()
                .sample_iter(Alphanumeric)
                .take(32)
                .map(char::from)
                .collect(),
        )
    }

    /// `None` unless it can be sent in HTTP basic authentication and written into XML.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let fits = !text.is_empty() && text.len() <= 256 && !text.chars().any(char::is_control);
        fits.then(|| Self(text.to_owned()))
    }

    /// The password, for those who write it where it is needed.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let long = "x".repeat(200);
        for good in [
            "a",
            "Söder & Söhne \"live\" 'n' 🎙️",
            long.as_str(),
            "#1 {hits}",
            "-",
        ] {
            assert_eq!(Line::parse("spec.title", good, 200).unwrap().as_str(), good);
        }
        let longer = "x".repeat(201);
        for bad in [
            "",
            &longer,
            "a\nb",
            "a\rb",
            "\"/><mount>",
            "#{system(\"id\")}",
            "a\0b",
            "a\u{85}b",
            "a\u{2028}b",
        ] {
            assert!(Line::parse("spec.title", bad, 200).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_field_and_not_the_text() {
        let error = Line::parse("spec.title", "<script>", 200)
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "spec.title must be one line without control characters, '<', '>' or '#{'"
        );
    }

    #[test]
    fn web_addresses_and_hosts() {
        assert!(WebAddress::parse("w", "https://radio.example.org/live?x=1&y=%20").is_ok());
        for bad in [
            "radio.example.org",
            "https://",
            "javascript:alert(1)",
            "https://a b",
            "https://a\"b",
            "https://<",
        ] {
            assert!(WebAddress::parse("w", bad).is_err(), "{bad}");
        }
        assert!(HostName::parse("h", "radio.example.org").is_ok());
        for bad in [
            "",
            "radio..org",
            "Radio.org",
            "-a.org",
            "a-.org",
            "a_b.org",
            "a.org/",
            &"a".repeat(64),
        ] {
            assert!(HostName::parse("h", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_and_images() {
        assert!(ObjectName::parse("radio-1").is_ok());
        for bad in ["", "1radio", "radio.one", "radio-", "Radio", &"r".repeat(41)] {
            assert!(ObjectName::parse(bad).is_err(), "{bad}");
        }
        assert!(ImageName::parse("i", "localhost/radio/icecast:abc@sha256:12").is_ok());
        for bad in ["", " a", "a b", "-a", "a\n"] {
            assert!(ImageName::parse("i", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn stream_paths() {
        assert_eq!(
            StreamPath::parse("p", "/city/live_1", "hq.mp3").unwrap().as_str(),
            "/city/live_1.hq.mp3"
        );
        for (path, name) in [
            ("live", "mp3"),
            ("/", "mp3"),
            ("/Live", "mp3"),
            ("/live.mp3", "mp3"),
            ("/a/b/c/d/e", "mp3"),
            ("/../etc", "mp3"),
            ("/admin", "mp3"),
            ("/admin/stats", "mp3"),
            ("/live", ""),
            ("/live", "mp3."),
            ("/live", "a..b"),
            ("/live", "UPPER"),
            ("/live", "12345678901234567"),
        ] {
            assert!(StreamPath::parse("p", path, name).is_err(), "{path} {name}");
        }
        assert!(StreamPath::parse("p", "/administration", "mp3").is_ok());
    }

    #[test]
    fn paths_of_sources() {
        let name = EntryName::parse("n", "studio").unwrap();
        assert_eq!(
            SourcePath::parse("p", "/city/live", &name).unwrap().as_str(),
            "/city/live/studio"
        );
        assert!(SourcePath::parse("p", "/admin", &name).is_err());
        assert!(SourcePath::parse("p", "/live.mp3", &name).is_err());
        assert!(StreamPath::with_ending("p", "/city/mic-7.opus").is_ok());
        for bad in [
            "/mic",
            "/mic.wav",
            "/.opus",
            "mic.opus",
            "/a/.opus",
            "/-mic.opus",
            "/mic-*.opus",
            "/admin/mic.opus",
            "/admin.opus",
            "/mic.hq.opus",
        ] {
            assert!(StreamPath::with_ending("p", bad).is_err(), "{bad}");
        }
        assert!(UserName::parse("u", "anna.b@example.org").is_ok());
        for bad in ["", "anna:x", "an na", "änna", &"a".repeat(65)] {
            assert!(UserName::parse("u", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_mounts_name() {
        assert!(ResourceName::parse("n", "my-music.v1").is_ok());
        assert!(ConfigMapKey::parse("k", "Fallback_1.ogg").is_ok());
        assert!(EntryName::parse("e", "night").is_ok());
        assert!(VolumeDirectory::parse("d", "night/Ruhige Stücke").is_ok());
        for bad in ["", "a/b", "A", "-a", "a..b"] {
            assert!(ResourceName::parse("n", bad).is_err(), "{bad}");
            assert!(EntryName::parse("e", bad).is_err(), "{bad}");
        }
        for bad in ["", "a/b", "..", "..a", ".", "a b"] {
            assert!(ConfigMapKey::parse("k", bad).is_err(), "{bad}");
            assert!(SecretKey::parse("k", bad).is_err(), "{bad}");
        }
        for bad in ["", "/etc", "..", "a/../../b", "a\nb"] {
            assert!(VolumeDirectory::parse("d", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn passwords_stay_hidden() {
        let password = Password::random();
        assert_eq!(password.reveal().len(), 32);
        assert_ne!(password, Password::random());
        assert_eq!(format!("{password:?}"), "Password(…)");
        assert_eq!(
            Password::parse("hüte & \"<".as_bytes()).unwrap().reveal(),
            "hüte & \"<"
        );
        for bad in [&b""[..], b"a\nb", b"\xff", &[b'x'; 257]] {
            assert!(Password::parse(bad).is_none(), "{bad:?}");
        }
    }
}
