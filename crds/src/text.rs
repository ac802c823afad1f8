//! What users may write into names and free text, as CEL rules with messages a person understands. No IO.
//!
//! CEL instead of `pattern`: the API server answers a failed pattern with the bare regular expression.

use kube::core::Rule;

/// Free text that ends up in players, in Icecast's pages and in Liquidsoap.
pub(crate) fn one_line() -> Rule {
    Rule::new(r"!self.matches('[\\p{Cc}\\x{2028}\\x{2029}\\x{FFFE}\\x{FFFF}<>]|#\\{')").message(
        "must be one line without control characters, '<', '>' or '#{': \
         players, Icecast and Liquidsoap could take these for markup or code",
    )
}

/// A web address for people.
pub(crate) fn web_address() -> Rule {
    Rule::new(r"self.matches('^https?://[A-Za-z0-9][A-Za-z0-9._~:/?#@!$&()*+,;=%-]*$')")
        .message("must be an address that starts with http:// or https://, other characters than those of a URL percent-encoded")
}

/// A host name (RFC 1123).
pub(crate) fn host_name() -> Rule {
    Rule::new(r"self.matches('^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$')")
        .message("must be a host name such as radio.example.org: lower-case letters, digits, '-' and '.'")
}

/// A container image.
pub(crate) fn image() -> Rule {
    Rule::new(r"self.matches('^[A-Za-z0-9][A-Za-z0-9._:/@-]*$')")
        .message("must be an image reference such as registry.example.org/radio/icecast:1.2")
}

/// The name of a Kubernetes object.
pub(crate) fn object_name() -> Rule {
    Rule::new(r"self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')")
        .message("must be the name of an object: lower-case letters, digits, '-' and '.', a letter or digit at both ends")
}

/// A key of a `ConfigMap`.
pub(crate) fn config_map_key() -> Rule {
    Rule::new(r"self.matches('^[A-Za-z0-9._-]+$')")
        .message("must be a ConfigMap key: letters, digits, '-', '_' and '.'")
}

/// A key of a Secret.
pub(crate) fn secret_key() -> Rule {
    Rule::new(r"self.matches('^[A-Za-z0-9._-]+$')")
        .message("must be a key of a Secret: letters, digits, '-', '_' and '.'")
}

/// Whom a source logs in as.
pub(crate) fn user_name() -> Rule {
    Rule::new(r"self.matches('^[A-Za-z0-9._@-]+$')")
        .message("must be letters, digits, '.', '_', '@' and '-': encoders ask for no others")
}

/// The size of a volume.
pub(crate) fn volume_size() -> Rule {
    Rule::new(r"self.matches('^[1-9][0-9]{0,5}(Mi|Gi|Ti)$')")
        .message("must be a whole number of Mi, Gi or Ti, such as 10Gi")
}

/// Bytes a second.
pub(crate) fn byte_rate() -> Rule {
    Rule::new(r"self.matches('^[1-9][0-9]{0,5}(Ki|Mi|Gi)$')")
        .message("must be bytes a second as a whole number of Ki, Mi or Gi, such as 2Mi")
}

/// A length of time.
pub(crate) fn duration() -> Rule {
    Rule::new(r"self.matches('^[1-9][0-9]{0,4}(s|m|h)$')")
        .message("must be a whole number of s, m or h, such as 90s, 2m or 6h")
}

/// After how long a silence something is over. What is no duration breaks another rule.
pub(crate) fn silence() -> Rule {
    Rule::new(
        r"!self.matches('^[1-9][0-9]{0,4}(s|m|h)$')
          || (duration(self) >= duration('5s') && duration(self) <= duration('1h'))",
    )
    .message("must be at least 5s and at most 1h")
}

/// How long something may get. What is no duration breaks another rule.
pub(crate) fn length() -> Rule {
    Rule::new(
        r"!self.matches('^[1-9][0-9]{0,4}(s|m|h)$')
          || (duration(self) >= duration('1m') && duration(self) <= duration('24h'))",
    )
    .message("must be at least 1m and at most 24h")
}

