//! The head of a request: what a source asks for, and who it says it is. No IO.
//!
//! Sources speak HTTP/1.0, HTTP/1.1 and Icecast's older `SOURCE /path ICE/1.0`, so the first line is read here and only
//! the fields after it by httparse. Whatever could be read in two ways is refused.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use httparse::{EMPTY_HEADER, Header};

use super::body::Body;

/// Most bytes of a head.
pub const LONGEST: usize = 8 * 1024;
const MOST_FIELDS: usize = 64;
const TLS_HANDSHAKE: u8 = 0x16;

/// A request without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// What is wanted.
    pub method: Method,
    /// Decoded, without the query; `*` if the server itself is meant.
    pub path: String,
    /// What stands after the `?`, as it came. It may hold a password: not for logs.
    pub query: String,
    /// False for HTTP/1.0 and what is older.
    pub http_1_1: bool,
    /// Absent if nobody logs in.
    pub login: Option<Login>,
    /// Nothing of the body will come before `100 Continue`.
    pub expects_continue: bool,
    /// The browser's way to send a stream.
    pub wants_websocket: bool,
    /// How the body arrives, before its first byte.
    pub body: Body,
}

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A stream, the way of HTTP.
    Put,
    /// A stream, sent by tools that know no PUT.
    Post,
    /// A stream, the way of Icecast before 2.4.
    Source,
    /// A title, or a listener who is wrong here.
    Get,
    /// What can be done here.
    Options,
    /// Nothing a source does.
    Other,
}

/// A user and a password, as they came.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Not always UTF-8.
    pub user: Vec<u8>,
    /// Never logged: this type has no `Debug` of it.
    pub password: Vec<u8>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = String::from_utf8_lossy(&self.user);
        f.debug_struct("Login")
            .field("user", &user)
            .finish_non_exhaustive()
    }
}

/// What is wrong with a head. It quotes nothing: the first line of Shoutcast's protocol is a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The first byte is one of a handshake.
    #[error("this port speaks plain HTTP and the encoder began with TLS; turn TLS (SSL) off there")]
    Tls,
    /// The first line is none of HTTP.
    #[error("this is no HTTP request; set the encoder's server type to Icecast 2 (not Shoutcast)")]
    NotHttp,
    /// It has no end.
    #[error("the request's head is longer than 8 KiB")]
    TooLong,
    /// A field that is none, or one that is continued on the next line.
    #[error("the request's head has a line that is no header field")]
    Field,
    /// More than we count.
    #[error("the request's head has more than 64 fields")]
    TooManyFields,
    /// A path with control characters, or none.
    #[error("the request's path is not one")]
    Path,
    /// Twice, or twice in different words.
    #[error("the request says more than once who sends it, or how long it is")]
    Ambiguous,
    /// Neither a number of bytes nor `chunked`.
    #[error("the request says neither a length in bytes nor Transfer-Encoding: chunked")]
    Length,
}

/// The head at the beginning of `arrived`, and how many bytes it takes; `None` while its end has not arrived.
pub fn parse(arrived: &[u8]) -> Result<Option<(Head, usize)>, Malformed> {
    let blank = arrived
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count();
    let text = &arrived[blank..];
    if text.first() == Some(&TLS_HANDSHAKE) {
        return Err(Malformed::Tls);
    }
    let too_long = arrived.len() >= LONGEST;
    let Some(line_feed) = text.iter().take(LONGEST).position(|&byte| byte == b'\n') else {
        // Audio without a head has no line break for a long time.
        let text_so_far = text.iter().all(|&byte| byte >= b' ' || byte == b'\r');
        return if too_long || !text_so_far {
            Err(Malformed::NotHttp)
        } else {
            Ok(None)
        };
    };
    let line = text[..line_feed]
        .strip_suffix(b"\r")
        .unwrap_or(&text[..line_feed]);
    let request = RequestLine::read(line)?;
    let fields = &text[line_feed + 1..];
    let mut room = [EMPTY_HEADER; MOST_FIELDS];
    match httparse::parse_headers(fields, &mut room) {
        Ok(httparse::Status::Complete((length, fields))) if blank + line_feed + length < LONGEST => {
            Ok(Some((request.with(fields)?, blank + line_feed + 1 + length)))
        }
        Ok(httparse::Status::Partial) if !too_long => Ok(None),
        Ok(_) => Err(Malformed::TooLong),
        Err(httparse::Error::TooManyHeaders) => Err(Malformed::TooManyFields),
        Err(_) => Err(Malformed::Field),
    }
}

