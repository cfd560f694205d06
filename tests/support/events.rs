//! A seeded stream of analytics events, good and broken, and what must become of each.
//!
//! The stream is in the FABRIC layout: five tables, mixed-case keys, unicode, escapes, integers around 2^53
//! and 2^63 and beyond, nulls, duplicate keys, columns that appear in mid-stream, a column of every kind of value,
//! and one record in a hundred that is broken in one of many ways. `tests/services/check.py` compares what was
//! written with the [`Expected`] lines.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::broker::Sender;
use super::random::Random;

/// Longer records must become dead letters: what the tests set `source.max-record-size` to.
pub const MAX_RECORD: &str = "32kB";
const MAX_RECORD_BYTES: usize = 32 << 10;

const TABLES: [&str; 5] = ["page_view", "click", "purchase", "sign_up", "session_end"];
const WORDS: [&str; 12] = [
    "plain",
    "two words",
    "naïve café",
    "日本語テキスト",
    "😀🎉 emoji",
    "quote \" backslash \\ slash /",
    "tab\tnewline\ncarriage\r",
    "\u{0}\u{1}\u{1f}\u{7f}",
    "Ελληνικά",
    "ключ=значение",
    "",
    "\u{2028}\u{feff}\u{10ffff}",
];
const BIG: [&str; 14] = [
    "9007199254740991",
    "9007199254740992",
    "9007199254740993",
    "-9007199254740993",
    "9223372036854775806",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "123456789012345678901234567890",
    "-1",
    "0",
];

