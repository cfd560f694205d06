//! What a configuration says of the shape of outputs, and the configuration again with another shape.
//!
//! A plan keeps the keys that shape names and rows, so that it can be finished by a program whose configuration has changed
//! since. Where the secrets are is not for the plan: they, and everything else, come from the configuration at hand.

use std::fmt;

use super::keys::SERVED;
use super::layers::Values;
use super::settings::Settings;
use super::{from_text, properties};

/// The values a configuration was made of.
#[derive(Clone)]
pub struct Recipe {
    values: Values,
    custom_targets: Vec<String>,
}

/// The values may be secrets.
impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipe").finish_non_exhaustive()
    }
}

impl Recipe {
    pub(super) fn new(values: Values, custom_targets: &[&str]) -> Self {
        let custom_targets = custom_targets.iter().map(|&name| name.to_owned()).collect();
        Self {
            values,
            custom_targets,
        }
    }

    /// The keys that shape outputs and the values that hold, a `key=value` line for each; none is secret.
    pub fn shaping(&self) -> String {
        let lines = SERVED.iter().filter(|key| key.shapes).filter_map(|key| {
            let found = self.values.get(key.name)?;
            Some(properties::print(key.name, found.text.trim()))
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The configuration, but shaped as `recorded` by [`Recipe::shaping`].
    ///
    /// # Errors
    /// Why that is no configuration this program can work with.
    pub fn with(&self, recorded: &str) -> Result<Settings, String> {
        let shapes = |name: &str| SERVED.iter().any(|key| key.shapes && key.name == name);
        let mut text = recorded.to_owned();
        for (name, found) in self.values.iter().filter(|(_, found)| found.is_set()) {
            if !shapes(name) {
                text.push('\n');
                text.push_str(&properties::print(name, &found.text));
            }
        }
        let custom: Vec<_> = self.custom_targets.iter().map(String::as_str).collect();
        let loaded = from_text("the plan", text.as_bytes(), std::iter::empty(), &custom);
        loaded
            .map(|loaded| loaded.settings)
            .map_err(|problems| problems.to_string())
    }
}
