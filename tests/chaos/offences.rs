//! What is wrong, by kinds, with a few of each kind to be shown.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;

/// Offences of a kind that are kept to be shown.
pub(crate) const SHOWN: usize = 20;

#[derive(Debug, Default)]
struct Kind {
    count: u64,
    shown: Vec<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Offences(Mutex<BTreeMap<&'static str, Kind>>);

impl Offences {
    pub(crate) fn add(&self, kind: &'static str, text: String) {
        let mut kinds = self.0.lock().unwrap();
        let kind = kinds.entry(kind).or_default();
        kind.count += 1;
        if kind.shown.len() < SHOWN {
            kind.shown.push(text);
        }
    }

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        let kinds = self.0.lock().unwrap();
        kinds
            .iter()
            .map(|(name, kind)| (*name, kind.count))
            .collect()
    }

    /// All of them; nothing if there are none.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (name, Kind { count, shown }) in self.0.lock().unwrap().iter() {
            writeln!(text, "{name}: {count}").unwrap();
            for line in shown {
                writeln!(text, "  {line}").unwrap();
            }
        }
        text
    }
}