/// A length of time that may be none.
pub(crate) fn span() -> Rule {
    Rule::new(r"self.matches('^(0s|[1-9][0-9]{0,4}(s|m|h))$')")
        .message("must be 0s or a whole number of s, m or h, such as 90s or 15m")
}

/// How long before and after a slot. What is no length of time breaks another rule.
pub(crate) fn margin() -> Rule {
    Rule::new(r"!self.matches('^[1-9][0-9]{0,4}(s|m|h)$') || duration(self) <= duration('4h')")
        .message("must be at least 0s and at most 4h")
}

/// How long a slot is. What is no duration breaks another rule.
pub(crate) fn slot_length() -> Rule {
    Rule::new(
        r"!self.matches('^[1-9][0-9]{0,4}(s|m|h)$')
          || (duration(self) >= duration('1m') && duration(self) <= duration('20h'))",
    )
    .message("must be at least 1m and at most 20h: with its overrun it has to fit into one recording")
}

/// For how long something is kept.
pub(crate) fn age() -> Rule {
    Rule::new(r"self.matches('^[1-9][0-9]{0,4}(s|m|h|d)$')")
        .message("must be a whole number of s, m, h or d, such as 24h or 90d")
}

/// Times that come again and again. Whether such a time exists is for the operator to say.
pub(crate) fn cron() -> Rule {
    Rule::new(r"self.matches('^[0-9A-Za-z*,/#-]+( +[0-9A-Za-z*,/#-]+){4}$')").message(
        "must be five parts with spaces between them: minute, hour, day of the month, month, day of the week, such as \
         '0 20 * * FRI'",
    )
}

/// The name of a zone.
pub(crate) fn time_zone() -> Rule {
    Rule::new(r"self.matches('^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*){0,2}$')")
        .message("must be the IANA name of a time zone such as Europe/Berlin")
}

/// Whom a presenter logs in as: a key of a Secret, too.
pub(crate) fn presenter_name() -> Rule {
    Rule::new(r"self.matches('^[A-Za-z0-9][A-Za-z0-9._-]*$')")
        .message("must be letters, digits, '.', '_' and '-', beginning with a letter or digit: it is a key of a Secret, too")
}

/// Names for people.
pub(crate) fn each_one_line() -> Rule {
    Rule::new(r"self.all(name, !name.matches('[\\p{Cc}\\x{2028}\\x{2029}\\x{FFFE}\\x{FFFF}<>]|#\\{'))")
        .message(
            "must be names of one line each, without control characters, '<', '>' or '#{': \
         players, Icecast and Liquidsoap could take these for markup or code",
        )
}

/// Names of entries in one of our own lists.
pub(crate) fn each_entry_name() -> Rule {
    Rule::new(r"self.all(name, name.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$'))").message(
        "must be names of inputs: lower-case letters, digits and '-', a letter or digit at both ends",
    )
}

/// A chat of a messenger.
pub(crate) fn chat() -> Rule {
    Rule::new(r"self.matches('^(-?[0-9]{1,20}|@[A-Za-z0-9_]{1,63})$')")
        .message("must be the number of a chat such as -1001234567890, or a channel such as @my_station")
}

/// The URL of a server, and nothing below it.
pub(crate) fn server_address() -> Rule {
    Rule::new(r"self.matches('^https?://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?/?$')")
        .message("must be the address of a server such as https://s3.example.org: http:// or https://, a host name and perhaps a port")
}

/// The name of a bucket.
pub(crate) fn bucket() -> Rule {
    Rule::new(r"self.matches('^[a-z0-9][a-z0-9.-]*[a-z0-9]$')")
        .message("must be the name of a bucket: lower-case letters, digits, '-' and '.', a letter or digit at both ends")
}

/// Where in a bucket.
pub(crate) fn key_prefix() -> Rule {
    Rule::new(r"self.matches('^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$')").message(
        "must be parts of letters, digits, '.', '_' and '-', with '/' between them, none beginning with '.'",
    )
}

/// Where a store is, in its own words.
pub(crate) fn region() -> Rule {
    Rule::new(r"self.matches('^[a-z0-9-]+$')").message(
        "must be the name of a region such as auto or eu-central-1: lower-case letters, digits and '-'",
    )
}

