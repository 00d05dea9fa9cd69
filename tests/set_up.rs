//! `scripts/set-up` on machines that lack something, with stand-ins for the commands that would change this one.

#![expect(clippy::unwrap_used, reason = "these are tests, also where a function is none")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/set-up");

/// A machine whose only commands are those given, each a shell script, and what every Debian has.
fn machine(commands: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["sh", "dirname", "env", "echo"] {
        let real = ["/bin", "/usr/bin"].iter().map(|place| Path::new(place).join(name)).find(|path| path.exists()).unwrap();
        symlink(real, folder.path().join(name)).unwrap();
    }
    for (name, script) in commands {
        let path = folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

fn set_up(machine: &tempfile::TempDir, what: &str) -> Output {
    Command::new("/bin/sh").args([SCRIPT, what]).env_clear().env("PATH", machine.path()).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_machine_that_has_all_needs_neither_root_nor_sudo() {
    let output = set_up(&machine(&[("cmake", "exit 0"), ("id", "echo 1000")]), "build");
    assert_eq!((output.status.code(), text(&output.stdout), text(&output.stderr)), (Some(0), "", ""));
}

#[test]
fn without_root_and_sudo_it_stops_with_the_one_line_that_is_needed() {
    let output = set_up(&machine(&[("id", "echo 1000"), ("apt-get", "echo must not run")]), "test");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""));
    assert_eq!(
        text(&output.stderr),
        "missing: cmake python3-venv curl chromium nodejs npm nginx-light. As root: apt-get install -y --no-install-recommends cmake python3-venv curl chromium nodejs npm nginx-light\n"
    );
}

#[test]
fn root_installs_what_is_missing_and_nothing_else() {
    let commands = [("id", "echo 0"), ("apt-get", "echo apt-get \"$@\" as \"$DEBIAN_FRONTEND\""), ("sudo", "echo must not run")];
    let output = set_up(&machine(&commands), "build");
    assert_eq!(
        (output.status.code(), text(&output.stdout)),
        (Some(0), "apt-get update -qq as noninteractive\napt-get install -y --no-install-recommends cmake as noninteractive\n")
    );
}

#[test]
fn somebody_else_installs_by_sudo() {
    let output = set_up(&machine(&[("id", "echo 1000"), ("apt-get", "echo apt-get \"$@\""), ("sudo", "echo sudo; exec \"$@\"")]), "build");
    assert_eq!((output.status.code(), text(&output.stdout).matches("sudo").count()), (Some(0), 2), "{output:?}");
}
