//! Seeded events that the benchmarks share: the same in every run and on every machine.
//!
//! An event is what a web tracker sends: identifiers that do not repeat, times that grow, texts from small and
//! large vocabularies, numbers, some fields that are often missing. 15 in 100 come from a second client that
//! writes its fields in another order. The texts are as random as makes 400-byte events shrink to a third by
//! zlib's level 1 and to a fifth by its level 6, which is what such events do in the open.

#![allow(dead_code, reason = "each benchmark uses its own part")]

use std::fmt::Write as _;

pub mod avro;

#[path = "../../tests/support/random.rs"]
mod random;

pub use random::Random;

/// What the tables of events are called, as many as are wanted.
const TABLES: [&str; 5] = ["page_view", "click", "purchase", "sign_up", "session_end"];

/// About how many bytes an event has as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    Bytes150,
    Bytes400,
    Bytes2000,
}

/// A value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    Long(i64),
    Double(f64),
    Bool(bool),
}

/// A field and its value; `None` is a field that this event lacks.
pub type Field = (&'static str, Option<Value>);

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    pub table: String,
    /// Always the same fields in the same order for one [`Size`].
    pub fields: Vec<Field>,
    /// Whether the second client wrote it.
    pub reordered: bool,
}

/// Events without end.
pub struct Events {
    random: Random,
    size: Size,
    tables: usize,
    time: i64,
}

impl Events {
    pub fn new(seed: u64, size: Size, tables: usize) -> Self {
        Self {
            random: Random::new(seed),
            size,
            tables,
            time: 1_517_378_340_000,
        }
    }

    fn fields(&mut self) -> Vec<Field> {
        let random = &mut self.random;
        self.time += random.below(9) as i64;
        let mut fields = vec![
            ("_time", long(self.time)),
            ("_user", text(format!("user-{:06}", random.below(200_000)))),
        ];
        if self.size == Size::Bytes150 {
            fields.extend([
                ("path", text(path(random))),
                ("position", long(random.below(40) as i64)),
            ]);
            return fields;
        }
        fields.extend([
            ("_id", text(uuid(random))),
            ("_session", text(format!("{:08x}", random.below(1 << 32)))),
            (
                "url",
                text(format!("https://www.example.com{}", path(random))),
            ),
            (
                "referrer",
                maybe(random, 60, |random| {
                    text(format!("https://{}.example.org/", random.pick(&SITES)))
                }),
            ),
            ("user_agent", text(random.pick(&AGENTS).to_owned())),
            ("ip", text(ip(random))),
            ("country_code", text(random.pick(&COUNTRIES).to_owned())),
            ("city", text(random.pick(&CITIES).to_owned())),
            (
                "price",
                maybe(random, 70, |random| {
                    Some(Value::Double(random.below(100_000) as f64 / 100.0))
                }),
            ),
            ("duration_ms", long(random.below(30_000) as i64)),
            ("position", long(random.below(40) as i64)),
            ("returning", Some(Value::Bool(random.chance(40)))),
            (
                "campaign",
                maybe(random, 50, |random| {
                    text(random.pick(&CAMPAIGNS).to_owned())
                }),
            ),
        ]);
        if self.size == Size::Bytes2000 {
            for name in LONG {
                let words = 12 + random.below(24);
                fields.push((name, text(sentence(random, words))));
            }
        }
        fields
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let number = self.random.below(self.tables as u64) as usize;
        let table = match TABLES.get(number) {
            Some(name) => (*name).to_owned(),
            None => format!("event_{number:03}"),
        };
        let fields = self.fields();
        Some(Event {
            table,
            fields,
            reordered: self.random.chance(15),
        })
    }
}

impl Event {
    /// The event as JSON of the layout `RAKAM`, in place of what `out` holds.
    pub fn write_json(&self, out: &mut String) {
        out.clear();
        let table = &self.table;
        write!(
            out,
            "{{\"project\":\"bench\",\"collection\":\"{table}\",\"properties\":{{"
        )
        .expect("text");
        let start = out.len();
        let half = if self.reordered {
            self.fields.len() / 2
        } else {
            0
        };
        let (last, first) = self.fields.split_at(half);
        for (name, value) in first.iter().chain(last) {
            let Some(value) = value else { continue };
            if out.len() > start {
                out.push(',');
            }
            let written = match value {
                Value::Text(text) => write!(out, "\"{name}\":\"{text}\""),
                Value::Long(long) => write!(out, "\"{name}\":{long}"),
                Value::Double(double) => write!(out, "\"{name}\":{double}"),
                Value::Bool(bool) => write!(out, "\"{name}\":{bool}"),
            };
            written.expect("text");
        }
        out.push_str("}}");
    }
}

