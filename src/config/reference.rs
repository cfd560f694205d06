//! All keys as documents: for a terminal, and as docs/configuration.md.

use super::client::REFUSED;
use super::key::{Key, Section, Status};
use super::keys::{CLIENT_PREFIX, ORIGINAL, SERVED};
use super::names::variable_of;

/// Every key with its values, default and meaning, for a terminal.
pub fn reference_text() -> String {
    let mut out = String::from(
        "Keys of a .properties file. An environment variable overrides each: kafka.group.id is\n\
         ALLUVIUM_KAFKA_GROUP_ID. Durations: 100ms, 15s, 1.5m, 2h, 1d. Sizes are binary: 512kB, 256MB, 2GB.\n",
    );
    for section in Section::SERVED {
        out += &format!("\n{}\n", section.title().to_uppercase());
        for key in served(section) {
            let secret = if key.secret { ", secret" } else { "" };
            out += &format!("\n  {}\n", key.name);
            let default = match key.default {
                Some(_) => format!("default {}", default(key)),
                None => default(key),
            };
            out += &format!("      {}{secret}; {}\n", key.kind.name(), plain(&default));
            out += &wrap(&plain(key.meaning), 92, "      ");
        }
        if section == Section::Kafka {
            out += &format!("\n  {CLIENT_PREFIX}<setting>\n      text\n");
            out += &wrap(&plain(CLIENT_MEANING), 92, "      ");
        }
    }
    out += "\nKEYS OF RAKAM-API-COLLECTOR\n\n  Not served yet, refused unless empty:\n";
    let names = |later| {
        original(later)
            .map(|key| key.name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    out += &wrap(&names(true), 92, "      ");
    out += "  Without effect, accepted with a warning:\n";
    out += &wrap(&names(false), 92, "      ");
    out
}

/// docs/configuration.md.
pub fn reference_markdown() -> String {
    let mut out = String::from(INTRO);
    for section in Section::SERVED {
        out += &format!("\n### {}\n\n", section.title());
        out += "| key | values | default | meaning |\n|---|---|---|---|\n";
        for key in served(section) {
            let kind = cell(&key.kind.name());
            let secret = if key.secret { ", secret" } else { "" };
            let (default, meaning) = (cell(&default(key)), cell(key.meaning));
            out += &format!(
                "| `{}` | {kind}{secret} | {default} | {meaning} |\n",
                key.name
            );
        }
        if section == Section::Kafka {
            out += &client_markdown();
        }
    }
    out + &original_markdown()
}

const CLIENT_MEANING: &str = "Any setting of the Kafka client, librdkafka, by librdkafka's name, such as `kafka.client.security.protocol`. Those that delivery depends on are refused.";

const INTRO: &str = "\
# Configuration

<!-- Generated from src/config/keys.rs and src/config/keys/. To write it anew: ALLUVIUM_UPDATE_DOCS=1 cargo test --lib config -->

One `.properties` file, given by `--config`, says everything. A few lines suffice:

```properties
stream.source=kafka
kafka.nodes=broker-1:9092,broker-2:9092
kafka.topic=events
kafka.group.id=alluvium
source.data-format=JSON
target=s3
target.aws.s3-bucket=my-events
target.aws.region=eu-central-1
```

[`config/`](../config) has commented files to begin with. `alluvium check --config FILE` tells whether a file is right
without reading a record; `alluvium config` prints the keys below.

## Syntax

The file is read by the rules of `java.util.Properties`: `key=value`, `key: value` or `key value`; `#` or `!` begins a
comment line; a backslash at the end of a line continues it in the next, whose leading white space is dropped. `\\t`, `\\n`, `\\r`,
`\\f` and `\\uXXXX` are escapes, any other backslash only protects the character behind it, so a backslash is written `\\\\`.
The file is UTF-8, or ISO-8859-1 if it is not valid UTF-8.

* There are no comments behind a value. A value that begins with `## ` counts as not set, with a warning.
* An empty value counts as not set. White space around a value is dropped, except in secrets that are passed through.
* A key may be given once.
* A **duration** is a number, perhaps with a fraction, and `ns`, `us`, `ms`, `s`, `m`, `h` or `d`: `100ms`, `15s`, `1.5m`. At most `36500d`.
* A **size** is a number, perhaps with a fraction, and `B`, `kB`, `MB`, `GB`, `TB` or `PB`. Units are binary: `1kB` is 1024 bytes.
* In lists, commas separate entries. Words such as `kafka` or `JSON` may be written in any case.

All problems of a file are reported together, each with its line and what to do, and nothing is started:

```text
alluvium.properties:3: kafka.topics: unknown key; did you mean kafka.topic?
alluvium.properties:7: middleware.max-flush-duration: \"60\" has no unit; write a number and one of ns, us, ms, s, m, h, d, for example middleware.max-flush-duration=60s
```

## Environment variables

A variable overrides the file, and the file overrides the default. The variable of a key is `ALLUVIUM_` and the key in upper
case, with `_` for `.` and `-`: `kafka.group.id` is `ALLUVIUM_KAFKA_GROUP_ID`.

For keys that are passed through (`kafka.client.…`, and those of a custom target), one `_` stands for a dot, `__` for an
underscore and `___` for a hyphen: `ALLUVIUM_KAFKA_CLIENT_SASL_PASSWORD` is `kafka.client.sasl.password`, and
`ALLUVIUM_KAFKA_CLIENT_LOG__LEVEL` is `kafka.client.log_level`.

An empty variable counts as not set. An `ALLUVIUM_` variable that is no key's is a problem, except `ALLUVIUM_TEST_…` and what Kubernetes
sets for a service called `alluvium` (`ALLUVIUM_SERVICE_HOST`, `ALLUVIUM_PORT_9464_TCP`, …).

## Secrets

Best given by variables. Values of keys marked secret, and of passed-through settings whose name speaks of a password, secret,
token or private key, are shown as `[redacted]` wherever settings are printed; problems never show them either.

## Keys
";

fn client_markdown() -> String {
    let mut out = format!(
        "\n`{CLIENT_PREFIX}<setting>`: {CLIENT_MEANING}\n\n| refused setting | why |\n|---|---|\n"
    );
    for (names, why) in REFUSED {
        let names = names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ");
        out += &format!("| {names} | {} |\n", cell(why));
    }
    out
}

fn original_markdown() -> String {
    let mut out = format!("\n## {}\n\n", Section::Original.title());
    out += "A file of rakam-api-collector's is read as it is, but nothing in it is ignored silently. These keys are problems, unless\n\
            their value is empty. `target=raptor` is not served yet either.\n\n";
    out += "| key | meaning there |\n|---|---|\n";
    for key in original(true) {
        out += &format!("| `{}` | {} |\n", key.name, cell(key.meaning));
    }
    out += "\nThese have no effect here and are accepted with a warning:\n\n| key | why |\n|---|---|\n";
    for key in original(false) {
        out += &format!("| `{}` | {} |\n", key.name, cell(key.meaning));
    }
    let example = &SERVED[0];
    out + &format!(
        "\nWhere the original read variables through `env=PREFIX`, here the prefix always is `ALLUVIUM_`: `{}` is `{}`.\n",
        example.name,
        variable_of(example.name)
    )
}

fn served(section: Section) -> impl Iterator<Item = &'static Key> {
    SERVED.into_iter().filter(move |key| key.section == section)
}

/// The original's keys that are not served yet, or those without effect.
fn original(later: bool) -> impl Iterator<Item = &'static Key> {
    ORIGINAL
        .iter()
        .filter(move |key| (key.status != Status::NoEffect) == later)
}