/// What must be found of a record.
pub enum Expected {
    /// A row of a table: `{"_time":..,"_user":..,"properties":{..}}`, every value in its plainest form.
    Row { table: &'static str, json: String },
    /// A dead letter whose reason starts with this word.
    Dead(&'static str),
}

pub struct Event {
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    pub expected: Expected,
}

pub struct Events {
    random: Random,
    project: String,
    next: u64,
    total: u64,
    broken_percent: u64,
}

impl Events {
    pub fn new(seed: u64, project: &str, total: u64) -> Self {
        Self {
            random: Random::new(seed),
            project: project.to_owned(),
            next: 0,
            total,
            broken_percent: 1,
        }
    }

    pub fn without_broken(mut self) -> Self {
        self.broken_percent = 0;
        self
    }

    fn good(&mut self, id: u64) -> Event {
        let late = id * 2 > self.total;
        let random = &mut self.random;
        let table = TABLES[random.below(5) as usize];
        let time = 1_500_000_000_000 + random.below(300_000_000_000);
        let user = format!("user {} {}", random.below(10_000), random.pick(&WORDS));
        let mut fields = Fields {
            random,
            wire: Vec::new(),
            expected: String::new(),
        };
        fields.put("id", &id.to_string());
        fields.string("pagePath");
        if fields.random.chance(70) {
            fields.string("Referrer");
        }
        let count = fields.random.below(1_000);
        fields.put("count", &count.to_string());
        fields.number();
        fields.big();
        fields.boolean();
        fields.dates();
        fields.nested();
        if fields.random.chance(30) {
            fields.mixed();
        }
        if late {
            fields.put("Added", &(id % 7).to_string());
            let extra = format!("extra_{}", fields.random.below(40));
            fields.string(&extra);
        }
        if fields.random.chance(5) {
            fields.wire("nothing", "null");
        }
        if fields.random.chance(3) {
            // The first of two equal keys counts, also when they are equal only in lower case.
            fields.wire("PAGEPATH", "\"a later duplicate\"");
            fields.wire("count", "{\"a later\":[\"duplicate\"]}");
        }
        let (wire, expected) = (
            std::mem::take(&mut fields.wire),
            std::mem::take(&mut fields.expected),
        );
        let json = format!(
            "{{\"_time\":{time},\"_user\":{},\"properties\":{{{}}}}}",
            plain_string(&user),
            expected.trim_end_matches(',')
        );
        let payload = self.envelope(table, time, &user, &wire);
        let key = self
            .random
            .chance(50)
            .then(|| format!("key {}", self.random.below(50)).into_bytes());
        Event {
            key,
            payload: Some(payload),
            expected: Expected::Row { table, json },
        }
    }

    /// Puts the fields into a FABRIC record whose parts come in any order.
    fn envelope(
        &mut self,
        table: &str,
        time: u64,
        user: &str,
        fields: &[(String, String)],
    ) -> Vec<u8> {
        let random = &mut self.random;
        let time = if random.chance(50) {
            time.to_string()
        } else {
            format!("\"{}\"", iso(time))
        };
        // Some producers write upper case; tables are the same in lower case.
        let shown = if random.chance(20) {
            table.to_uppercase()
        } else {
            table.to_owned()
        };
        let mut all: Vec<(String, String)> = vec![
            ("_time".into(), time),
            ("_user".into(), wire_string(random, user)),
            ("_project".into(), wire_string(random, &self.project)),
            ("_collection".into(), wire_string(random, &shown)),
        ];
        all.extend_from_slice(fields);
        if random.chance(30) {
            // Fields stay in their own order, so that the first of duplicates stays the first.
            all.rotate_left(4);
        }
        let space = if random.chance(10) { " \n\t" } else { "" };
        let mut data = String::new();
        for (index, (name, value)) in all.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(
                data,
                "{comma}{space}{}:{space}{value}",
                wire_string(random, name)
            )
            .unwrap();
        }
        let metadata = "\"metadata\":{\"data\":{\"_project\":\"wrong\"},\"list\":[1,{\"_collection\":\"wrong\"}]}";
        match random.below(3) {
            0 => format!("{{\"id\":\"x\",{metadata},\"data\":{{{data}}}}}"),
            1 => format!("{{\"data\":{{{data}}},{metadata}}}{space}"),
            _ => format!("{space}{{{space}\"data\"{space}:{{{data}{space}}}}}"),
        }
        .into_bytes()
    }

    fn broken(&mut self, id: u64) -> Event {
        let good = self.good(id).payload.unwrap();
        let project = &self.project;
        let (payload, reason): (Option<Vec<u8>>, _) = match id % 17 {
            0 => (Some(good[..good.len() / 2].to_vec()), "not_json"),
            1 => (Some(vec![0xff, 0x00, 0x80, b'{', id as u8]), "not_json"),
            2 => (Some([&good[..], b"}"].concat()), "not_json"),
            3 => (Some([b"\xef\xbb\xbf", &good[..]].concat()), "not_json"),
            4 => (None, "not_json"),
            5 => (Some(Vec::new()), "not_json"),
            6 => (
                Some(b"{\"data\":{\"_project\":\"p\",\"_collection\":\"c\",\"a\":01}}".to_vec()),
                "not_json",
            ),
            7 => (
                Some(
                    b"{\"data\":{\"_project\":\"p\",\"_collection\":\"c\",\"a\":\"\n\"}}".to_vec(),
                ),
                "not_json",
            ),
            8 => (
                Some(
                    b"{\"data\":{\"_project\":\"p\",\"_collection\":\"c\",\"a\":\"\xc3\"}}"
                        .to_vec(),
                ),
                "not_json",
            ),
            9 => (Some(format!("[{id}]").into_bytes()), "wrong_layout"),
            10 => (
                Some(format!("{{\"metadata\":{{\"data\":{{}}}},\"id\":{id}}}").into_bytes()),
                "wrong_layout",
            ),
            11 => (
                Some(format!("{{\"data\":[{id}]}}").into_bytes()),
                "wrong_layout",
            ),
            12 => (
                Some(format!("{{\"data\":{{\"_collection\":\"c\",\"id\":{id}}}}}").into_bytes()),
                "no_table",
            ),
            13 => (
                Some(
                    format!("{{\"data\":{{\"_project\":\"{project}\",\"_collection\":\"\"}}}}")
                        .into_bytes(),
                ),
                "no_table",
            ),
            14 => {
                let long = "c".repeat(101);
                (
                    Some(
                        format!("{{\"data\":{{\"_project\":\"p\",\"_collection\":\"{long}\"}}}}")
                            .into_bytes(),
                    ),
                    "no_table",
                )
            }
            15 => (
                Some(
                    format!("{{\"data\":{{\"_project\":{id},\"_collection\":\"c\"}}}}")
                        .into_bytes(),
                ),
                "no_table",
            ),
            _ => {
                let filler = "x".repeat(MAX_RECORD_BYTES);
                (Some(format!("{{\"data\":{{\"_project\":\"p\",\"_collection\":\"c\",\"a\":\"{filler}\"}}}}").into_bytes()), "too_large")
            }
        };
        let key = id.is_multiple_of(2).then(|| vec![0xfe, id as u8, b'k']);
        Event {
            key,
            payload,
            expected: Expected::Dead(reason),
        }
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if self.next == self.total {
            return None;
        }
        let id = self.next;
        self.next += 1;
        let broken = self.random.chance(self.broken_percent);
        Some(if broken {
            self.broken(id)
        } else {
            self.good(id)
        })
    }
}

/// The fields of one event: as sent, and as expected in `properties`.
struct Fields<'a> {
    random: &'a mut Random,
    wire: Vec<(String, String)>,
    expected: String,
}

