//! A realistic stream of events from a seed: five kinds of them, and now and then something broken.

use std::fmt::Write;

/// A repeatable stream of records.
#[derive(Debug)]
pub(super) struct Events {
    random: u64,
    number: u64,
    time_ms: i64,
}

const KINDS: [&str; 5] = ["page_view", "click", "purchase", "search", "session_start"];
const PAGES: [&str; 6] = [
    "/",
    "/pricing",
    "/docs/start",
    "/blog/streams",
    "/cart",
    "/söka",
];
const CITIES: [&str; 6] = [
    "Ankara",
    "Berlin",
    "São Paulo",
    "東京",
    "New York",
    "Zürich",
];
const AGENTS: [&str; 3] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0.0.0",
];
/// One record in so many is broken.
const BROKEN: u64 = 500;

impl Events {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: seed,
            number: 0,
            time_ms: 1_767_225_600_000,
        }
    }

    /// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
    fn roll(&mut self, sides: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        let index = usize::try_from(self.roll(of.len() as u64)).unwrap_or(0);
        of.get(index).copied().unwrap_or_default()
    }

    /// The next record, written over `payload`. Returns the user, who is the record's key.
    pub(super) fn next(&mut self, payload: &mut String) -> u64 {
        payload.clear();
        self.number += 1;
        self.time_ms += i64::try_from(self.roll(40)).unwrap_or(0);
        let user = self.roll(50_000);
        if self.number.is_multiple_of(BROKEN) {
            self.broken(payload);
        } else {
            self.event(user, payload);
        }
        user
    }

    fn broken(&mut self, payload: &mut String) {
        payload.push_str(match self.roll(3) {
            0 => r#"{"project":"shop","collection":"click","properties":{"x":1"#,
            1 => r#"{"project":"shop","properties":{"page":"/"}}"#,
            _ => "<event>not JSON at all</event>",
        });
    }

    fn event(&mut self, user: u64, payload: &mut String) {
        let kind = self.pick(&KINDS);
        let (page, city, agent) = (self.pick(&PAGES), self.pick(&CITIES), self.pick(&AGENTS));
        let (number, time, session) = (self.number, self.time_ms, self.roll(1 << 48));
        // Writing to a string cannot fail.
        let _ = write!(
            payload,
            r#"{{"project":"shop","collection":"{kind}","properties":{{"_time":{time},"_user":"u{user}","id":{number},"session":"{session:012x}","page":"{page}","city":"{city}","agent":"{agent}""#,
        );
        let _ = match kind {
            "purchase" => {
                let (cents, items) = (self.roll(50_000), self.roll(5) + 1);
                let (whole, cents) = (cents / 100, cents % 100);
                write!(
                    payload,
                    r#","amount":{whole}.{cents:02},"items":{items},"cart":[{number},{user}]"#
                )
            }
            "search" => {
                let hits = self.roll(300);
                write!(
                    payload,
                    r#","query":"\"{city}\" hotels","hits":{hits},"cached":{}"#,
                    hits.is_multiple_of(2)
                )
            }
            "click" => write!(
                payload,
                r#","x":{},"y":{}"#,
                self.roll(1920),
                self.roll(1080)
            ),
            _ => write!(payload, r#","referrer":null,"load_ms":{}"#, self.roll(4000)),
        };
        payload.push_str("}}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_repeats_and_holds_what_it_says() {
        let mut payload = String::new();
        let stream = |events: &mut Events, payload: &mut String| {
            (0..2 * BROKEN)
                .map(|_| {
                    events.next(payload);
                    payload.clone()
                })
                .collect::<Vec<_>>()
        };
        let first = stream(&mut Events::new(7), &mut payload);
        assert_eq!(first, stream(&mut Events::new(7), &mut payload));
        let json: Vec<_> = first
            .iter()
            .filter_map(|text| serde_json::from_str::<serde_json::Value>(text).ok())
            .filter(|event| event["collection"].is_string())
            .collect();
        assert_eq!(json.len() as u64, 2 * BROKEN - 2);
        for kind in KINDS {
            assert!(json.iter().any(|event| event["collection"] == kind));
        }
    }
}
