//! The floors of the source: reads every file in `src/` and says where one reaches above its own floor.

#![expect(clippy::expect_used, reason = "a source that can not be read fails the test")]

use std::path::{Path, PathBuf};

/// The floors, lowest first. A module uses only those before it.
const FLOORS: [&str; 20] = [
    "domain",
    "stats",
    "engine",
    "analysis",
    "clock",
    "error",
    "failpoint",
    "database",
    "store",
    "events",
    "live",
    "ingest",
    "admin",
    "jobs",
    "transport",
    "config",
    "telemetry",
    "app",
    "cli",
    "bin",
];

/// Floors that only compute: the same input gives the same output.
const PURE: [&str; 4] = ["domain", "stats", "engine", "analysis"];

/// What a pure floor never names: async, storage, logs, clocks, randomness, files and environment.
const IMPURE: [&str; 9] =
    ["tokio", "sqlx", "tracing", "SystemTime", "Instant", "rand", "std::fs", "std::env", "std::net"];

/// Floors that may hold SQL.
const SQL_FLOORS: [&str; 3] = ["database", "store", "events"];

/// Words that only SQL has.
const SQL: [&str; 9] = [
    "select ",
    "insert into ",
    "delete from ",
    "create table ",
    "create index ",
    "begin immediate",
    "on conflict",
    "order by ",
    "group by ",
];

/// Floors that may name the database's library: those with SQL, and the one that opens and closes it.
const SQLX_FLOORS: [&str; 4] = ["database", "store", "events", "app"];

/// What `transport` reaches only through `live`, `ingest` and `admin`.
const HIDDEN_FROM_TRANSPORT: [&str; 2] = ["store", "events"];

/// One source file.
struct Source {
    path: String,
    text: String,
}

/// A line that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
struct Offence {
    path: String,
    line: usize,
    message: String,
}

#[test]
fn every_module_uses_only_the_floors_below_its_own() {
    assert_none(&sources(), floor_offences);
}

#[test]
fn transport_never_names_the_stores() {
    assert_none(&sources(), transport_offences);
}

#[test]
fn the_pure_floors_name_nothing_that_has_effects() {
    assert_none(&sources(), purity_offences);
}

#[test]
fn sql_stands_only_in_the_stores() {
    assert_none(&sources(), sql_offences);
}

#[test]
fn every_file_opens_with_a_line_that_says_what_it_is() {
    assert_none(&sources(), opening_offences);
}

#[test]
fn every_module_has_a_floor() {
    let missing: Vec<String> = sources()
        .iter()
        .filter(|source| !matches!(source.path.as_str(), "lib.rs" | "main.rs"))
        .filter(|source| rank(&source.floor()).is_none())
        .map(|source| source.path.clone())
        .collect();
    assert!(missing.is_empty(), "no floor is written down for {missing:?}");
}

#[test]
fn an_offending_text_is_found_with_its_line() {
    let source = made_up(
        "engine/evaluate.rs",
        "//! Made up.\n\nuse crate::domain::gate::Gate;\nuse crate::{\n    domain::user::User,\n    store::Store,\n};\n\
         // crate::cli in a comment is no use of it.\nfn now() { crate::clock::Clock::system(); super::super::live::x(); }\n",
    );
    let found: Vec<(usize, String)> =
        floor_offences(&source).into_iter().map(|offence| (offence.line, offence.message)).collect();
    let above = |name: &str| format!("`engine` uses `{name}`, which is a floor above it");
    assert_eq!(found, [(6, above("store")), (9, above("clock")), (9, above("live"))]);
}

#[test]
fn offending_words_are_found() {
    let source = made_up(
        "transport/grpc/made_up.rs",
        "use crate::events::Appended;\nuse sqlx::Row;\nconst Q: &str = \"select 1\";\n",
    );
    assert_eq!(transport_offences(&source).len(), 2);
    assert_eq!(sql_offences(&source).len(), 2);
    assert_eq!(opening_offences(&source).len(), 1);
    let source = made_up("stats/made_up.rs", "//! Made up.\nuse std::time::Instant;\nlet operand = 1;\n");
    assert_eq!(purity_offences(&source).len(), 1);
}

/// Names above the file's own floor.
fn floor_offences(source: &Source) -> Vec<Offence> {
    let own = source.floor();
    let Some(own_rank) = rank(&own) else {
        return Vec::new();
    };
    references(source)
        .into_iter()
        .filter(|(_, name)| rank(name).is_some_and(|rank| rank > own_rank))
        .map(|(line, name)| source.offence(line, format!("`{own}` uses `{name}`, which is a floor above it")))
        .collect()
}

fn transport_offences(source: &Source) -> Vec<Offence> {
    if source.floor() != "transport" {
        return Vec::new();
    }
    let hidden = references(source)
        .into_iter()
        .filter(|(_, name)| HIDDEN_FROM_TRANSPORT.contains(&name.as_str()))
        .map(|(line, name)| source.offence(line, format!("`transport` names `{name}`")));
    hidden.chain(word_offences(source, &["sqlx"])).collect()
}

fn purity_offences(source: &Source) -> Vec<Offence> {
    if PURE.contains(&source.floor().as_str()) { word_offences(source, &IMPURE) } else { Vec::new() }
}

