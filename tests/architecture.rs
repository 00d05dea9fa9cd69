//! The house keeps its shape: modules import only from rows above, and what has a door goes through its door.
//!
//! Reads the sources as text. Comments and tests are left out.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "these are tests, also where a function is none"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules of `core/src`, a row a line; what stands in one row may import each other.
const CORE: &[&[&str]] = &[
    &["id"],
    &["scope", "secret", "time", "json"],
    &["request", "connector", "account"],
    &["answer", "inspect"],
    &["policy"],
    &["import"],
    &["refusal"],
    &["oauth"],
    &["refresh"],
];

/// Modules of `src`.
const ROOT: &[&[&str]] = &[
    &["clock", "chance", "process", "new_file"],
    &["tasks"],
    &["egress", "metrics"],
    &["http_client", "certificates"],
    &["store"],
    &["audit", "catalog"],
    &["vault"],
    &["directory"],
    &["caller", "limits"],
    &["grants"],
    &["gateway"],
    &["proxy"],
    &["admin"],
    &["practice"],
    &["settings"],
    &["logs"],
    &["app"],
    &["doctor"],
    &["dev"],
    &["cli"],
];

/// A name, the places that may use it, and why.
struct Door {
    name: &'static str,
    places: &'static [&'static str],
    why: &'static str,
}

const fn door(name: &'static str, places: &'static [&'static str], why: &'static str) -> Door {
    Door { name, places, why }
}

const DOORS: &[Door] = &[
    door("pingora", &["src/proxy/"], "only `proxy` names pingora"),
    door("axum", &["src/admin/", "src/practice/"], "only `admin` and `practice` name the web framework"),
    door("println!", &["src/cli/", "src/main.rs"], "only `cli` and `main` print"),
    door("print!", &["src/cli/", "src/main.rs"], "only `cli` and `main` print"),
    door("eprintln!", &["src/cli/", "src/main.rs"], "only `cli` and `main` print"),
    door("eprint!", &["src/cli/", "src/main.rs"], "only `cli` and `main` print"),
    door("stdout", &["src/cli/", "src/main.rs"], "only `cli` and `main` print"),
    door("stderr", &["src/cli/", "src/main.rs", "src/logs.rs"], "only `cli` and `main` print, and logs go to stderr"),
    door("env::var", &["src/settings/"], "only `settings` reads the environment"),
    door("env::var_os", &["src/settings/"], "only `settings` reads the environment"),
    door("env::vars", &["src/settings/"], "only `settings` reads the environment"),
    door("SystemTime", &["src/clock.rs"], "only `clock` asks what time it is"),
    door("Instant::now", &["src/clock.rs"], "only `clock` asks what time it is"),
    door("aws_lc_rs::rand", &["src/chance.rs"], "only `chance` draws random numbers"),
    door("getrandom", &["src/chance.rs"], "only `chance` draws random numbers"),
    door("tokio::spawn", &["src/tasks.rs"], "only `tasks` spawns"),
    door("spawn_blocking", &["src/tasks.rs"], "only `tasks` spawns"),
    door("JoinSet", &["src/tasks.rs"], "only `tasks` spawns"),
    door("thread::spawn", &["src/tasks.rs"], "only `tasks` spawns"),
    door("thread::Builder", &["src/tasks.rs"], "only `tasks` spawns"),
    door("httparse", &["core/src/request/"], "only `core::request` parses what came from the network"),
];

/// What the core never touches.
const NEVER_IN_CORE: &[&str] = &["tokio", "std::fs", "std::env", "std::thread", "std::process", "TcpStream", "TcpListener", "UdpSocket", "anyhow"];

/// A source file, comments and tests blanked out; lines keep their numbers.
struct Source {
    path: String,
    lines: usize,
    code: String,
}

fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut files, mut tests) = (Vec::new(), BTreeSet::new());
    walk(&root.join(folder), &mut files);
    files.sort();
    let mut read = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let home = if file.ends_with("mod.rs") || file.ends_with("lib.rs") { file.parent().unwrap().to_path_buf() } else { file.with_extension("") };
        tests.extend(test_modules(&text).into_iter().map(|name| home.join(name)));
        read.push((file, text));
    }
    read.retain(|(file, _)| !tests.iter().any(|test| file.with_extension("") == *test || file.starts_with(test)));
    let path = |file: &Path| file.strip_prefix(root).unwrap().display().to_string();
    read.into_iter().map(|(file, text)| Source { path: path(&file), lines: text.lines().count(), code: code(&text) }).collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Names of modules that are there for tests alone and live in files of their own.