fn default(key: &Key) -> String {
    match (key.default, key.required, key.unset) {
        (Some(value), _, "") => format!("`{value}`"),
        (Some(value), _, note) => format!("`{value}`; {note}"),
        (None, "always", _) => "required".into(),
        (None, "", note) => format!("not set: {note}"),
        (None, when, _) => format!("required if `{when}`"),
    }
}

/// Keeps `|` from ending a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn plain(text: &str) -> String {
    text.replace('`', "")
}

/// Breaks `text` at spaces into lines of `indent` and at most `width` characters.
fn wrap(text: &str, width: usize, indent: &str) -> String {
    let (mut out, mut used) = (String::new(), 0);
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length <= width {
            out.push(' ');
            used += 1;
        } else {
            if used > 0 {
                out.push('\n');
            }
            out += indent;
            used = 0;
        }
        out += word;
        used += length;
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use std::{env, fs};

    use super::*;

    #[test]
    fn the_document_is_up_to_date() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        let fresh = reference_markdown();
        if env::var_os("ALLUVIUM_UPDATE_DOCS").is_some() {
            fs::write(file, &fresh).unwrap();
        }
        let found = fs::read_to_string(file).unwrap_or_default();
        assert!(
            found == fresh,
            "{file} is stale; run: ALLUVIUM_UPDATE_DOCS=1 cargo test --lib config"
        );
    }

    #[test]
    fn every_key_is_in_both_documents_with_its_default_and_meaning() {
        let (markdown, text) = (reference_markdown(), reference_text());
        for key in SERVED.into_iter().chain(ORIGINAL) {
            assert!(
                markdown.contains(&format!("| `{}` |", key.name)),
                "{}",
                key.name
            );
            assert!(text.contains(key.name), "{}", key.name);
        }
        for key in SERVED {
            let line = format!("| `{}` | ", key.name);
            let row = markdown.lines().find(|row| row.starts_with(&line)).unwrap();
            assert!(row.contains(key.default.unwrap_or("")) && row.contains(&cell(key.meaning)));
            assert!(text.contains(key.default.unwrap_or("")), "{}", key.name);
        }
    }

    #[test]
    fn terminal_lines_are_short() {
        for line in reference_text().lines() {
            assert!(
                line.chars().count() <= 110 || line.contains("ndjson.gz"),
                "{line}"
            );
        }
    }
}
