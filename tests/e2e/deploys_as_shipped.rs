//! What `deploy/` ships is what it says: settings that serve, a unit that systemd takes and that shuts the service in, an image that
//! can be built from what goes into it and runs as nobody.

use crate::stage::run;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) fn shipped(name: &str) -> String {
    fs::read_to_string(top().join("deploy").join(name)).unwrap()
}

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_settings_serve_once_policies_and_credentials_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    for name in ["etc/policies", "credentials", "var"] {
        fs::create_dir_all(place(name)).unwrap();
    }
    let text = shipped("scopegate.yaml");
    let named = |from: &str, to: &str| (from.to_owned(), place(to).display().to_string());
    let moved = [named("/etc/scopegate", "etc"), named("/var/lib/scopegate", "var"), named("${CREDENTIALS_DIRECTORY}", "credentials")];
    let moved = moved.iter().fold(text.clone(), |text, (from, to)| text.replace(from, to));
    fs::write(place("etc/scopegate.yaml"), moved).unwrap();
    fs::write(place("etc/policies/roles.yaml"), "version: 1\nroles:\n  reader: {allow: {salesforce: [accounts:read]}}\n").unwrap();
    let check = || run(folder.path(), &["serve", "--check", "-c", "etc/scopegate.yaml", "-o", "json"]);
    let lacks = |names: &[&str]| {
        let (status, told) = {
            let output = check();
            (output.status.code(), String::from_utf8(output.stdout).unwrap())
        };
        assert!(status == Some(1) && names.iter().all(|name| told.contains(name)), "{names:?}: {told}");
    };
    lacks(&["admin-token", "salesforce-secret"]);
    for name in ["admin-token", "salesforce-secret"] {
        fs::write(place("credentials").join(name), "a secret of thirty-two characters\n").unwrap();
    }
    lacks(&["kek-1"]);
    assert!(run(folder.path(), &["keys", "generate", "credentials/kek-1"]).status.success());
    fs::set_permissions(place("credentials/kek-1"), fs::Permissions::from_mode(0o400)).unwrap();
    let output = check();
    assert_eq!(output.status.code(), Some(0), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let schema: Value = serde_json::from_slice(&run(folder.path(), &["policy", "schema", "--settings"]).stdout).unwrap();
    let sections: BTreeSet<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    let here: BTreeSet<&str> =
        text.lines().filter_map(|line| line.split_once(':')).map(|(key, _)| key).filter(|key| sections.contains(key)).collect();
    assert_eq!(here, sections, "every section is there");
}

/// Values of a key of the unit, in order.
fn values<'u>(unit: &'u str, key: &str) -> Vec<&'u str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

