//! What editors are told by the JSON Schemas is what the readers take: the same keys in the same places, of the same kinds.
//!
//! The readers are written by hand and say more than a schema can. So examples that use every key are spoilt in every
//! place, and both are asked: what the schema refuses the readers refuse, and whatever is wrong in shape both refuse.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests, also where a function is none")]

use scopegate::settings::{self, Settings, SettingsError};
use scopegate_core::policy::{Diagnostic, Findings, Origin, REFERENCE, Severity, Source, cases_schema, compile, document, policy_schema};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the reference's documents do not show.
const MORE: &str = r#"
version: 1
connectors:
  crm: {base: catalog, title: Our CRM, oauth: {expires_in: 60}}
  api:
    upstream: https://api.example
    source: {kind: openapi, title: T, version: "1", licence: MIT, sha256: ab12}
    inject: {header: X-Token, scheme: Token}
    mode: enforce
    scopes: {a: , b: {provider_scopes: [x, {any: [y, z]}]}}
    operations:
      - {id: slow, match: "GET /slow/{kind}", require: "{kind}", names: {kind: [a, b]}}
      - {id: batch, match: POST /batch, batch: {requests: /r, method: /m, url: /u}}
  by-query: {upstream: https://q.example, inject: {query: key}}
  by-name: {upstream: https://n.example, inject: {basic: user}}
roles:
  reader: {mode: enforce, allow: {api: a}}
  keeper: {extends: reader, allow: {api: [a, b]}, deny: {api: [batch]}}
"#;

/// A shipped document for `base: catalog`.
const SHIPPED: &str = "version: 1\nconnectors: {crm: {upstream: https://crm.example, oauth: {token_url: https://crm.example/token}}}\n";

const SETTINGS: &[&str] = &[
    r#"
gateway:
  listen: [{address: "127.0.0.1:4100", h2c: true}, {address: "127.0.0.1:443", tls: {cert_file: a, key_file: b, client_ca_file: c}}, "[::1]:4100"]
  identifier_headers: [Scopegate-Account]
  token_slot: false
  hosts: {crm.gate.example: crm}
  external_url: https://gate.example
  threads: 2
  connections: 1000
  drain: 5s
  grace: 30
admin:
  listen: 127.0.0.1:4101
  token: secret
  public_listen: 127.0.0.1:4102
  public_url: https://connect.example
  return_to: [https://app.example]
  metrics: token
  tls: {cert_file: a, key_file: b, client_ca_file: c}
policies: [./policies, more.yaml]
watch: true
store: {embedded: ./data}
encryption: {key_file: ./keys/kek-2, older_key_files: [./keys/kek-1]}
callers:
  - {network: loopback, customers: [acme], connectors: [crm]}
  - {network: [10.0.0.0/8, loopback]}
  - {api_key: {name: crew, sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855, customers: [acme], connectors: [crm]}}
  - {handle: {networks: [10.0.0.0/8]}}
clients:
  crm: {client_id: a, client_secret: [one, {file: SECRET}]}
  desk: {client_id: b, private_key: {file: SECRET}, key_id: k1}
connectors:
  crm: {upstream: "https://a.example", authorization_url: "https://a.example/a", token_url: "https://a.example/t", refresh_url: "https://a.example/f", revocation_url: "https://a.example/r", hosts: {up: "https://up.example"}}
egress: {allow_networks: [10.0.0.0/8], allow_http: true, ca_file: own.pem, addresses: {api.internal: [10.0.0.7, "fd00::7"]}}
audit: {file: ./data/audit.jsonl, rotate: 256MiB, keep: 90d}
limits:
  body: 1024
  inspected_body: 1MiB
  header_bytes: 32KiB
  requests_per_account: 100/s
  concurrent_per_account: 100
  open_grants: 1000
  upstream: {connect: 10s, head: 250ms, idle: 5m}
"#,
    "gateway: {listen: \"127.0.0.1:1\"}\nadmin: {token: {file: SECRET}}\npolicies: ./policies\ncallers: [{handle: }]\nlimits: {requests_per_account: none}\n",
];

/// Keys that the readers of settings know in order to say that this version does not serve them, and where.
const UNSERVED: &[(&str, &str)] = &[("/store", "redis"), ("/callers", "jwt"), ("/callers", "mtls")];

/// Reads a document, and says what is wrong with it.
type Reader = Box<dyn Fn(&Value) -> Vec<Diagnostic>>;

/// A kind of file: its schema, whole examples of it, and its readers.
struct Kind {
    name: &'static str,
    schema: Value,
    examples: Vec<Value>,
    read: Reader,
    /// Where its readers stand.
    sources: &'static [&'static str],
}

fn kinds(folder: &Path) -> Vec<Kind> {
    fs::write(folder.join("SECRET"), "secret\n").unwrap();
    let reference: Vec<&str> = REFERENCE.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let policies: Vec<Value> = reference.into_iter().chain([MORE]).map(read_yaml).collect();
    // Tests name roles and connectors, so that a file of cases stands beside the document that has them.
    let with_tests = policies[1].clone();
    let cases = json!({"version": 1, "tests": with_tests["tests"]});
    let beside = move |cases: &Value| {
        let mut whole = with_tests.clone();
        whole.as_object_mut().unwrap().remove("tests");
        findings(&[("beside.yaml", &whole), ("p.cases.yaml", cases)])
    };
    let file = folder.join("scopegate.yaml");
    let settings = move |settings: &Value| {
        fs::write(&file, settings.to_string()).unwrap();
        match Settings::read(&file) {
            Ok(_) => Vec::new(),
            Err(SettingsError::Faulty { diagnostics, .. }) => diagnostics,
            Err(SettingsError::Unreadable { cause, .. }) => panic!("{cause}"),
        }
    };
    let core = &["core/src/policy/compile", "core/src/policy/document"];
    vec![
        Kind { name: "policy", schema: policy_schema(), examples: policies, read: Box::new(|policy| findings(&[("p.yaml", policy)])), sources: core },
        Kind { name: "cases", schema: cases_schema(), examples: vec![cases], read: Box::new(beside), sources: core },
        Kind {
            name: "settings",
            schema: settings::schema(),
            examples: SETTINGS.iter().copied().map(read_yaml).collect(),
            read: Box::new(settings),
            sources: &["src/settings"],
        },
    ]
}

fn read_yaml(text: &str) -> Value {
    let sources = [Source { name: "example".into(), text: text.into(), origin: Origin::Own }];
    let mut findings = Findings::new(&sources);
    let read = document::read(0, text, &mut findings).and_then(|node| node.to_json());
    assert_eq!(findings.count(), 0, "{:?}", findings.into_diagnostics());
    read.unwrap()
}

/// What the policy compiler finds in these files. JSON is YAML.
fn findings(files: &[(&str, &Value)]) -> Vec<Diagnostic> {
    let own = files.iter().map(|(name, text)| Source { name: (*name).into(), text: text.to_string(), origin: Origin::Own });
    let shipped = Source { name: "shipped".into(), text: SHIPPED.into(), origin: Origin::Catalog };
    compile(&own.chain([shipped]).collect::<Vec<_>>(), &BTreeMap::new()).diagnostics
}

impl Kind {
    fn errors(&self, document: &Value) -> Vec<Diagnostic> {
        (self.read)(document).into_iter().filter(|one| one.severity == Severity::Error).collect()
    }

    /// The schemas that may judge a value: itself, and whatever it refers to or chooses from.
    fn options<'s>(&'s self, schema: &'s Value) -> Vec<&'s Value> {
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            return self.options(self.schema.pointer(target.trim_start_matches('#')).unwrap());
        }
        let choices = ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|word| schema.get(word)?.as_array()).flatten();
        std::iter::once(schema).chain(choices.flat_map(|choice| self.options(choice))).collect()
    }

    /// Shows each value of `document`, outermost first, with its pointer and the schemas that may judge it.
    fn walk<'s>(&'s self, document: &Value, visit: &mut dyn FnMut(&str, &Value, &[&'s Value])) {
        self.walk_below(document, String::new(), &self.options(&self.schema), visit);
    }

    fn walk_below<'s>(&'s self, value: &Value, pointer: String, options: &[&'s Value], visit: &mut dyn FnMut(&str, &Value, &[&'s Value])) {
        visit(&pointer, value, options);
        let within = |key: &str, member: &str| -> Vec<&'s Value> {
            let one = |schema: &&'s Value| schema.get("properties").and_then(|all| all.get(key)).or_else(|| schema.get(member));
            options.iter().filter_map(one).filter(|schema| schema.is_object()).flat_map(|schema| self.options(schema)).collect()
        };
        match value {
            Value::Object(members) => members.iter().for_each(|(key, value)| {
                let escaped = key.replace('~', "~0").replace('/', "~1");
                self.walk_below(value, format!("{pointer}/{escaped}"), &within(key, "additionalProperties"), visit);
            }),
            Value::Array(items) => items.iter().enumerate().for_each(|(at, value)| {
                self.walk_below(value, format!("{pointer}/{at}"), &within("", "items"), visit);
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Every key that the schema has, with the schema that it has for it.
    fn keys(&self) -> Vec<(String, *const Value)> {
        fn below(schema: &Value, path: &str, found: &mut Vec<(String, *const Value)>) {
            match schema {
                Value::Object(members) => {
                    for (word, value) in members.iter().filter(|(word, _)| !["if", "then", "else"].contains(&word.as_str())) {
                        if let ("properties", Some(keys)) = (word.as_str(), value.as_object()) {
                            found.extend(keys.iter().map(|(key, value)| (format!("{path}/{key}"), std::ptr::from_ref(value))));
                        }
                        below(value, &format!("{path}/{word}"), found);
                    }
                }
                Value::Array(items) => items.iter().for_each(|item| below(item, path, found)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        let mut found = Vec::new();
        below(&self.schema, "", &mut found);
        found
    }

    /// Every word that stands quoted in the sources of the readers, and every key of the schema.
    fn words(&self) -> BTreeSet<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut words: BTreeSet<String> = self.keys().into_iter().filter_map(|(path, _)| Some(path.rsplit_once('/')?.1.to_owned())).collect();
        for file in self.sources.iter().flat_map(|folder| fs::read_dir(root.join(folder)).unwrap()) {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(path).unwrap();
                let legal =
                    |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
                words.extend(text.split('"').filter(legal).map(str::to_owned));
            }
        }
        words
    }
}

/// The words that the readers called no keys.
fn called_unknown(diagnostics: &[Diagnostic]) -> BTreeSet<String> {
    let unknown = diagnostics.iter().filter(|one| one.code == "SG0101" || one.code == "SG0109");
    let named = unknown.filter_map(|one| one.message.split('`').nth(if one.code == "SG0101" { 1 } else { 3 }));
    named.map(str::to_owned).collect()
}

#[test]
fn examples_use_every_key_and_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    for kind in kinds(folder.path()) {
        let mut shown: BTreeSet<*const Value> = BTreeSet::new();
        for example in &kind.examples {
            assert_eq!(kind.errors(example), [], "{}", kind.name);
            kind.walk(example, &mut |_, value, options| {
                let keys = value.as_object().into_iter().flatten().map(|(key, _)| key);
                shown
                    .extend(keys.flat_map(|key| options.iter().filter_map(move |schema| schema.get("properties")?.get(key))).map(std::ptr::from_ref));
            });
        }
        let missing: Vec<String> = kind.keys().into_iter().filter(|(_, schema)| !shown.contains(schema)).map(|(path, _)| path).collect();
        assert!(missing.is_empty(), "no example of {} uses {missing:#?}", kind.name);
    }
}

#[test]
fn every_key_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    for kind in kinds(folder.path()) {
        let mut silent = Vec::new();
        for example in &kind.examples {
            kind.walk(example, &mut |pointer, value, options| {
                for key in value.as_object().into_iter().flatten().map(|(key, _)| key) {
                    let schemas = options.iter().filter_map(|schema| schema.get("properties")?.get(key));
                    let told = |schema: &Value| {
                        schema.get("description").is_some() || kind.options(schema).iter().any(|option| option.get("description").is_some())
                    };
                    silent.extend(schemas.filter(|schema| !told(schema)).map(|_| format!("{pointer}/{key}")));
                }
            });
        }
        assert!(silent.is_empty(), "the schema of {} does not explain {silent:#?}", kind.name);
    }
}

/// The words in the first column of the reference's tables: keys, and what may stand there.
fn described() -> BTreeSet<String> {
    let rows = REFERENCE.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    rows.flat_map(|cell| cell.split(move |letter| !is_letter(letter)).map(str::to_owned)).collect()
}

#[test]
fn the_reference_describes_every_key_of_policies_and_the_readme_every_key_of_settings() {
    let folder = tempfile::tempdir().unwrap();
    let kinds = kinds(folder.path());
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let told = described();
    for kind in &kinds {
        let keys: BTreeSet<String> = kind.keys().into_iter().filter_map(|(path, _)| Some(path.rsplit_once('/')?.1.to_owned())).collect();
        assert!(keys.len() >= 3, "{}", kind.name);
        let is_told = |key: &&String| if kind.name == "settings" { readme.contains(&format!("{key}:")) } else { told.contains(*key) };
        let silent: Vec<&String> = keys.iter().filter(|key| !is_told(key)).collect();
        assert!(silent.is_empty(), "nobody describes these keys of {}: {silent:?}", kind.name);
    }
}

#[test]
fn readers_and_schemas_know_the_same_keys() {
    let folder = tempfile::tempdir().unwrap();
    for kind in kinds(folder.path()) {
        let words = kind.words();
        let mut seen: BTreeSet<*const Value> = BTreeSet::new();
        for example in &kind.examples {
            let mut places: Vec<(String, BTreeSet<String>, bool)> = Vec::new();
            kind.walk(example, &mut |pointer, value, options| {
                let closed: Vec<&&Value> = options.iter().filter(|schema| schema.get("additionalProperties") == Some(&Value::Bool(false))).collect();
                if value.is_object() && closed.iter().any(|schema| seen.insert(std::ptr::from_ref(**schema))) {
                    let keys = closed.iter().flat_map(|schema| schema["properties"].as_object().unwrap().keys().cloned()).collect();
                    places.push((pointer.to_owned(), keys, closed.iter().any(|schema| schema.get("maxProperties").is_some())));
                }
            });
            for (pointer, keys, one_at_a_time) in places {
                let with = |added: &[&String]| {
                    let mut document = example.clone();
                    let mapping = document.pointer_mut(&pointer).unwrap().as_object_mut().unwrap();
                    if one_at_a_time {
                        mapping.clear();
                    }
                    for word in added {
                        mapping.entry((*word).clone()).or_insert_with(|| json!(["x"]));
                    }
                    called_unknown(&kind.errors(&document))
                };
                let unknown: BTreeSet<String> =
                    if one_at_a_time { words.iter().flat_map(|word| with(&[word])).collect() } else { with(&words.iter().collect::<Vec<_>>()) };
                let served =
                    |word: &&String| !unknown.contains(*word) && !UNSERVED.iter().any(|(place, key)| pointer.starts_with(place) && key == word);
                let known: BTreeSet<String> = words.iter().filter(served).cloned().collect();
                assert_eq!(known, keys, "at `{pointer}` of {}: what the readers know, and what the schema does", kind.name);
            }
        }
        assert!(seen.len() >= 3, "{}", kind.name);
    }
}

#[test]
fn keys_that_are_not_served_are_refused_by_the_readers() {
    let folder = tempfile::tempdir().unwrap();
    let settings = &kinds(folder.path())[2];
    for (key, text) in
        [("redis", r#"{"store": {"redis": "rediss://x"}}"#), ("jwt", r#"{"callers": [{"jwt": {}}]}"#), ("mtls", r#"{"callers": [{"mtls": {}}]}"#)]
    {
        assert!(UNSERVED.iter().any(|(_, unserved)| *unserved == key));
        let found = settings.errors(&serde_json::from_str(text).unwrap());
        assert!(found.iter().any(|one| one.code == "SG0904"), "{text}: {found:?}");
    }
}

/// The example with each of its values spoilt in turn, and each of its keys left out.
fn spoilt(example: &Value, pointers: &[String]) -> Vec<(String, Value)> {
    let odd = [json!({"zzz": [[1]]}), json!([["zzz"]]), Value::Null, json!("zzz zzz"), json!(-1.5), json!([])];
    let mut made = Vec::new();
    for pointer in pointers {
        for value in &odd {
            let mut document = example.clone();
            *document.pointer_mut(pointer).unwrap() = value.clone();
            made.push((format!("`{pointer}` is {value}"), document));
        }
        let keys: Vec<String> = example.pointer(pointer).unwrap().as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect();
        for key in keys {
            let mut document = example.clone();
            document.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(&key);
            made.push((format!("`{pointer}` without `{key}`"), document));
        }
    }
    made
}

/// Codes for what is wrong in shape: a key, a kind, a word, the version.
const SHAPE: [&str; 5] = ["SG0101", "SG0102", "SG0103", "SG0104", "SG0105"];

#[test]
fn what_is_wrong_in_shape_both_refuse_and_what_the_schema_refuses_the_readers_refuse() {
    let folder = tempfile::tempdir().unwrap();
    let kinds = kinds(folder.path());
    let mut documents = Vec::new();
    for kind in &kinds {
        for example in &kind.examples {
            documents.push((kind, "whole".to_owned(), example.clone()));
            // What the schema judges alike, and has the same keys, is spoilt once.
            let (mut pointers, mut alike) = (Vec::new(), BTreeSet::new());
            kind.walk(example, &mut |pointer, value, options| {
                let judges: Vec<*const Value> = options.iter().map(|schema| std::ptr::from_ref(*schema)).collect();
                let keys: Vec<String> = value.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect();
                if alike.insert((judges, keys)) {
                    pointers.push(pointer.to_owned());
                }
            });
            documents.extend(spoilt(example, &pointers).into_iter().map(|(what, document)| (kind, what, document)));
        }
    }
    let verdicts = validated(&kinds, &documents.iter().map(|(kind, _, document)| (kind.name, document)).collect::<Vec<_>>());
    let mut faults = Vec::new();
    for ((kind, what, document), verdict) in documents.iter().zip(verdicts) {
        let errors = kind.errors(document);
        let shape = errors.iter().find(|one| SHAPE.contains(&one.code));
        match (verdict.as_str(), shape) {
            ("", Some(error)) => {
                faults.push(format!("{} {what}: the schema takes it, and the readers say {} {}", kind.name, error.code, error.message))
            }
            (refused, None) if !refused.is_empty() && errors.is_empty() => {
                faults.push(format!("{} {what}: the readers take it, and the schema says {refused}", kind.name))
            }
            _ => {}
        }
    }
    assert!(documents.len() > 1500, "{}", documents.len());
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), documents.len(), faults.join("\n"));
}

#[test]
fn everything_that_is_shipped_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let kinds = kinds(folder.path());
    let mut documents = Vec::new();
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")).unwrap() {
        let path = file.unwrap().path();
        let name = if path.to_str().unwrap().ends_with(".cases.yaml") { "cases" } else { "policy" };
        documents.push((name, path.display().to_string(), read_yaml(&fs::read_to_string(&path).unwrap())));
    }
    assert!(documents.len() >= 10);
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    for text in readme.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        let name = if text.starts_with("version:") { "policy" } else { "settings" };
        documents.push((name, "README.md".into(), read_yaml(text)));
    }
    let verdicts = validated(&kinds, &documents.iter().map(|(name, _, document)| (*name, document)).collect::<Vec<_>>());
    for ((_, what, _), verdict) in documents.iter().zip(verdicts) {
        assert_eq!(verdict, "", "{what}");
    }
}

/// What a validator of others says of each document; nothing where it is valid.
fn validated(kinds: &[Kind], documents: &[(&str, &Value)]) -> Vec<String> {
    let target = Path::new(env!("CARGO_BIN_EXE_scopegate")).ancestors().nth(2).unwrap();
    let python: PathBuf = target.join("python/bin/python");
    assert!(python.exists(), "there is no {}: `scripts/set-up test` (or `make test`) makes it", python.display());
    let schemas: BTreeMap<&str, &Value> = kinds.iter().map(|kind| (kind.name, &kind.schema)).collect();
    let mut input = tempfile::tempfile().unwrap();
    writeln!(input, "{}", json!(schemas)).unwrap();
    for document in documents {
        writeln!(input, "{}", json!(document)).unwrap();
    }
    std::io::Seek::rewind(&mut input).unwrap();
    let mut command = Command::new(python);
    command.arg("tests/clients/validate.py").current_dir(env!("CARGO_MANIFEST_DIR")).stdin(input).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let output = command.output().unwrap();
    assert!(output.status.success());
    let lines: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), documents.len());
    lines
}