/// Bytes with their `%41` undone. What is no such thing stays as it is: titles come with bare percent signs.
#[must_use]
pub fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let code = match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => u8::try_from(high * 16 + low).ok(),
            _ => None,
        };
        decoded.push(code.unwrap_or(byte));
        at += if code.is_some() { 3 } else { 1 };
    }
    decoded
}

struct RequestLine {
    method: Method,
    path: String,
    query: String,
    http_1_1: bool,
}

impl RequestLine {
    fn read(line: &[u8]) -> Result<Self, Malformed> {
        let mut words = line.split(|&byte| byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Malformed::NotHttp);
        };
        let http_1_1 = match version {
            b"HTTP/1.1" => true,
            b"HTTP/1.0" | b"ICE/1.0" => false,
            _ => return Err(Malformed::NotHttp),
        };
        let method = match method {
            b"PUT" => Method::Put,
            b"POST" => Method::Post,
            b"SOURCE" => Method::Source,
            b"GET" => Method::Get,
            b"OPTIONS" => Method::Options,
            other if !other.is_empty() && other.iter().all(u8::is_ascii_alphabetic) => Method::Other,
            _ => return Err(Malformed::NotHttp),
        };
        let target = std::str::from_utf8(target).map_err(|_| Malformed::Path)?;
        let local = without_authority(target);
        let (path, query) = local.split_once('?').unwrap_or((local, ""));
        let path = String::from_utf8(percent_decoded(path.as_bytes())).map_err(|_| Malformed::Path)?;
        let known = path == "*" || path.starts_with('/');
        if !known || path.chars().any(char::is_control) || query.chars().any(char::is_control) {
            return Err(Malformed::Path);
        }
        Ok(Self {
            method,
            path,
            query: query.to_owned(),
            http_1_1,
        })
    }

    fn with(self, fields: &[Header]) -> Result<Head, Malformed> {
        let only = |name| only(fields, name);
        let authorization = only("authorization")?;
        let body = match (only("transfer-encoding")?, only("content-length")?) {
            (Some(_), Some(_)) => return Err(Malformed::Ambiguous),
            (Some(coding), None) if is(coding, "chunked") => Body::chunked(),
            (Some(coding), None) if is(coding, "identity") => Body::Endless,
            (Some(_), None) => return Err(Malformed::Length),
            // Icecast lets no length end such a stream, and encoders of its time send any.
            (None, Some(_)) if self.method == Method::Source => Body::Endless,
            (None, Some(length)) => Body::Length(number(length)?),
            (None, None) => Body::Endless,
        };
        Ok(Head {
            method: self.method,
            path: self.path,
            query: self.query,
            http_1_1: self.http_1_1,
            login: authorization.map(login),
            expects_continue: says(fields, "expect", "100-continue"),
            wants_websocket: says(fields, "upgrade", "websocket"),
            body,
        })
    }
}

/// A proxy's form of a target has the server in front.
fn without_authority(target: &str) -> &str {
    let Some(rest) = target.strip_prefix("http://") else {
        return target;
    };
    rest.find('/').map_or("/", |slash| &rest[slash..])
}

fn only<'a>(fields: &[Header<'a>], name: &str) -> Result<Option<&'a [u8]>, Malformed> {
    let mut values = fields
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case(name))
        .map(|field| field.value);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Malformed::Ambiguous),
        (value, None) => Ok(value),
    }
}

fn says(fields: &[Header], name: &str, value: &str) -> bool {
    let named = |field: &&Header| field.name.eq_ignore_ascii_case(name);
    fields.iter().filter(named).any(|field| is(field.value, value))
}

fn is(value: &[u8], word: &str) -> bool {
    value.trim_ascii().eq_ignore_ascii_case(word.as_bytes())
}

fn number(value: &[u8]) -> Result<u64, Malformed> {
    let digits = value.trim_ascii();
    // `parse` would take a sign.
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed::Length);
    }
    let text = std::str::from_utf8(digits).map_err(|_| Malformed::Length)?;
    text.parse().map_err(|_| Malformed::Length)
}

/// What cannot be read is a login that opens nothing.
fn login(authorization: &[u8]) -> Login {
    let nobody = Login {
        user: Vec::new(),
        password: Vec::new(),
    };
    let value = authorization.trim_ascii();
    let (scheme, code) = value.split_at(value.len().min("basic ".len()));
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return nobody;
    }
    let Ok(pair) = STANDARD.decode(code.trim_ascii()) else {
        return nobody;
    };
    match pair.iter().position(|&byte| byte == b':') {
        Some(colon) => Login {
            user: pair[..colon].to_vec(),
            password: pair[colon + 1..].to_vec(),
        },
        None => nobody,
    }
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
