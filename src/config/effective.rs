//! The values that hold, to be shown: as a `.properties` text, without secrets.

use super::keys::SERVED;
use super::layers::Values;
use super::{properties, secret};

/// The values that hold, secrets redacted.
#[derive(Clone, Debug)]
pub struct Effective(Vec<Line>);

#[derive(Clone, Debug)]
struct Line {
    text: String,
    place: String,
    set: bool,
}

impl Effective {
    /// Takes what may be shown of `values`.
    pub(super) fn new(values: &Values) -> Self {
        let place_in_documents = |name: &str| SERVED.iter().position(|key| key.name == name);
        let mut lines: Vec<_> = values
            .iter()
            .map(|(name, found)| {
                let position = place_in_documents(name);
                let declared_secret = position.is_some_and(|at| SERVED[at].secret);
                let hidden = declared_secret || secret::hides(name, &found.text);
                let value = if hidden {
                    secret::REDACTED
                } else {
                    found.text.trim()
                };
                let text = properties::print(name, value);
                let line = Line {
                    text,
                    place: found.place.clone(),
                    set: found.is_set(),
                };
                (position.unwrap_or(SERVED.len()), line)
            })
            .collect();
        lines.sort_by_key(|(position, _)| *position);
        Self(lines.into_iter().map(|(_, line)| line).collect())
    }

    /// All values that hold: those that somebody gave, each below a comment that says where, then the defaults.
    pub fn all(&self) -> String {
        let given = self.0.iter().filter(|line| line.set);
        let mut text: String = given
            .map(|line| format!("# {}\n{}\n", line.place, line.text))
            .collect();
        text += "# defaults\n";
        text.extend(
            self.0
                .iter()
                .filter(|line| !line.set)
                .map(|line| format!("{}\n", line.text)),
        );
        text
    }

    /// The values that the file or a variable gave: a file that would do the same, but for its secrets.
    pub fn given(&self) -> String {
        self.0
            .iter()
            .filter(|line| line.set)
            .map(|line| format!("{}\n", line.text))
            .collect()
    }
}
