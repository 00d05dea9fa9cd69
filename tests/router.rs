//! The router and the rule of the most specific operation, on the paths of real API descriptions, judged by trying everything.
//!
//! Generated templates are judged in `core`; here the descriptions that lie beside this repository are used, where they are.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "these are tests, also where a function is none")]

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use scopegate_core::account::{GrantStanding, Granted, Standing};
use scopegate_core::answer::{Packing, Unpacker};
use scopegate_core::policy::{Origin, PathTemplate, PolicySet, Ruling, Source, compile, judge};
use scopegate_core::request::Request;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const REQUESTS: usize = 200;

/// One operation: method, and the segments of its path with `*` for each parameter.
type Known = (String, Vec<String>);

#[test]
fn paths_of_real_descriptions_find_the_operations_that_trying_everything_finds() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared/catalog/specs"));
    let Some(folder) = beside.into_iter().find(|folder| folder.is_dir()) else {
        println!("no folder of API descriptions lies beside the project: the router is judged by generated templates alone");
        return;
    };
    let mut operations = 0;
    for file in files(&folder) {
        let known: Vec<Known> = paths_of(&file).into_iter().collect();
        if known.is_empty() {
            continue;
        }
        operations += known.len();
        let policies = policies(&known);
        let mut runner = TestRunner::default();
        for _ in 0..REQUESTS {
            let (method, path) = requests(&known).new_tree(&mut runner).unwrap().current();
            assert_eq!(decided(&policies, &method, &path), tried(&known, &method, &path), "{} {method} {path}", file.display());
        }
    }
    assert!(operations > 2000, "{operations} operations");
}

/// All JSON descriptions, packed ones too.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(files(&path));
        } else if [".json", ".json.gz"].iter().any(|end| name.ends_with(end)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(file: &Path) -> Value {
    let bytes = fs::read(file).unwrap();
    if file.extension().is_some_and(|end| end != "gz") {
        return serde_json::from_slice(&bytes).unwrap();
    }
    let mut unpacker = Unpacker::new(Packing::Gzip).unwrap();
    let mut text = Vec::new();
    for chunk in bytes.chunks(64 << 10) {
        text.extend_from_slice(&unpacker.feed(chunk).unwrap());
    }
    text.extend_from_slice(&unpacker.finish().unwrap());
    serde_json::from_slice(&text).unwrap()
}

/// The operations of an OpenAPI description whose paths are templates of ours, each shape once.
fn paths_of(file: &Path) -> BTreeSet<Known> {
    let description = read(file);
    let mut known = BTreeSet::new();
    for (path, item) in description["paths"].as_object().into_iter().flatten() {
        let shape = shape(path);
        let parses = PathTemplate::parse(&numbered(&shape.join("/"))).is_ok();
        for method in ["get", "post", "put", "patch", "delete"] {
            if parses && item.get(method).is_some() {
                known.insert((method.to_uppercase(), shape.clone()));
            }
        }
    }
    known
}

fn shape(path: &str) -> Vec<String> {
    let mut made = String::new();
    let mut depth = 0;
    for character in path.chars() {
        match character {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                made.push('*');
            }
            character if depth == 0 => made.push(character),
            _ => {}
        }
    }
    made.split('/').map(str::to_owned).collect()
}

/// A template whose parameters are `{p0}`, `{p1}` and so on.
fn numbered(shape: &str) -> String {
    let mut pieces = shape.split('*');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.enumerate().fold(first, |text, (number, piece)| format!("{text}{{p{number}}}{piece}"))
}

fn policies(known: &[Known]) -> PolicySet {
    let operation = |(number, (method, shape)): (usize, &Known)| json!({"id": format!("{number:05}"), "match": format!("{method} {}", numbered(&shape.join("/"))), "require": "none"});
    let operations: Vec<Value> = known.iter().enumerate().map(operation).collect();
    let document = json!({
        "version": 1, "connectors": {"c": {"upstream": "https://c.example", "operations": operations}}, "roles": {"r": {"allow": {"c": []}}},
    });
    let source = Source { name: "p.yaml".into(), text: document.to_string(), origin: Origin::Own };
    let compiled = compile(&[source], &BTreeMap::new());
    compiled.policies.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics.first()))
}

