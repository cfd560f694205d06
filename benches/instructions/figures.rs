//! What cases are expected to cost: a line for each in a file that is checked in.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Counts that differ by less are taken as equal: names of symbols, seeds of hash tables and the system's `memcpy` change them a little.
const TOLERANCE: f64 = 0.03;

pub const ADVICE: &str = "\
instructions are not as expected. If that is meant, `make instructions UPDATE=1` writes the figures anew: check them in, and say in the \
commit what they were. If not, `callgrind_annotate target/instructions/CASE.out` shows where they are spent.";

/// Instructions a record, by the names of cases.
#[derive(Debug, Default)]
pub struct Figures(BTreeMap<String, f64>);

impl Figures {
    /// Of the architecture this was built for; none if nobody has counted there yet.
    pub fn read() -> Result<Self, String> {
        let path = path();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        let line = |line: &str| {
            let (name, figure) = line.split_once(' ')?;
            Some((name.to_owned(), figure.trim().parse().ok()?))
        };
        let lines = text.lines().map(|text| {
            line(text).ok_or_else(|| format!("{}: not a figure: {text}", path.display()))
        });
        lines.collect::<Result<_, _>>().map(Self)
    }

    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    pub fn set(&mut self, name: &str, figure: f64) {
        self.0.insert(name.to_owned(), figure);
    }

    pub fn write(&self) -> Result<(), String> {
        let path = path();
        let lines: String = self
            .0
            .iter()
            .map(|(name, figure)| format!("{name} {figure:.0}\n"))
            .collect();
        std::fs::write(&path, lines).map_err(|error| format!("{}: {error}", path.display()))
    }
}

fn path() -> PathBuf {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions");
    PathBuf::from(directory).join(format!("{}.figures", std::env::consts::ARCH))
}

/// What a count is to the one that was expected.
#[derive(Clone, Copy, Debug)]
pub enum Verdict {
    Expected,
    /// Nobody has said what to expect.
    New,
    /// By so much of what was expected. Better ones fail too: the next slow-down is measured from them.
    Worse(f64),
    Better(f64),
}

impl Verdict {
    pub fn of(counted: f64, expected: Option<f64>) -> Self {
        let Some(expected) = expected else {
            return Self::New;
        };
        let change = counted / expected - 1.0;
        if change > TOLERANCE {
            Self::Worse(change)
        } else if change < -TOLERANCE {
            Self::Better(-change)
        } else {
            Self::Expected
        }
    }

    pub fn is_expected(self) -> bool {
        matches!(self, Self::Expected)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expected => out.write_str("as expected"),
            Self::New => out.write_str("nothing was expected"),
            Self::Worse(by) => write!(out, "{:.1}% MORE", by * 100.0),
            Self::Better(by) => write!(out, "{:.1}% fewer", by * 100.0),
        }
    }
}
