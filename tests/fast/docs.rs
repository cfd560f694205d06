//! What the documents name is there: files, tests and modules in backticks, and what links lead to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regex::Regex;

use crate::support::output::files;
use crate::support::service::REPOSITORY;

/// Named, and not checked in.
const ELSEWHERE: [&str; 1] = ["fuzz/corpus"];
/// What begins the names of metrics, and of functions that are not ours.
const NO_TESTS: [&str; 2] = ["alluvium_", "rd_kafka_"];

/// A document, the line, and what is not there.
type Missing = (String, usize, String);

/// Calls `check` with each line of each document; it gives what the line names in vain.
fn check(check: impl Fn(&Path, &str) -> Vec<String>) {
    let mut documents: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md"].map(PathBuf::from).into();
    let of_docs = files(&Path::new(REPOSITORY).join("docs")).into_iter();
    documents.extend(of_docs.map(|name| Path::new("docs").join(name)));
    documents.retain(|document| document.extension().is_some_and(|name| name == "md"));
    assert!(documents.len() > 5, "{documents:?}");
    let mut missing: Vec<Missing> = Vec::new();
    for document in documents {
        let text = std::fs::read_to_string(Path::new(REPOSITORY).join(&document)).unwrap();
        for (number, line) in (1..).zip(text.lines()) {
            let of_line = check(&document, line).into_iter();
            missing.extend(of_line.map(|what| (document.display().to_string(), number, what)));
        }
    }
    assert_eq!(missing, []);
}

fn exists(path: impl AsRef<Path>) -> bool {
    Path::new(REPOSITORY).join(path).exists()
}

#[test]
fn files_that_documents_name_or_link_to_are_there() {
    let named =
        Regex::new(r"`((?:src|tests|benches|fuzz|targets|config|docs|scripts)/[\w./-]+)`").unwrap();
    let linked = Regex::new(r"\]\(([\w./-]+)(?:#[\w-]*)?\)").unwrap();
    check(|document, line| {
        let named = named.captures_iter(line).map(|found| found[1].to_owned());
        let named = named.filter(|path| !ELSEWHERE.contains(&path.as_str()) && !exists(path));
        let linked = linked.captures_iter(line).map(|found| found[1].to_owned());
        let directory = document.parent().unwrap();
        let linked = linked.filter(|path| !exists(directory.join(path)));
        named.chain(linked).collect()
    });
}

/// The program's sources and tests, by their paths.
fn sources() -> BTreeMap<String, String> {
    let mut sources = BTreeMap::new();
    for directory in ["src", "tests", "targets", "benches"] {
        for name in files(&Path::new(REPOSITORY).join(directory)) {
            if name.ends_with(".rs") {
                let path = format!("{directory}/{name}");
                let text = std::fs::read_to_string(Path::new(REPOSITORY).join(&path)).unwrap();
                sources.insert(path, text);
            }
        }
    }
    sources
}

/// Whether some file has a function or a module of this name.
fn has<'a>(mut files: impl Iterator<Item = (&'a String, &'a String)>, name: &str) -> bool {
    let item = Regex::new(&format!(r"\b(?:fn|mod) {name}\b")).unwrap();
    files.any(|(_, text)| item.is_match(text))
}

/// They are named by file and function, by module and function, or, behind another of the same place, by function alone.
#[test]
fn tests_that_documents_name_are_there() {
    let in_file = Regex::new(r"`([a-z][\w/.-]*\.rs)` `([a-z0-9_]+)`").unwrap();
    let in_module = Regex::new(r"`([a-z0-9_]+)((?:::[a-z0-9_]+)*)::([a-z0-9_]+)`").unwrap();
    let alone = Regex::new(r"`…?([a-z0-9]+(?:_[a-z0-9]+){3,})`").unwrap();
    let sources = sources();
    check(|_, line| {
        let mut missing = Vec::new();
        for found in in_file.captures_iter(line) {
            let file = sources.get_key_value(&found[1]);
            if !has(file.into_iter(), &found[2]) {
                missing.push(found[0].to_owned());
            }
        }
        for found in in_module.captures_iter(line) {
            let ours = ["", ".rs"].map(|end| exists(format!("src/{}{end}", &found[1])));
            let path = format!("src/{}{}", &found[1], found[2].replace("::", "/"));
            let within = |path: &str, of: &str| {
                let rest = path.strip_prefix(of);
                rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
            };
            let module = format!("{path}/{}", &found[3]);
            let is_module = sources.keys().any(|path| within(path, &module));
            let mut of_module = sources.iter().filter(|(name, _)| within(name, &path));
            if ours.contains(&true) && !is_module && !has(&mut of_module, &found[3]) {
                missing.push(found[0].to_owned());
            }
        }
        for found in alone.captures_iter(line) {
            let is_test = !NO_TESTS.iter().any(|start| found[1].starts_with(start));
            if is_test && !has(sources.iter(), &found[1]) {
                missing.push(found[0].to_owned());
            }
        }
        missing
    });
}