/// Requests near to what is known: parameters filled with words of other paths, segments exchanged, left out or added.
fn requests(known: &[Known]) -> impl Strategy<Value = (String, String)> {
    let words: Vec<String> =
        known.iter().flat_map(|(_, shape)| shape.iter().cloned()).filter(|word| !word.contains('*') && !word.is_empty()).collect();
    let words = if words.is_empty() { vec!["x".to_owned()] } else { words };
    let word = prop_oneof![prop::sample::select(words), Just("7".to_owned())];
    let one = prop::sample::select(known.to_vec());
    (one, prop::collection::vec(word, 12), 0_usize..12, 0_usize..8).prop_map(|((method, shape), words, at, change)| {
        let mut words = words.into_iter().cycle();
        let fill = |segment: &String, words: &mut dyn Iterator<Item = String>| {
            let mut pieces = segment.split('*');
            let first = pieces.next().unwrap_or_default().to_owned();
            pieces.fold(first, |text, piece| text + &words.next().unwrap_or_default() + piece)
        };
        let mut segments: Vec<String> = shape.iter().map(|segment| fill(segment, &mut words)).collect();
        let place = 1 + at % segments.len().max(2).saturating_sub(1);
        match change {
            0 if place < segments.len() => segments[place] = words.next().unwrap_or_default(),
            1 => segments.push(words.next().unwrap_or_default()),
            2 if segments.len() > 2 => drop(segments.pop()),
            _ => {}
        }
        (method, segments.join("/"))
    })
}

/// The operations that are meant, by the compiled policies.
fn decided(policies: &PolicySet, method: &str, path: &str) -> Vec<String> {
    let (role, granted) = ("r".parse().unwrap(), Granted::Assumed);
    let Ok(request) = Request::read(method, path, &[], None) else { return vec!["two readings".into()] };
    match judge(policies, &"c".parse().unwrap(), &Standing { role: &role, grant: GrantStanding::Live(&granted) }, &request) {
        Ruling::Allow(allowance) => allowance.operations.ids().map(ToString::to_string).collect(),
        Ruling::Deny(_) | Ruling::ReadBody(_) => Vec::new(),
    }
}

/// The operations that are meant, by the letter of the rule: all that match, and that no other of them beats.
fn tried(known: &[Known], method: &str, path: &str) -> Vec<String> {
    let Ok(request) = Request::read(method, path, &[], None) else { return vec!["two readings".into()] };
    let path: Vec<&str> = request.path.as_str().split('/').collect();
    let is_match = |(known_method, shape): &Known| {
        known_method == method
            && shape.len() == path.len()
            && shape.iter().zip(&path).all(|(segment, text)| globs(segment.as_bytes(), text.as_bytes()))
    };
    let matching: Vec<usize> = (0..known.len()).filter(|number| is_match(&known[*number])).collect();
    let openness = |number: usize| -> Vec<u8> {
        let open = |segment: &String| if segment == "*" { 2 } else { u8::from(segment.contains('*')) };
        known[number].1.iter().map(open).collect()
    };
    let beats = |left: usize, right: usize| {
        let (left, right) = (openness(left), openness(right));
        left != right && left.iter().zip(&right).all(|(left, right)| left <= right)
    };
    let meant = matching.iter().filter(|number| !matching.iter().any(|other| beats(*other, **number)));
    meant.map(|number| format!("{number:05}")).collect()
}

/// Whether a segment with `*` for one byte or more is this text.
fn globs(glob: &[u8], text: &[u8]) -> bool {
    match glob.split_first() {
        None => text.is_empty(),
        Some((b'*', behind)) => (1..=text.len()).any(|taken| globs(behind, &text[taken..])),
        Some((literal, behind)) => text.split_first().is_some_and(|(byte, text)| byte == literal && globs(behind, text)),
    }
}
