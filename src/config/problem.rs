//! What is wrong with a configuration, and how it is told.
//!
//! Owns the text of problems and warnings. It never holds the value of a secret: whoever makes a
//! [`Problem`] passes values through [`shown`] first.

use std::fmt;

use super::secret;

/// One thing that is wrong, where it stands, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands: `file:line`, a file, or an environment variable.
    pub place: String,
    /// The key it is about, as written in a file; empty if it is about the file itself.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub fix: String,
}

/// Something the program can live with, but a person would like to know. Looks like a [`Problem`].
pub type Warning = Problem;

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)?;
        if !self.fix.is_empty() {
            write!(f, "; {}", self.fix)?;
        }
        Ok(())
    }
}

/// All problems of a configuration, one a line when displayed. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The problems, in the order of the file, then those of environment variables.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Problems and warnings while they are being found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl Findings {
    pub(super) fn problem(
        &mut self,
        place: &str,
        key: &str,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.problems.push(Problem {
            place: place.into(),
            key: key.into(),
            what: what.into(),
            fix: fix.into(),
        });
    }

    pub(super) fn warning(
        &mut self,
        place: &str,
        key: &str,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.warnings.push(Warning {
            place: place.into(),
            key: key.into(),
            what: what.into(),
            fix: fix.into(),
        });
    }

    /// The warnings, or the problems if there are any.
    pub(super) fn finish(mut self) -> Result<Vec<Warning>, Problems> {
        let order = |a: &Problem, b: &Problem| rank(&a.place).cmp(&rank(&b.place));
        if self.problems.is_empty() {
            self.warnings.sort_by(order);
            Ok(self.warnings)
        } else {
            self.problems.sort_by(order);
            Err(Problems(self.problems))
        }
    }
}

/// Lines of a file first, in order; then what is about the whole file; variables last.
fn rank(place: &str) -> (u8, usize, &str) {
    if place.starts_with(VARIABLE) {
        return (2, 0, place);
    }
    let line = place
        .rsplit_once(':')
        .and_then(|(_, line)| line.parse().ok());
    match line {
        Some(line) => (0, line, ""),
        None => (1, 0, place),
    }
}

/// How the place of an environment variable begins.
pub(super) const VARIABLE: &str = "environment variable ";

/// A value as it may be shown in a message: quoted, cut, and redacted if `key` or the value's form says so.
pub(super) fn shown(key: &str, declared_secret: bool, value: &str) -> String {
    const LONGEST: usize = 80;
    if declared_secret || secret::hides(key, value) {
        return secret::REDACTED.into();
    }
    match value.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{:?}…", &value[..cut]),
        None => format!("{value:?}"),
    }
}
