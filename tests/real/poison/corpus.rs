//! Hostile payloads, and an oracle of its own that says what must become of each.

use serde::Deserialize as _;
use serde::de::IgnoredAny;

use crate::support::random::Random;

/// What `source.max-record-size` is set to, in bytes.
pub(crate) const MAX_RECORD: usize = 18 << 20;
/// How deep the deepest records go.
const DEPTH: usize = 100_000;

/// What must become of a record of layout PLAIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Row,
    Dead(&'static str),
}

/// The documented rules (docs/formats.md), by serde_json's grammar. It does not look at halves of surrogate pairs.
pub(crate) fn fate(payload: Option<&[u8]>) -> Fate {
    const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];
    let Some(payload) = payload else {
        return Fate::Dead("not_json");
    };
    if payload.len() > MAX_RECORD {
        return Fate::Dead("too_large");
    }
    let Ok(text) = std::str::from_utf8(payload) else {
        return Fate::Dead("not_json");
    };
    let mut json = serde_json::Deserializer::from_str(text);
    json.disable_recursion_limit();
    if IgnoredAny::deserialize(&mut json).is_err() || json.end().is_err() {
        return Fate::Dead("not_json");
    }
    if text.trim_start_matches(SPACE).starts_with('{') {
        Fate::Row
    } else {
        Fate::Dead("wrong_layout")
    }
}

/// A record and its fate.
pub(crate) struct Poison {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) fate: Fate,
    /// The `id` that its row has, if the record still says it as it should.
    pub(crate) id: Option<String>,
}

/// A plain record of layout PLAIN.
pub(crate) fn good(id: &str, random: &mut Random) -> Vec<u8> {
    let number = random.below(1_000_000);
    format!(
        r#"{{"id":"{id}","n":{number},"price":{}.25,"ok":true,"none":null,"day":"2026-01-{:02}","text":"naïve 日本 \"quoted\" \\ \/","list":[1,{{"a":[{number}]}}, -0.5e-3]}}"#,
        random.below(1_000),
        1 + random.below(28)
    )
    .into_bytes()
}

/// A hostile record. The small ones, of which there are thousands.
pub(crate) fn hostile(id: &str, random: &mut Random) -> Poison {
    let mut payload = good(id, random);
    // After these the record may still be JSON, and may or may not say its id.
    let mutated = random.below(100);
    match mutated {
        0..30 => flip(&mut payload, random),
        30..42 => payload.truncate(random.below(payload.len() as u64) as usize),
        42..60 => splice(&mut payload, random),
        _ => return built(id, mutated, &payload, random),
    }
    Poison {
        key: key(random),
        fate: fate(Some(&payload)),
        payload: Some(payload),
        id: None,
    }
}

fn key(random: &mut Random) -> Option<Vec<u8>> {
    let bytes = random.next().to_le_bytes();
    random.chance(50).then(|| bytes.to_vec())
}

/// One to three bits.
fn flip(payload: &mut [u8], random: &mut Random) {
    for _ in 0..1 + random.below(3) {
        let at = random.below(payload.len() as u64) as usize;
        payload[at] ^= 1 << random.below(8);
    }
}

/// Bytes removed, repeated or put in.
fn splice(payload: &mut Vec<u8>, random: &mut Random) {
    let from = random.below(payload.len() as u64) as usize;
    let to = (from + 1 + random.below(12) as usize).min(payload.len());
    match random.below(3) {
        0 => drop(payload.drain(from..to)),
        1 => {
            let piece = payload[from..to].to_vec();
            payload.splice(to..to, piece);
        }
        _ => {
            let soup = b"{}[]\",:\\\0\x01\xff 01eE+-.tfn";
            let bytes: Vec<u8> = (0..1 + random.below(4))
                .map(|_| soup[random.below(soup.len() as u64) as usize])
                .collect();
            payload.splice(from..from, bytes);
        }
    }
}