impl Fields<'_> {
    fn wire(&mut self, name: &str, value: &str) {
        self.wire.push((name.to_owned(), value.to_owned()));
    }

    fn expect(&mut self, name: &str, value: &str) {
        write!(self.expected, "{}:{value},", plain_string(name)).unwrap();
    }

    /// A value that is sent as it is expected, under a name that becomes lower case.
    fn put(&mut self, name: &str, value: &str) {
        self.wire(name, value);
        self.expect(&name.to_lowercase(), value);
    }

    fn string(&mut self, name: &str) {
        let text = self.random.pick(&WORDS);
        let wire = wire_string(self.random, text);
        self.wire(name, &wire);
        self.expect(&name.to_lowercase(), &plain_string(text));
    }

    /// Doubles of up to 17 digits, and now and then more than a double holds.
    fn number(&mut self) {
        let value = match self.random.below(6) {
            0 => format!(
                "{}.{:02}",
                self.random.below(1_000_000),
                self.random.below(100)
            ),
            1 => format!("0.{:017}", self.random.below(100_000_000_000_000_000)),
            2 => format!(
                "-{}.{:016}",
                self.random.below(9) + 1,
                self.random.below(10_000_000_000_000_000)
            ),
            3 => format!(
                "{}.5e{}",
                self.random.below(9) + 1,
                self.random.below(600) as i64 - 300
            ),
            4 => format!("3.{:025}", u128::from(self.random.next()) * 1_000_003),
            _ => "1.5E+3".to_owned(),
        };
        self.put("price", &value);
    }

    fn big(&mut self) {
        let value = self.random.pick(&BIG).to_owned();
        self.put("big", &value);
    }

    fn boolean(&mut self) {
        match self.random.below(3) {
            0 => self.put("flag", "true"),
            1 => self.put("flag", "false"),
            _ => self.wire("flag", "null"),
        }
    }

    fn dates(&mut self) {
        let (year, month, day) = (
            1950 + self.random.below(120),
            1 + self.random.below(12),
            1 + self.random.below(28),
        );
        self.wire("born", &format!("\"{year}-{month:02}-{day:02}\""));
        self.expect("born", &format!("\"{year}{month:02}{day:02}\""));
        let time = self.random.below(4_000_000_000_000);
        let iso = iso(time);
        let (date, clock) = (&iso[..10], &iso[11..23]);
        let wire = match self.random.below(4) {
            0 => format!("\"{iso}\""),
            1 => format!("\"{date} {clock}\""),
            2 => format!("\"{date} {clock}+00:00\""),
            _ => format!("\"{date}T{clock}\""),
        };
        self.wire("seenAt", &wire);
        self.expect("seenat", &format!("\"{iso}\""));
    }

    /// A map to text; the check compares what the text is worth.
    fn nested(&mut self) {
        let (number, word) = (
            self.random.below(100),
            plain_string(self.random.pick(&WORDS)),
        );
        let value = format!("{{ \"n\" : [ {number} , {{ }} , null ], \"data\":{word} }}");
        self.put("nested", &value);
    }

    /// A column that gets every kind of value: whichever type it takes, nothing may be lost.
    fn mixed(&mut self) {
        let value = match self.random.below(6) {
            0 => (2 + self.random.below(1_000)).to_string(),
            1 => format!("{}.25", self.random.below(1_000)),
            2 => "true".to_owned(),
            3 => "[1, \"two\"]".to_owned(),
            4 => plain_string(self.random.pick(&WORDS)),
            _ => format!("\"{}\"", self.random.below(1_000)),
        };
        self.put("mixed", &value);
    }
}