/// The name of a Recording: its Jobs and their labels are named after it.
pub(crate) fn recording_name() -> Rule {
    Rule::new(r"self.metadata.name.matches('^[a-z]([a-z0-9-]{0,50}[a-z0-9])?$')").message(
        "metadata.name must have at most 52 characters: lower-case letters, digits and '-', beginning with a letter \
         and not ending in '-', because Jobs are named after it",
    )
}

/// The name of an entry in one of our own lists.
pub(crate) fn entry_name() -> Rule {
    Rule::new(r"self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')")
        .message("must be lower-case letters, digits and '-', a letter or digit at both ends")
}

/// The last part of the path an output is heard at.
pub(crate) fn output_name() -> Rule {
    Rule::new(r"self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')")
        .message("must be lower-case letters, digits, '-' and '.', a letter or digit at both ends")
}

/// Icecast answers these endings itself, whatever is mounted there.
pub(crate) fn not_an_icecast_page() -> Rule {
    Rule::new(r"!self.matches('(^|[.])(xsl|m3u|xspf|vclt)$')")
        .message("must not end in xsl, m3u, xspf or vclt: Icecast answers those addresses itself")
}

/// The address of a Mount on its Station.
pub(crate) fn mount_path() -> Rule {
    Rule::new(
        r"self.matches('^(/[a-z0-9][a-z0-9_-]*){1,4}$') ||
          self.matches('^(/[a-z0-9][a-z0-9_-]*){0,3}/([a-z0-9][a-z0-9_-]*[*]?|[*])[a-z0-9_-]*[.](opus|ogg|flac|mp3|aac)$')",
    )
    .message(
        "must be a path such as /live: one to four parts of lower-case letters, digits, '-' and '_', \
         each after a '/' and beginning with a letter or digit; with passthrough such as /mic.opus or /mic-*.opus, \
         ending in .opus, .ogg, .flac, .mp3 or .aac, with at most one '*', in the last part",
    )
}

/// Icecast keeps `/admin` for itself.
pub(crate) fn not_under_admin() -> Rule {
    Rule::new(r"self != '/admin' && !self.startsWith('/admin/')")
        .message("must not be /admin or under it: Icecast uses it itself")
}

/// A directory inside a volume.
pub(crate) fn directory_in_volume() -> Rule {
    Rule::new(r"!self.startsWith('/') && !self.matches('(^|/)[.][.](/|$)|\\p{Cc}')")
        .message("must be a directory inside the volume: no leading '/', no '..', no control characters")
}

/// The name of a Station or Mount itself: Services and labels are named after it.
pub(crate) fn resource_name() -> Rule {
    Rule::new(r"self.metadata.name.matches('^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$')").message(
        "metadata.name must have at most 40 characters: lower-case letters, digits and '-', beginning with a letter \
         and not ending in '-', because Services are named after it",
    )
}

/// The name of a Show: its Secret and labels are named after it.
pub(crate) fn show_name() -> Rule {
    Rule::new(r"self.metadata.name.matches('^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$')").message(
        "metadata.name must have at most 40 characters: lower-case letters, digits and '-', beginning with a letter \
         and not ending in '-', because its Secret and the labels of its recordings are named after it",
    )
}

/// The name of a Station or Mount, in another object.
pub(crate) fn name_of_resource() -> Rule {
    Rule::new(r"self.matches('^[a-z]([a-z0-9-]*[a-z0-9])?$')").message(
        "must be a name: lower-case letters, digits and '-', beginning with a letter and not ending in '-'",
    )
}

/// A reference that is fixed when the object is made.
pub(crate) fn immutable_station() -> Rule {
    Rule::new("self == oldSelf")
        .message("stationRef is immutable: to move to another Station, delete this Mount and make a new one")
}

/// The same for the Mount of a Show.
pub(crate) fn immutable_mount() -> Rule {
    Rule::new("self == oldSelf")
        .message("mountRef is immutable: to move to another Mount, delete this Show and make a new one")
}