/// Records whose fate is known from how they are made.
fn built(id: &str, which: u64, good: &[u8], random: &mut Random) -> Poison {
    let row = |fields: String| {
        (
            format!("{{\"id\":\"{id}\",{fields}}}").into_bytes(),
            Fate::Row,
        )
    };
    let dead = |payload: Vec<u8>| (payload, Fate::Dead("not_json"));
    let behind = |head: &[u8]| dead([head, good].concat());
    let digits = |count: u64| "7".repeat(count as usize);
    let (payload, expected) = match which {
        // Confluent's framing, Avro's single-object and file framing, gzip, protobuf.
        60 | 61 => behind(&[0, 0, 0, 0, random.below(256) as u8]),
        62 => behind(b"\xc3\x01\x01\x02\x03\x04\x05\x06\x07\x08"),
        63 => behind(b"Obj\x01"),
        64 => behind(b"\x1f\x8b\x08\x00"),
        65 => behind(&[0x0a, 100 + random.below(100) as u8]),
        66 | 67 => behind(b"\xef\xbb\xbf"),
        68 => dead(good.iter().flat_map(|&byte| [byte, 0]).collect()),
        69 => behind(b"\0"),
        70 => dead([good, b"\0"].concat()),
        71 => dead([good, good].concat()),
        72..75 => {
            let broken = [
                "\u{fffd}".as_bytes(),
                b"\xc3",
                b"\xed\xa0\x80",
                b"\xf8\x88\x80\x80\x80",
                b"\xc0\xaf",
            ];
            let bytes = broken[1 + random.below(4) as usize];
            dead(
                [
                    format!("{{\"id\":\"{id}\",\"a\":\"").as_bytes(),
                    bytes,
                    b"\"}",
                ]
                .concat(),
            )
        }
        75 => row("\"half\":\"\\ud800\"".into()),
        76 => row("\"half\":\"\\udc00\\ud800 \\ud83d\\ude00\"".into()),
        77 => row("\"nested\":{\"\\ud800\":[\"\\udfff\"]}".into()),
        78 => dead(format!("{{\"id\":\"{id}\",\"\\ud800\":1}}").into_bytes()),
        79 => row(format!("\"n\":1e{}", random.below(10_000))),
        80 => row(format!("\"n\":-1.5E-{}", digits(1 + random.below(30)))),
        81 => row(format!("\"n\":{}", digits(1 + random.below(3_000)))),
        82 => row(format!("\"n\":0.{}", digits(1 + random.below(3_000)))),
        83 => row("\"n\":-0,\"price\":-0.0,\"ok\":1E+2".into()),
        84 => dead(
            format!(
                "{{\"id\":\"{id}\",\"n\":{}}}",
                random.pick(&[
                    "01",
                    "+1",
                    ".5",
                    "1.",
                    "1e",
                    "NaN",
                    "-Infinity",
                    "0x1F",
                    "1_000"
                ])
            )
            .into_bytes(),
        ),
        85 => row("\"n\":1,\"n\":\"two\",\"id\":\"not this\",\"n\":[3]".into()),
        86 => row(
            "\"\":1,\"\":2,\"\\u0000\":3,\" \":4,\"_misfit\":5,\"_shard_time\":6,\"../x\":7".into(),
        ),
        87 => row(format!(
            "\"{}\":1",
            "k".repeat(1 + random.below(5_000) as usize)
        )),
        88 => row(format!(
            "\"_time\":{},\"_user\":[1]",
            random.pick(&["1e300", "\"never\"", "{}", "-9223372036854775808", "true"])
        )),
        89 => row(format!(
            "\"day\":\"{}\"",
            random.pick(&[
                "2026-02-30",
                "0000-00-00",
                "9999-12-31",
                "2026-01-01T25:00:00Z"
            ])
        )),
        90 | 91 => {
            return Poison {
                key: key(random),
                payload: None,
                fate: Fate::Dead("not_json"),
                id: None,
            };
        }
        92 => dead(Vec::new()),
        93 => dead(
            random
                .pick(&[
                    " ",
                    "\n",
                    "{",
                    "}",
                    "\"",
                    "\\",
                    "{\"",
                    "nul",
                    "truefalse",
                    "//",
                    "{'a':1}",
                    "{a:1}",
                ])
                .as_bytes()
                .to_vec(),
        ),
        94 => (
            random
                .pick(&["null", "[]", "\"x\"", "0", "true", " [{}] "])
                .as_bytes()
                .to_vec(),
            Fate::Dead("wrong_layout"),
        ),
        95 => row(format!("\"deep\":{}{}", "[".repeat(900), "]".repeat(900))),
        96 => dead(
            format!(
                "{{\"id\":\"{id}\",\"deep\":{}{}}}",
                "[".repeat(900),
                "]".repeat(899)
            )
            .into_bytes(),
        ),
        97 => dead(format!("{{\"id\":\"{id}\",\"a\":\"tab\there\"}}").into_bytes()),
        98 => dead(format!("{{\"id\":\"{id}\",\"a\":1,}}").into_bytes()),
        _ => dead(format!("{{\"id\":\"{id}\" \"a\":1}}").into_bytes()),
    };
    // Two ways to the same answer; but the oracle does not know halves of surrogate pairs.
    assert!(
        which == 78 || fate(Some(&payload)) == expected,
        "{which}: {}",
        String::from_utf8_lossy(&payload)
    );
    Poison {
        key: key(random),
        payload: Some(payload),
        fate: expected,
        id: (expected == Fate::Row).then(|| id.to_owned()),
    }
}

/// How many kinds of [`giant`] records there are.
pub(crate) const GIANTS: u64 = 12;

/// Records that are hostile by their size.
pub(crate) fn giant(id: &str, which: u64) -> Poison {
    let filled = |bytes: usize| format!("{{\"id\":\"{id}\",\"text\":\"{}\"}}", "x".repeat(bytes));
    let fields = |count: usize| {
        let fields: Vec<String> = (0..count)
            .map(|number| format!("\"field{number}\":{number}"))
            .collect();
        format!("{{\"id\":\"{id}\",{}}}", fields.join(","))
    };
    let deep = |open: &str, close: &str| {
        format!(
            "{{\"id\":\"{id}\",\"deep\":{}1{}}}",
            open.repeat(DEPTH),
            close.repeat(DEPTH)
        )
    };
    let escaped = format!(
        "{{\"id\":\"{id}\",\"text\":\"{}\"}}",
        "\\u00e9".repeat(1_000_000)
    );
    let text = match which {
        0 => filled(MAX_RECORD - 100),
        1 => filled(19_900_000),
        2 => deep("[", "]"),
        3 => deep("{\"a\":", "}"),
        4 => deep("[", ""),
        5 => deep("[{\"a\":[", "]}]"),
        6 => fields(5_000),
        7 => fields(60_000),
        8 => format!("{{\"id\":\"{id}\",\"{}\":1}}", "n".repeat(2_000_000)),
        9 => escaped,
        10 => format!("{{\"id\":\"{id}\",\"n\":{}}}", "9".repeat(1_000_000)),
        _ => "[".repeat(DEPTH),
    };
    let fate = fate(Some(text.as_bytes()));
    Poison {
        key: Some(vec![b'k'; if which % 2 == 1 { 40 } else { 900_000 }]),
        payload: Some(text.into_bytes()),
        fate,
        id: (fate == Fate::Row).then(|| id.to_owned()),
    }
}
