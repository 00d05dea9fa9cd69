//! A real browser: headless Chromium, driven line by line through `tests/browser/chromium.mjs`.

use crate::deadline::Deadline;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");
/// Where pictures of pages are kept.
const PICTURES: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/pages");

/// A program of `tests/browser`, which is told and answers by lines of JSON.
pub(crate) struct Node {
    child: Child,
    told: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    _deadline: Deadline,
}

/// One customer, who has cookies of their own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Customer {
    name: &'static str,
    script: bool,
}

/// What a customer sees.
#[derive(Debug, Deserialize)]
pub(crate) struct Shown {
    pub(crate) address: String,
    pub(crate) status: Option<u16>,
    pub(crate) title: String,
    pub(crate) text: String,
}

/// What has the focus of the keyboard.
#[derive(Debug, Deserialize, Eq, PartialEq)]
pub(crate) struct Focus {
    pub(crate) name: String,
    pub(crate) tag: String,
    /// Whether a person sees that it has.
    pub(crate) visible: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Cookie {
    pub(crate) name: String,
    pub(crate) domain: String,
    pub(crate) path: String,
    #[serde(rename = "httpOnly")]
    pub(crate) http_only: bool,
    pub(crate) secure: bool,
    #[serde(rename = "sameSite")]
    pub(crate) same_site: String,
}

impl Customer {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, script: true }
    }

    /// Whose browser runs no script.
    pub(crate) const fn without_script(name: &'static str) -> Self {
        Self { name, script: false }
    }
}

impl Node {
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new("node");
        command.arg(program).args(arguments).current_dir(FOLDER).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("node does not start ({error}): `scripts/set-up test` installs it"));
        let (told, answers) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, told, answers, _deadline: Deadline::of_this() }
    }

    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.told.as_ref().unwrap(), "{line}").unwrap_or_else(|error| panic!("node has ended ({error}): {}", self.hint()));
    }

    pub(crate) fn answer<T: DeserializeOwned>(&mut self) -> T {
        let mut line = String::new();
        tokio::task::block_in_place(|| self.answers.read_line(&mut line)).unwrap();
        assert!(!line.is_empty(), "node has ended: {}", self.hint());
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    fn hint(&self) -> &'static str {
        "its stderr says why; `scripts/set-up test` installs what it needs (nodejs, npm, chromium, and packages in tests/browser)"
    }
}

impl Drop for Node {
    /// It ends by itself when nobody can tell it anything any more, and takes its files along.
    fn drop(&mut self) {
        drop(self.told.take());
        let _ = self.child.wait();
    }
}

/// The browser; ends when it is dropped.
pub(crate) struct Chromium(Node);

impl Chromium {
    pub(crate) fn start() -> Self {
        Self(Node::start("chromium.mjs", &[PICTURES]))
    }

    /// Opens an address as if it were typed.
    pub(crate) fn open(&mut self, customer: Customer, address: &str) -> Shown {
        self.ask("open", customer, json!({"address": address}))
    }

    /// Presses a button, or follows a link, and waits for the page behind it.
    pub(crate) fn press(&mut self, customer: Customer, name: &str) -> Shown {
        self.ask("press", customer, json!({"name": name}))
    }

    /// Presses a button that leads away from this machine; where to.
    pub(crate) fn leaves_by(&mut self, customer: Customer, name: &str) -> String {
        let left: Value = self.ask("leaves", customer, json!({"name": name}));
        left["address"].as_str().unwrap().to_owned()
    }

    /// Unticks a box.
    pub(crate) fn untick(&mut self, customer: Customer, name: &str) {
        let _: Value = self.ask("tick", customer, json!({"name": name, "checked": false}));
    }

    /// Fills a field in.
    pub(crate) fn fill(&mut self, customer: Customer, name: &str, text: &str) {
        let _: Value = self.ask("type", customer, json!({"name": name, "text": text}));
    }

    /// Presses Tab; what has the focus then.
    pub(crate) fn tab(&mut self, customer: Customer) -> Focus {
        self.ask("tab", customer, json!({}))
    }

    /// Presses Enter, and waits for the page behind it.
    pub(crate) fn enter(&mut self, customer: Customer) -> Shown {
        self.ask("enter", customer, json!({}))
    }

    /// Looks at the page in light and dark, narrow and wide; keeps pictures under `name`. Nothing may keep anybody from using it.
    pub(crate) fn look(&mut self, customer: Customer, name: &str) {
        let looked: Value = self.ask("look", customer, json!({"name": name}));
        assert_eq!(looked["wrong"], json!([]), "{name}");
        assert_eq!(looked["looks"], 4, "{name}");
    }

    pub(crate) fn cookies(&mut self, customer: Customer) -> Vec<Cookie> {
        let mut all: Value = self.ask("cookies", customer, json!({}));
        serde_json::from_value(all["cookies"].take()).unwrap()
    }

    fn ask<T: DeserializeOwned>(&mut self, deed: &str, customer: Customer, mut what: Value) -> T {
        what["deed"] = deed.into();
        what["customer"] = json!({"name": customer.name, "script": customer.script});
        self.0.tell(&what.to_string());
        let mut answer: Value = self.0.answer();
        assert_eq!(answer.get("failed"), None, "{what}");
        serde_json::from_value(answer["done"].take()).unwrap_or_else(|error| panic!("{error}: {what}: {answer}"))
    }
}