fn text(text: String) -> Option<Value> {
    Some(Value::Text(text))
}

fn long(long: i64) -> Option<Value> {
    Some(Value::Long(long))
}

fn maybe(
    random: &mut Random,
    percent: u64,
    value: impl FnOnce(&mut Random) -> Option<Value>,
) -> Option<Value> {
    random.chance(percent).then(|| value(random)).flatten()
}

fn uuid(random: &mut Random) -> String {
    let (high, low) = (random.next(), random.next());
    let (a, b, c) = (high >> 32, high >> 16 & 0xffff, high & 0xfff);
    format!(
        "{a:08x}-{b:04x}-4{c:03x}-{:04x}-{:012x}",
        low >> 50 | 0x8000,
        low & 0xffff_ffff_ffff
    )
}

fn path(random: &mut Random) -> String {
    let section = random.pick(&SECTIONS);
    format!("/{section}/{}-{}", random.pick(&WORDS), random.below(5_000))
}

fn ip(random: &mut Random) -> String {
    format!(
        "{}.{}.{}.{}",
        1 + random.below(222),
        random.below(256),
        random.below(256),
        random.below(256)
    )
}

fn sentence(random: &mut Random, words: u64) -> String {
    let mut text = String::new();
    for _ in 0..words {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(random.pick(&WORDS));
        if random.chance(20) {
            write!(text, "{}", random.below(1_000)).expect("text");
        }
    }
    text
}

const SECTIONS: [&str; 6] = ["products", "docs", "blog", "account", "search", "help"];
const SITES: [&str; 12] = [
    "search", "news", "mail", "forum", "video", "social", "maps", "shop", "weather", "sport",
    "travel", "music",
];
const AGENTS: [&str; 8] = [
    "Firefox 58.0",
    "Firefox 57.0.4",
    "Chrome 64.0.3282",
    "Chrome 63.0.3239",
    "Safari 11.0.3",
    "Safari 10.1.2",
    "Chrome Mobile 64.0",
    "Edge 16.16299",
];
const COUNTRIES: [&str; 16] = [
    "TR", "DE", "US", "FR", "GB", "NL", "JP", "BR", "IN", "CN", "ES", "IT", "PL", "SE", "CA", "MX",
];
const CITIES: [&str; 24] = [
    "Istanbul",
    "Berlin",
    "New York",
    "Paris",
    "London",
    "Amsterdam",
    "Tokyo",
    "São Paulo",
    "Mumbai",
    "Shanghai",
    "Madrid",
    "Milan",
    "Warsaw",
    "Stockholm",
    "Toronto",
    "Mexico City",
    "Ankara",
    "Hamburg",
    "Boston",
    "Lyon",
    "Leeds",
    "Utrecht",
    "Osaka",
    "Porto",
];
const CAMPAIGNS: [&str; 6] = [
    "winter-2018",
    "spring-2018",
    "newsletter-7",
    "retargeting",
    "partner-12",
    "brand",
];
const WORDS: [&str; 64] = [
    "amber", "anchor", "apple", "autumn", "basket", "beacon", "bicycle", "bottle", "bridge",
    "candle", "canvas", "castle", "cherry", "circle", "cloud", "copper", "cotton", "desert",
    "diamond", "dragon", "engine", "falcon", "feather", "forest", "garden", "ginger", "glacier",
    "hammer", "harbor", "honey", "island", "jacket", "jungle", "kettle", "lantern", "lemon",
    "magnet", "marble", "meadow", "mirror", "mountain", "needle", "ocean", "orange", "orchid",
    "paper", "pepper", "pillow", "planet", "pocket", "quartz", "rabbit", "ribbon", "river",
    "saddle", "silver", "spring", "summer", "temple", "thunder", "valley", "velvet", "window",
    "winter",
];
const LONG: [&str; 8] = [
    "title",
    "description",
    "query",
    "answer",
    "comment",
    "summary",
    "notes",
    "message",
];