#[test]
fn the_unit_shuts_the_service_in_and_hands_it_what_its_settings_name() {
    let unit = shipped("scopegate.service");
    for (key, value) in [
        ("DynamicUser", "yes"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("PrivateDevices", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("CapabilityBoundingSet", ""),
        ("RestrictNamespaces", "yes"),
        ("StateDirectory", "scopegate"),
        ("LimitCORE", "0"),
        ("ExecReload", "/bin/kill -HUP $MAINPID"),
    ] {
        assert_eq!(values(&unit, key), [value], "{key}");
    }
    assert_eq!(values(&unit, "SystemCallFilter"), ["@system-service", "~@privileged"]);
    assert!(values(&unit, "LimitNOFILE")[0].parse::<u32>().unwrap() >= 2 * 10_000 + 256, "two for each of `gateway.connections`");
    let settings = shipped("scopegate.yaml");
    let handed: BTreeSet<_> = values(&unit, "LoadCredential").into_iter().map(|credential| credential.split_once(':').unwrap().0).collect();
    let named: BTreeSet<_> = settings.split("${CREDENTIALS_DIRECTORY}/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(handed, named);
    let [command] = values(&unit, "ExecStart")[..] else { panic!("one command") };
    assert_eq!(command, "/usr/local/bin/scopegate serve -c /etc/scopegate/scopegate.yaml");
    // a stop is waited for as long as the settings let it take
    let seconds = |text: &str, key: &str| {
        let value = text.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap().split_whitespace().next().unwrap();
        value.trim_end_matches('s').parse::<u32>().unwrap()
    };
    assert!(seconds(&unit, "TimeoutStopSec=") > seconds(&settings, "drain: ") + seconds(&settings, "grace: "));
}

#[test]
fn systemd_takes_the_unit_and_finds_little_exposed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scopegate.service");
    fs::write(&file, shipped("scopegate.service").replace("/usr/local/bin/scopegate", crate::stage::BINARY)).unwrap();
    let analyze = |arguments: &[&str]| Command::new("systemd-analyze").args(arguments).arg(&file).output();
    let Ok(verified) = analyze(&["verify"]) else {
        println!("systemd-analyze is not on this machine: the unit is read by this test's own rules alone");
        return;
    };
    assert!(verified.status.success() && verified.stderr.is_empty(), "{}", String::from_utf8_lossy(&verified.stderr));
    let secure = analyze(&["security", "--offline=yes", "--threshold=20"]).unwrap();
    assert!(secure.status.success(), "{}", String::from_utf8_lossy(&secure.stdout));
}

/// Instructions of the Dockerfile, each on a line.
fn instructions() -> Vec<(String, String)> {
    let text = shipped("Dockerfile").replace("\\\n", " ");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').unwrap()).map(|(word, rest)| (word.to_owned(), rest.trim().to_owned())).collect()
}

#[test]
fn the_image_runs_as_nobody_without_a_shell() {
    let all = instructions();
    let last_stage = all.iter().rposition(|(word, _)| word == "FROM").unwrap();
    let stages: Vec<_> = all.iter().filter(|(word, _)| word == "FROM").map(|(_, rest)| rest.as_str()).collect();
    assert_eq!(stages.len(), 2, "{stages:?}");
    let version = fs::read_to_string(top().join("Cargo.toml")).unwrap();
    let version = version.lines().find_map(|line| line.strip_prefix("rust-version = \"")).unwrap().trim_end_matches('"').to_owned();
    assert_eq!(stages, [format!("rust:{version}-slim-bookworm AS build"), "debian:bookworm-slim".to_owned()]);
    let here = |word: &str| all[last_stage..].iter().filter(|(found, _)| found == word).map(|(_, rest)| rest.as_str()).collect::<Vec<_>>();
    assert!(here("RUN").is_empty(), "nothing runs in the last stage");
    let [user] = here("USER")[..] else { panic!("one user") };
    assert!(user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "{user}");
    assert!(here("COPY").iter().any(|copy| copy.contains(&format!("--chown={user} ")) && copy.ends_with(" /var/lib/scopegate")));
    let list = |word: &str| serde_json::from_str::<Vec<String>>(here(word)[0]).unwrap();
    assert_eq!(list("ENTRYPOINT"), ["/usr/local/bin/scopegate"]);
    assert_eq!(list("CMD"), ["serve", "-c", "/etc/scopegate/scopegate.yaml"]);
    assert!(here("HEALTHCHECK").is_empty() && here("ADD").is_empty());
    // what is built is what the README builds, and what is copied is what was built
    let [built] = all[..last_stage].iter().filter(|(word, _)| word == "RUN").map(|(_, rest)| rest.as_str()).collect::<Vec<_>>()[..] else {
        panic!("one command builds")
    };
    assert!(built.starts_with("scripts/set-up build && cargo build --release --locked"), "{built}");
    for copied in here("COPY") {
        let source = copied.split_whitespace().find(|word| word.starts_with('/')).unwrap();
        assert!(
            copied.starts_with("--from=build ") && matches!(source.strip_prefix("/build/"), None | Some("target/release/scopegate" | "data")),
            "{copied}"
        );
    }
}

#[test]
fn the_image_is_built_from_all_that_it_needs_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let rules = shipped("Dockerfile.dockerignore");
    let (first, let_through) = rules.split_once('\n').unwrap();
    assert_eq!(first, "*", "nothing goes in that is not named");
    for name in let_through.lines().map(|line| line.strip_prefix('!').unwrap()) {
        let from = top().join(name);
        assert!(from.exists() || name == "benches", "{name}");
        if from.exists() {
            assert!(Command::new("cp").arg("-r").arg(&from).arg(folder.path()).status().unwrap().success());
        }
    }
    assert!(!folder.path().join("target").exists() && !folder.path().join(".git").exists());
    let mut cargo = Command::new(env!("CARGO"));
    let output = cargo.args(["metadata", "--offline", "--locked", "--no-deps", "--format-version", "1"]).current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut included = 0;
    for source in sources(folder.path()) {
        let text = fs::read_to_string(&source).unwrap();
        for name in text.split("include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(source.parent().unwrap().join(name).exists(), "{} needs {name}", source.display());
            included += 1;
        }
    }
    assert!(included > 5);
}

/// All Rust files below.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found
}