/// A JSON string with no more escapes than it needs.
fn plain_string(text: &str) -> String {
    let mut out = String::from("\"");
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if (control as u32) < 0x20 => write!(out, "\\u{:04x}", control as u32).unwrap(),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// The same string as some producer might write it: any character may be escaped in any allowed way.
fn wire_string(random: &mut Random, text: &str) -> String {
    if random.chance(80) {
        return plain_string(text);
    }
    let mut out = String::from("\"");
    for char in text.chars() {
        let short = match char {
            '"' => Some("\\\""),
            '\\' => Some("\\\\"),
            '/' => Some("\\/"),
            '\n' => Some("\\n"),
            '\r' => Some("\\r"),
            '\t' => Some("\\t"),
            _ => None,
        };
        if let Some(short) = short {
            out.push_str(short);
        } else if (char as u32) < 0x20 || random.chance(50) {
            for unit in char.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04X}").unwrap();
            }
        } else {
            out.push(char);
        }
    }
    out.push('"');
    out
}

/// Milliseconds since 1970 as `2017-07-14T02:40:00.000Z`.
pub fn iso(millis: u64) -> String {
    let (days, rest) = (millis / 86_400_000, millis % 86_400_000);
    // Civil date of a day number, counted in 400-year cycles that start on 1 March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
        rest % 1_000
    )
}

/// Writes, for each partition, one line a record: what must become of the record at that offset.
pub struct Ledger {
    files: Vec<BufWriter<File>>,
}

impl Ledger {
    pub fn new(directory: &Path, partitions: i32) -> Self {
        std::fs::create_dir_all(directory).unwrap();
        let files = (0..partitions)
            .map(|number| BufWriter::new(File::create(directory.join(number.to_string())).unwrap()))
            .collect();
        Self { files }
    }

    fn record(&mut self, partition: i32, event: &Event) {
        let file = &mut self.files[partition as usize];
        match &event.expected {
            Expected::Row { table, json } => writeln!(file, "row\t{table}\t{json}").unwrap(),
            Expected::Dead(reason) => {
                let base64 = |bytes: &Option<Vec<u8>>| {
                    bytes
                        .as_ref()
                        .map_or("-".into(), |bytes| BASE64.encode(bytes))
                };
                writeln!(
                    file,
                    "dead\t{reason}\t{}\t{}",
                    base64(&event.key),
                    base64(&event.payload)
                )
                .unwrap();
            }
        }
    }

    fn finish(mut self) {
        for file in &mut self.files {
            file.flush().unwrap();
        }
    }
}

/// Sends all events over `partitions` partitions of a fresh topic and notes in `ledger` what must come of them.
///
/// `pause` is called after every event with the number sent so far, so that a test can spread the load.
pub fn feed(
    bootstrap: &str,
    topic: &str,
    partitions: i32,
    ledger: &Path,
    events: Events,
    mut pause: impl FnMut(u64),
) {
    let sender = Sender::new(bootstrap, topic);
    let mut ledger = Ledger::new(ledger, partitions);
    let mut choice = Random::new(events.total);
    for (sent, event) in (1..).zip(events) {
        let partition = choice.below(partitions as u64) as i32;
        sender.send(partition, event.key.as_deref(), event.payload.as_deref());
        ledger.record(partition, &event);
        pause(sent);
    }
    sender.finish();
    ledger.finish();
}