fn test_modules(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let pairs = lines.windows(2).filter(|pair| pair[0].trim() == "#[cfg(test)]");
    pairs.filter_map(|pair| pair[1].trim().strip_suffix(';')?.split("mod ").nth(1).map(str::to_owned)).collect()
}

/// The text without comments and without inline modules for tests (rustfmt ends such a module with a brace of its own indentation).
fn code(text: &str) -> String {
    let mut kept = String::new();
    let (mut awaited, mut end) = (false, None::<String>);
    for line in text.lines() {
        let bare = line.trim_start();
        let indentation = &line[..line.len() - bare.len()];
        if let Some(brace) = &end {
            if line == brace {
                end = None;
            }
        } else if bare == "#[cfg(test)]" {
            awaited = true;
        } else if std::mem::take(&mut awaited) && bare.ends_with('{') {
            end = Some(format!("{indentation}}}"));
        } else if !bare.starts_with("//") {
            kept.push_str(line.split(" // ").next().unwrap());
        }
        kept.push('\n');
    }
    kept
}

/// Where `name` stands as a whole word, as line numbers.
fn lines_with(code: &str, name: &str) -> Vec<usize> {
    let is_word = |character: Option<char>| character.is_some_and(|character| character.is_alphanumeric() || character == '_');
    let mut found = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let whole = |at: usize| !is_word(line[..at].chars().next_back()) && !is_word(line[at + name.len()..].chars().next());
        if line.match_indices(name).any(|(at, _)| whole(at)) {
            found.push(number + 1);
        }
    }
    found
}

/// The modules of this crate that the code names, each with its line.
fn imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let rest = &code[at + "crate::".len()..];
        let names = match rest.strip_prefix('{') {
            Some(group) => first_words(group),
            None => vec![word(rest)],
        };
        found.extend(names.into_iter().map(|name| (line, name)));
    }
    found
}

fn word(text: &str) -> String {
    text.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect()
}

/// The first word of each item in `a::b, c::{d, e}, f}`.
fn first_words(group: &str) -> Vec<String> {
    let (mut depth, mut item, mut names) = (0_usize, String::new(), Vec::new());
    for character in group.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(word(std::mem::take(&mut item).trim())),
            _ => (),
        }
        if character != ',' || depth > 0 {
            item.push(character);
        }
    }
    names.push(word(item.trim()));
    names.retain(|name| !name.is_empty());
    names
}

fn module_of(path: &str, folder: &str) -> String {
    let inner = path.strip_prefix(folder).unwrap().trim_start_matches('/');
    inner.split('/').next().unwrap().trim_end_matches(".rs").to_owned()
}