fn sql_offences(source: &Source) -> Vec<Offence> {
    let floor = source.floor();
    let mut offences = Vec::new();
    if !SQL_FLOORS.contains(&floor.as_str()) {
        for (line, text) in source.code() {
            let found = SQL.iter().find(|words| text.contains(*words));
            offences
                .extend(found.map(|words| source.offence(line, format!("holds SQL: `{}`", words.trim()))));
        }
    }
    if !SQLX_FLOORS.contains(&floor.as_str()) {
        offences.extend(word_offences(source, &["sqlx"]));
    }
    offences
}

fn opening_offences(source: &Source) -> Vec<Offence> {
    let opens = source.text.starts_with("//! ");
    let message = "does not open with a `//!` line that says what it is".to_owned();
    if opens { Vec::new() } else { vec![source.offence(1, message)] }
}

/// Lines that name one of the words, as whole words.
fn word_offences(source: &Source, words: &[&str]) -> Vec<Offence> {
    let named = |text: &str, word: &str| {
        text.match_indices(word).any(|(at, _)| {
            let before = text.get(..at).and_then(|text| text.chars().next_back());
            let after = text.get(at + word.len()..).and_then(|text| text.chars().next());
            !before.is_some_and(is_name) && !after.is_some_and(is_name)
        })
    };
    let mut offences = Vec::new();
    for (line, text) in source.code() {
        let found = words.iter().find(|word| named(text, word));
        offences.extend(found.map(|word| source.offence(line, format!("names `{word}`"))));
    }
    offences
}

/// The modules that a file refers to from the crate's root, each with its line.
fn references(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    // The names of a group that is still open, and how deep its braces are.
    let mut depth = 0_usize;
    for (line, text) in source.code() {
        let mut rest = text;
        while !rest.is_empty() {
            if depth > 0 {
                rest = take_group(rest, &mut depth, |name| found.push((line, name)));
                continue;
            }
            let Some(path) = after_root(rest, source.depth()) else {
                break;
            };
            if let Some(group) = path.strip_prefix('{') {
                depth = 1;
                rest = group;
            } else {
                found.push((line, first_name(path)));
                rest = path;
            }
        }
    }
    found.retain(|(_, name)| !name.is_empty());
    found
}

/// What follows the first path from the crate's root: `crate::`, or as many `super::` as the file is deep.
fn after_root(text: &str, depth: usize) -> Option<&str> {
    let supers = "super::".repeat(depth);
    let starts = ["crate::", supers.as_str()];
    let place = |start: &str| {
        let mut places = text.match_indices(start).map(|(at, _)| (at, at + start.len()));
        places.find(|(at, _)| {
            !text
                .get(..*at)
                .and_then(|before| before.chars().next_back())
                .is_some_and(|c| is_name(c) || c == '$')
        })
    };
    let (_, end) = starts.iter().filter_map(|start| place(start)).min()?;
    text.get(end..)
}

/// Reads the names of a group up to its end or the line's; gives what follows.
fn take_group<'t>(text: &'t str, depth: &mut usize, mut found: impl FnMut(String)) -> &'t str {
    let mut name_begins = true;
    for (at, c) in text.char_indices() {
        match c {
            '{' => *depth += 1,
            '}' => *depth -= 1,
            ',' => name_begins = true,
            _ if is_name(c) && name_begins && *depth == 1 => {
                found(first_name(text.get(at..).unwrap_or_default()));
                name_begins = false;
            }
            _ => {}
        }
        if *depth == 0 {
            return text.get(at + 1..).unwrap_or_default();
        }
    }
    ""
}

fn first_name(path: &str) -> String {
    path.chars().take_while(|c| is_name(*c)).collect()
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn rank(floor: &str) -> Option<usize> {
    FLOORS.iter().position(|name| *name == floor)
}

impl Source {
    /// The top module that the file belongs to.
    fn floor(&self) -> String {
        first_name(&self.path)
    }

    /// How many modules deep the file is.
    fn depth(&self) -> usize {
        let parts = self.path.split('/').count();
        if self.path.ends_with("/mod.rs") { parts - 1 } else { parts }
    }

    /// Whether the file holds nothing but tests.
    fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.contains("/tests/")
    }

    /// Numbered lines without comments, up to the tests.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_test = self.is_test();
        let of_program = move |line: &&str| !is_test && !line.trim_start().starts_with("#[cfg(test)]");
        let lines = self.text.lines().take_while(of_program);
        // A `//` after a colon is part of an address.
        let code = lines.map(|line| match line.find("//") {
            Some(at) if !line.get(..at).is_some_and(|before| before.ends_with(':')) => {
                line.get(..at).unwrap_or_default()
            }
            _ => line,
        });
        code.enumerate().map(|(index, line)| (index + 1, line))
    }

    fn offence(&self, line: usize, message: String) -> Offence {
        Offence { path: self.path.clone(), line, message }
    }
}

fn made_up(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

fn assert_none(sources: &[Source], check: impl Fn(&Source) -> Vec<Offence>) {
    let offences: Vec<String> = sources
        .iter()
        .flat_map(check)
        .map(|offence| format!("src/{}:{}: {}", offence.path, offence.line, offence.message))
        .collect();
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

/// Every file in `src/`.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    assert!(files.len() > 50, "only {} files were found", files.len());
    let source = |file: &PathBuf| {
        let path = file.strip_prefix(&root).expect("below src").to_string_lossy().replace('\\', "/");
        Source { path, text: std::fs::read_to_string(file).expect("a readable source") }
    };
    files.iter().map(source).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
