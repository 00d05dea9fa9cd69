//! Single values of the settings: texts with `${NAME}` in them, secrets, paths, sizes, rates, addresses.

use super::Environment;
use scopegate_core::policy::document::{Fields, Located, Node, Value, values};
use scopegate_core::policy::{Code, Findings, Rate, Severity, Size};
use std::fmt::Display;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// A value that is not what the key wants.
pub(super) static VALUE: Code = Code { id: "SG0901", severity: Severity::Error };
/// `${NAME}` where the environment has no NAME.
pub(super) static ENVIRONMENT: Code = Code { id: "SG0902", severity: Severity::Error };
/// A secret's file that cannot be read.
pub(super) static SECRET_FILE: Code = Code { id: "SG0903", severity: Severity::Error };
/// A key of the contract that this version does not serve.
pub(super) static UNSERVED: Code = Code { id: "SG0904", severity: Severity::Error };

/// Reads single values and reports what is wrong with them.
#[derive(Debug)]
pub(super) struct Scalars<'f, 's, 'p> {
    pub(super) folder: &'p Path,
    pub(super) environment: Environment,
    pub(super) findings: &'f mut Findings<'s>,
}

impl Scalars<'_, '_, '_> {
    /// Says that `message` is so of `node`.
    pub(super) fn wrong(&mut self, node: &Node, message: impl Into<String>) {
        self.findings.add(VALUE.at(node.span, message));
    }

    /// Says that this version does not serve what stands at `node`.
    pub(super) fn unserved(&mut self, node: &Node, message: impl Into<String>) {
        self.findings.add(UNSERVED.at(node.span, message));
    }

    /// A text, `${NAME}` replaced.
    pub(super) fn text(&mut self, node: &Node) -> Option<String> {
        let found = values::filled(node, self.findings)?;
        self.replaced(found)
    }

    fn replaced(&mut self, found: Located<&str>) -> Option<String> {
        let mut text = String::new();
        let mut rest = found.value;
        while let Some((before, behind)) = rest.split_once("${") {
            let Some((name, after)) = behind.split_once('}') else {
                self.findings.add(VALUE.at(found.span, "a `${` that no `}` ends"));
                return None;
            };
            let Some(value) = (self.environment)(name).filter(|value| !value.is_empty()) else {
                self.findings
                    .add(ENVIRONMENT.at(found.span, format!("the environment has no `{name}`")).help("set it, or give the value as {file: PATH}"));
                return None;
            };
            text.push_str(before);
            text.push_str(&value);
            rest = after;
        }
        text.push_str(rest);
        Some(text)
    }

    /// A secret: a text, or `{file: PATH}`; the file's final line break is no part of it.
    pub(super) fn secret(&mut self, node: &Node) -> Option<String> {
        if !matches!(node.value, Value::Map(_)) {
            return self.text(node);
        }
        let mut fields = Fields::open(node, "a secret", self.findings)?;
        let file = fields.require("file", self.findings).and_then(|file| self.path(file));
        fields.close(self.findings);
        let file = file?;
        match std::fs::read_to_string(&file) {
            Ok(text) if !text.trim_end_matches(['\r', '\n']).is_empty() => Some(text.trim_end_matches(['\r', '\n']).to_owned()),
            Ok(_) => {
                self.findings.add(SECRET_FILE.at(node.span, format!("the file {} is empty", file.display())));
                None
            }
            Err(error) => {
                self.findings.add(SECRET_FILE.at(node.span, format!("cannot read {}: {error}", file.display())));
                None
            }
        }
    }

    /// A path, from the settings' folder where it is relative.
    pub(super) fn path(&mut self, node: &Node) -> Option<PathBuf> {
        self.text(node).map(|text| self.folder.join(text))
    }

    /// A value that parses from a text.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&mut self, node: &Node, what: &str) -> Option<T> {
        let text = self.text(node)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(node, format!("`{text}` is no {what}: {error}"));
                None
            }
        }
    }

    /// A whole number of at least 1.
    pub(super) fn count(&mut self, node: &Node) -> Option<usize> {
        let count = self.parsed::<usize>(node, "whole number")?;
        if count == 0 {
            self.wrong(node, "this is at least 1");
            return None;
        }
        Some(count)
    }

    /// A whole number of at least 1; `none` switches it off.
    pub(super) fn count_or_none(&mut self, node: &Node) -> Option<Option<NonZeroUsize>> {
        if self.text(node)? == "none" {
            return Some(None);
        }
        self.count(node).map(NonZeroUsize::new)
    }

    /// A duration: seconds, or a text such as `15m`.
    pub(super) fn duration(&mut self, node: &Node) -> Option<Duration> {
        values::duration(node, self.findings)
    }

    /// A size in bytes: a number, or a text such as `32KiB`.
    pub(super) fn size(&mut self, node: &Node) -> Option<u64> {
        let text = self.text(node)?;
        match text.parse::<Size>() {
            Ok(Size(size)) => Some(size),
            Err(error) => {
                self.wrong(node, format!("`{text}` is no size: {error}"));
                None
            }
        }
    }

    /// A rate such as `100/s`; `none` switches it off.
    pub(super) fn rate(&mut self, node: &Node) -> Option<Option<Rate>> {
        let text = self.text(node)?;
        if text == "none" {
            return Some(None);
        }
        match text.parse() {
            Ok(rate) => Some(Some(rate)),
            Err(error) => {
                self.wrong(node, format!("`{text}` is no rate: {error}, or `none`"));
                None
            }
        }
    }

    /// An http or https origin, without a final slash.
    pub(super) fn origin(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node)?;
        let url = url::Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let bare = url.filter(|url| url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty());
        match bare {
            Some(url) => Some(url.origin().ascii_serialization()),
            None => {
                self.wrong(node, format!("`{text}` is no origin such as https://gate.example"));
                None
            }
        }
    }
}
