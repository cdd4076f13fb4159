//! Reads the glossary and fails on a word of its last column in product code, names and documents: such a word is used for
//! something that has another name. Words that mean something else as well cannot be checked; they are listed here.

use std::fmt::Write;
use std::path::{Path, PathBuf};

const GLOSSARY: &str = "docs/glossary.md";

/// Words of the last column that are right elsewhere, with what they mean there.
const OTHER_MEANINGS: &[(&str, &str)] = &[
    ("acknowledged", "what a broker or an answer says of a write"),
    ("booking", "the slot-booking scenario"),
    ("bucket", "of a histogram"),
    ("claim", "the record that begins an epoch; the lines of a reservation"),
    ("cold", "an attribute of Rust"),
    ("command", "an input to decide"),
    ("commit", "of SQL and of Git"),
    ("config", "a file of settings, and the command that checks it"),
    ("consumer", "of a broker"),
    ("cursor", "of a list in the API"),
    ("dependencies", "crates of others"),
    ("error", "a fault"),
    ("event", "a recorded fact"),
    ("example", "in documents and in the OpenAPI document"),
    ("flag", "of the command line"),
    ("hash", "of a table in memory"),
    ("heartbeat", "of RabbitMQ"),
    ("in flight", "said of requests, and a setting of Kafka"),
    ("lock", "of a file or of a value in memory"),
    ("log line", "of the server's own messages"),
    ("lsn", "of PostgreSQL"),
    ("message", "of a broker, and of the server to its operator"),
    ("metadata", "of files and of crates"),
    ("middleware", "of the router's library"),
    ("order", "what comes first, and a message format"),
    ("payload", "of a frame and of a message"),
    ("pending", "of Rust's futures, and a code of the API"),
    ("pool", "of a pooler before PostgreSQL"),
    ("product", "of a message format"),
    ("purge", "of Kafka's client"),
    ("quota", "of a disk"),
    ("range", "of numbers and bytes"),
    ("request", "of HTTP"),
    ("row", "of a table"),
    ("seat", "in a hall"),
    ("seed", "of random numbers"),
    ("shard", "of an index in memory"),
    ("shutdown", "of a socket"),
    ("snapshot", "the state on disk"),
    ("transaction", "of a database"),
    ("user", "whoever runs onrush, and a name to log in with"),
    ("view", "what readers of a partition see"),
    ("wal", "of PostgreSQL"),
    ("watermark", "of Kafka's client"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
}

/// The words that the glossary lists as not used, each with the word to use instead.
fn unwanted(glossary: &str) -> Vec<(String, String)> {
    let mut words = Vec::new();
    for line in glossary.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", wanted, _, unwanted, ""] = cells.as_slice() else { continue };
        let is_head = *unwanted == "not" || unwanted.starts_with('-');
        for one in unwanted.split([';', ',']).filter(|_| !is_head) {
            let word = as_words(one.split(':').next().unwrap_or(one));
            if !word.trim().is_empty() {
                words.push((word.trim().to_owned(), wanted.replace(['*', '`'], "")));
            }
        }
    }
    words
}

/// A line as small words with a blank around each, names taken apart and addresses of pages left out.
fn as_words(line: &str) -> String {
    let mut words = String::from(" ");
    let mut before = ' ';
    let mut in_address = false;
    for (at, sign) in line.char_indices() {
        in_address = line[at..].starts_with("://") || (in_address && !sign.is_whitespace() && sign != ')');
        if sign.is_uppercase() && before.is_lowercase() {
            words.push(' ');
        }
        if sign.is_alphanumeric() && !in_address {
            words.extend(sign.to_lowercase());
        } else if !words.ends_with(' ') {
            words.push(' ');
        }
        before = sign;
    }
    words.push(' ');
    words
}

/// The unwanted words of a line, alone or as part of a name, in singular or plural.
fn found<'a>(unwanted: &'a [(String, String)], line: &str) -> Vec<&'a (String, String)> {
    let words = as_words(line);
    let is_in = |word: &str| words.contains(&format!(" {word} ")) || words.contains(&format!(" {word}s "));
    unwanted.iter().filter(|(word, _)| is_in(word)).collect()
}

fn has_other_meaning(word: &str) -> bool {
    OTHER_MEANINGS.iter().any(|(other, _)| *other == word)
}

/// Product code and documents. The glossary lists the words, and the changelog tells what was once called by them.
fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![root().to_owned(), root().join("docs")];
    for crate_directory in std::fs::read_dir(root().join("crates")).expect("read the folder of crates") {
        directories.push(crate_directory.expect("read an entry of a directory").path().join("src"));
    }
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).expect("read a directory of the repository") {
            let path = entry.expect("read an entry of a directory").path();
            let is_text = path.extension().is_some_and(|found| found == "rs" || found == "md");
            let is_list = path.ends_with(GLOSSARY) || path.ends_with("CHANGELOG.md");
            if path.is_dir() && directory != root() {
                directories.push(path);
            } else if is_text && !is_list {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[test]
fn words_of_the_glossary_are_used() {
    let mut words = unwanted(&read(&root().join(GLOSSARY)));
    words.retain(|(word, _)| !has_other_meaning(word));
    assert!(words.len() > 10, "the glossary was read");
    let files = files();
    assert!(files.len() > 100, "the repository was read");
    let mut report = String::new();
    for file in files {
        let path = file.strip_prefix(root()).expect("the file lies in the repository");
        for (index, line) in read(&file).lines().enumerate() {
            for (word, wanted) in found(&words, line) {
                let place = format!("{}:{}", path.display(), index + 1);
                writeln!(report, "{place}: {word:?} is not used for: {wanted}")
                    .expect("a String takes every write");
            }
        }
    }
    assert!(
        report.is_empty(),
        "\n{report}Use the word of {GLOSSARY}. If this is something else that has no other name, add the word to \
         OTHER_MEANINGS in {} with what it means.",
        file!()
    );
}

#[test]
fn what_has_another_meaning_is_in_the_glossary() {
    let words = unwanted(&read(&root().join(GLOSSARY)));
    let gone: Vec<_> =
        OTHER_MEANINGS.iter().filter(|(other, _)| words.iter().all(|(word, _)| word != other)).collect();
    assert!(gone.is_empty(), "the last column of {GLOSSARY} no longer has {gone:?}: remove them here");
}

#[test]
fn unwanted_words_are_found() {
    let glossary = "| word | meaning | not |\n|---|---|---|\n| **Route** | A `path`. | endpoint, fast path; user: whoever |\n\
                    | **Two** | Cells. |\n| **Sale** | Opens. | |\n";
    let words = unwanted(glossary);
    let names: Vec<&str> = words.iter().map(|(word, _)| word.as_str()).collect();
    assert_eq!(names, ["endpoint", "fast path", "user"]);
    for (line, expected) in [
        ("An endpoint.", &["endpoint"][..]),
        ("let endpoints_max = 3;", &["endpoint"]),
        ("struct MyEndpoint(User);", &["endpoint", "user"]),
        ("/// The fast-path is", &["fast path"]),
        ("const FAST_PATH: u8", &["fast path"]),
        ("the breakfast path of username and endpointed", &[]),
        ("[a](https://example.org/user/endpoint) b", &[]),
        ("[a](https://example.org/user) endpoint", &["endpoint"]),
    ] {
        let found: Vec<&str> = found(&words, line).iter().map(|(word, _)| word.as_str()).collect();
        assert_eq!(found, expected, "{line}");
    }
}