fn wrong_rows(folder: &str, rows: &[&[&str]]) -> Vec<String> {
    let row_of = |module: &str| rows.iter().position(|row| row.contains(&module));
    let mut wrong = Vec::new();
    for source in sources(folder) {
        let module = module_of(&source.path, folder);
        if matches!(module.as_str(), "lib" | "main") {
            continue;
        }
        let Some(own) = row_of(&module) else {
            wrong.push(format!("{}:1: `{module}` stands in no row: give it one in tests/architecture.rs", source.path));
            continue;
        };
        for (line, name) in imports(&source.code) {
            if row_of(&name).is_some_and(|row| row > own) {
                wrong.push(format!("{}:{line}: `{module}` imports `{name}`, which stands below it", source.path));
            }
        }
    }
    wrong
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn a_module_imports_only_from_rows_above_it() {
    let wrong: Vec<String> = wrong_rows("core/src", CORE).into_iter().chain(wrong_rows("src", ROOT)).collect();
    assert_none(&wrong);
}

#[test]
fn what_has_a_door_goes_through_it() {
    let mut wrong = Vec::new();
    for source in sources("core/src").into_iter().chain(sources("src")) {
        for door in DOORS.iter().filter(|door| !door.places.iter().any(|place| source.path.starts_with(place))) {
            wrong
                .extend(lines_with(&source.code, door.name).into_iter().map(|line| format!("{}:{line}: `{}`: {}", source.path, door.name, door.why)));
        }
    }
    assert_none(&wrong);
}

#[test]
fn the_core_touches_nothing_of_the_world() {
    let mut wrong = Vec::new();
    for source in sources("core/src") {
        for name in NEVER_IN_CORE {
            wrong.extend(lines_with(&source.code, name).into_iter().map(|line| format!("{}:{line}: `{name}` in the core", source.path)));
        }
    }
    assert_none(&wrong);
}

/// The lines of code in front of each of these lines, up to and with the beginning of the type that it is a part of.
fn heads_of_types<'s>(source: &'s Source, holding: &'s str) -> impl Iterator<Item = (usize, String)> + 's {
    let lines: Vec<&str> = source.code.lines().collect();
    lines_with(&source.code, holding).into_iter().filter_map(move |number| {
        let begins = |line: &&str| line.ends_with('{') && ["struct", "enum"].iter().any(|word| !lines_with(line, word).is_empty());
        let at = lines[..number].iter().rposition(begins)?;
        let within = lines[at..number - 1].iter().all(|line| !line.starts_with('}'));
        let attributes = lines[..at].iter().rev().take_while(|line| line.trim_start().starts_with("#[") || line.trim().is_empty());
        (within && lines[number - 1].contains(": ")).then(|| (number, attributes.copied().collect()))
    })
}

#[test]
fn what_is_wiped_is_not_shown() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for source in sources("core/src").into_iter().chain(sources("src")) {
        for (number, head) in heads_of_types(&source, "Zeroizing") {
            seen += 1;
            if ["Debug", "Display", "Serialize"].iter().any(|shown| !lines_with(&head, shown).is_empty()) {
                wrong.push(format!("{}:{number}: a secret in a type that can be shown", source.path));
            }
        }
    }
    assert!(seen >= 4, "{seen} types were looked at");
    assert_none(&wrong);
}

/// Whether a secret's text stands next to a comparison.
fn compares_a_secret(line: &str) -> bool {
    let next_to = |(at, by): (usize, &str)| {
        let right = line[at + by.len()..].split([' ', '{', ',', ';']).next().unwrap_or_default();
        line[..at].ends_with("reveal()") || right.ends_with("reveal()")
    };
    [" == ", " != "].iter().any(|by| line.match_indices(by).any(next_to))
}

/// Whoever can try may learn from how long a comparison takes: secrets are compared as digests, or by `constant_time`.
#[test]
fn secrets_are_not_compared_byte_by_byte() {
    for (line, expected) in [
        ("if token.reveal() == given {", true),
        ("if given != *self.token.reveal() {", true),
        ("a == b && user.chain(token.reveal())", false),
        ("if name == wanted => format!(\"{}\", token.reveal()),", false),
    ] {
        assert_eq!(compares_a_secret(line), expected, "{line}");
    }
    let mut wrong = Vec::new();
    // The practice servers have no secrets.
    for source in sources("core/src").into_iter().chain(sources("src")).filter(|source| !source.path.starts_with("src/practice/")) {
        let lines = source.code.lines().enumerate().filter(|(_, line)| compares_a_secret(line));
        wrong.extend(lines.map(|(at, line)| format!("{}:{}: {}", source.path, at + 1, line.trim())));
    }
    assert_none(&wrong);
}

/// Tells, and never fails: a long file may have its reason.
#[test]
fn long_files_are_told() {
    for source in ["core/src", "src"].into_iter().flat_map(sources).filter(|source| source.lines > 600) {
        println!("{} has {} lines: is there a reason?", source.path, source.lines);
    }
}

#[test]
fn this_reader_sees_what_it_should() {
    let text = "use crate::{app, store::{Store, self}, logs};\n// crate::cli\nlet a = crate::dev::line();\n#[cfg(test)]\nmod tests {\n    use crate::cli;\n}\nscopegate_crate::x();\n";
    let found = imports(&code(text));
    assert_eq!(found, [(1, "app".into()), (1, "store".into()), (1, "logs".into()), (3, "dev".into())]);
    assert_eq!(lines_with("a\npingora::x\nno_pingora\npingoras", "pingora"), [2]);
    assert_eq!(test_modules("#[cfg(test)]\nmod tests;\nmod other;\n#[cfg(test)]\npub(crate) mod fixture;"), ["tests", "fixture"]);
}
