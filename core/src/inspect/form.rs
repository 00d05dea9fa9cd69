//! Forms: which parameters a body holds, for servers that read query and form as one.
//!
//! What is found is more than any server reads: it is only compared with names that
//! must not stand there.

use super::json::{PACKED, is_utf_8};
use crate::request::{Ambiguity, Headers, Parameter, decoded_leniently};

const CHARSET: Ambiguity = Ambiguity::new("form-charset", "policy reads the form, and its charset is not UTF-8");
const LARGE: Ambiguity = Ambiguity::new("form-too-many", "policy reads the form, and it holds more than 10,000 parameters");

const MOST: usize = 10_000;

/// A form as its content type declares it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// `application/x-www-form-urlencoded`.
    Encoded,
    /// `multipart/form-data`.
    Multipart,
}

impl Form {
    /// What a server could take the body for.
    #[must_use]
    pub fn declared(headers: &Headers) -> Option<Self> {
        let names = |word: &str| headers.all("content-type").any(|value| String::from_utf8_lossy(value).to_ascii_lowercase().contains(word));
        let multipart = || names("form-data").then_some(Self::Multipart);
        if names("form-urlencoded") { Some(Self::Encoded) } else { multipart() }
    }

    /// Whether a parameter in the body could be `known` to some server.
    /// # Errors
    /// A content coding, another charset, or more than 10,000 parameters.
    pub fn holds(self, headers: &Headers, body: &[u8], known: &str) -> Result<bool, Ambiguity> {
        if headers.get("content-encoding").is_some() {
            return Err(PACKED);
        }
        if !headers.all("content-type").all(|value| String::from_utf8_lossy(value).split(';').skip(1).all(is_utf_8)) {
            return Err(CHARSET);
        }
        let text = String::from_utf8_lossy(body);
        let names = match self {
            Self::Encoded => encoded(&text),
            Self::Multipart => multipart(&text)?,
        };
        if names.len() > MOST { Err(LARGE) } else { Ok(names.into_iter().any(|name| Parameter { name, value: String::new() }.could_be(known))) }
    }
}

/// Names, decoded once; at most one more than there may be.
fn encoded(text: &str) -> Vec<String> {
    let names = text.split(['&', ';', '\r', '\n']).map(|piece| piece.split_once('=').map_or(piece, |(name, _)| name));
    names.filter(|name| !name.is_empty()).take(MOST + 1).map(decoded_leniently).collect()
}

/// The same of whatever stands behind `Content-Disposition`, wherever that is.
fn multipart(text: &str) -> Result<Vec<String>, Ambiguity> {
    let mut names = Vec::new();
    let lower = text.to_ascii_lowercase();
    let mut at = 0;
    while let Some(found) = lower.get(at..).and_then(|rest| rest.find("content-disposition")) {
        let begin = at + found + "content-disposition".len();
        let rest = text.get(begin..).unwrap_or_default();
        let length = end_of_header(rest);
        names_in(rest.get(..length).unwrap_or_default(), &mut names)?;
        at = begin + length;
    }
    Ok(names)
}

/// Where a line ends that none continues.
fn end_of_header(text: &str) -> usize {
    let ends = |(at, _): &(usize, &str)| !text.get(at + 1..).is_some_and(|behind| behind.starts_with([' ', '\t']));
    text.match_indices('\n').find(ends).map_or(text.len(), |(at, _)| at)
}

/// `name=a`, `name="a"`, `name*=utf-8''a`, and not `filename=a`. Servers do not agree where a value ends, so that one is looked for in others
/// too; no honest header is so full of them that it is read four times over.
fn names_in(header: &str, names: &mut Vec<String>) -> Result<(), Ambiguity> {
    let lower = header.to_ascii_lowercase();
    let mut left = 4 * header.len();
    for (at, _) in lower.match_indices("name") {
        if header.get(..at).and_then(|before| before.chars().next_back()).is_some_and(char::is_alphanumeric) {
            continue;
        }
        let behind = header.get(at + "name".len()..).unwrap_or_default();
        let rest = behind.trim_start_matches(|char: char| char == '*' || char.is_ascii_digit() || char.is_whitespace());
        let Some(value) = rest.strip_prefix('=').map(str::trim_start) else {
            left = left.checked_sub(behind.len() - rest.len()).ok_or(LARGE)?;
            continue;
        };
        let value = match value.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next(),
            None => value.split([';', ' ', '\t', '\r', '\n']).next(),
        };
        let value = value.unwrap_or_default();
        left = left.checked_sub(behind.len() - rest.len() + value.len()).ok_or(LARGE)?;
        names.push(value.rsplit('\'').next().unwrap_or(value).replace('\\', ""));
        if names.len() > MOST {
            return Err(LARGE);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Request;

    fn holds(content_type: &str, body: &str) -> Result<bool, Ambiguity> {
        let headers = [("content-type".to_owned(), content_type.to_owned())];
        let headers = Request::read("POST", "/", &headers, None).unwrap().headers;
        Form::declared(&headers).unwrap().holds(&headers, body.as_bytes(), "type")
    }

    #[test]
    fn a_parameter_is_found_in_whatever_spelling_some_server_reads() {
        for (body, came) in [
            ("type=a", true),
            ("b=1&t%79pe=a", true),
            ("b=1;type", true),
            ("Type[]=a", true),
            ("t%2579pe=a", true),
            ("b=type&subtype=1", false),
            ("", false),
        ] {
            assert_eq!(holds("application/x-www-form-urlencoded", body), Ok(came), "{body}");
        }
        for (header, came) in [
            ("Content-Disposition: form-data; name=\"type\"", true),
            ("content-disposition: form-data; filename=\"b\"; NAME = type", true),
            ("Content-Disposition: form-data;\r\n name*=utf-8''t%79pe", true),
            ("Content-Disposition: form-data; name=\"ty\\pe\"", true),
            ("Content-Disposition: form-data; name=\"b\"; filename=\"type\"", false),
            ("X: name=type", false),
        ] {
            let body = format!("--b\r\n{header}\r\n\r\ntype=1\r\n--b--");
            assert_eq!(holds("multipart/form-data; boundary=b", &body), Ok(came), "{header}");
        }
    }

    #[test]
    fn a_form_that_cannot_be_looked_through_is_refused() {
        assert_eq!(holds("application/x-www-form-urlencoded; charset=utf-16", "type=a"), Err(CHARSET));
        assert_eq!(holds("application/x-www-form-urlencoded", &"a&".repeat(10_001)), Err(LARGE));
        for piece in ["name=", "name=\"", "name  ", "name=  ", "content-disposition: name="] {
            let full = format!("Content-Disposition: {}", piece.repeat(200_000));
            assert_ne!(holds("multipart/form-data; boundary=b", &full), Ok(true), "{piece}");
        }
        let long = format!("Content-Disposition: {}", "name=a; content-disposition;".repeat(20_000));
        assert_eq!(holds("multipart/form-data; boundary=b", &long), Err(LARGE));
    }
}
