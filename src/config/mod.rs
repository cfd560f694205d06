//! The configuration: a `.properties` file, environment variables over it, defaults below.
//!
//! Owns which keys there are, what they mean and which values they take. Finds all problems before it gives
//! up, and starts nothing: [`load`] gives checked, typed [`settings::Settings`] or every [`Problem`].
//! It refuses to guess: an unknown key, a key given twice, or a key of the original that is not served yet is a
//! problem, never ignored.
//!
//! In the order a value meets them: [`properties`] (syntax), `names` and `keys` (what is a key), `layers` (who
//! gave the value), `read` (its type), `assemble` (the whole, and contradictions).

pub mod duration;
pub mod memory;
pub mod properties;
pub mod settings;
pub mod size;

mod assemble;
mod client;
mod effective;
mod jdbc;
mod key;
mod keys;
mod layers;
mod names;
mod problem;
mod quantity;
mod read;
mod recipe;
mod reference;
mod secret;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;

pub use effective::Effective;
pub use problem::{Problem, Problems, Warning};
pub use recipe::Recipe;
pub use reference::{reference_markdown, reference_text};
pub use secret::{REDACTED, Secret};
pub use settings::Settings;

/// A configuration without problems.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What is configured.
    pub settings: Settings,
    /// What the program can live with, but a person would like to know.
    pub warnings: Vec<Warning>,
    /// The values that hold, to be shown; secrets redacted.
    pub effective: Effective,
    /// What shapes outputs, and how to make these settings again with another shape.
    pub recipe: Recipe,
}

/// Loads `file`, with `env`'s `ALLUVIUM_…` variables over it.
///
/// `custom_targets` are the names, besides `s3` and `file`, that `target` takes in this program.
///
/// # Errors
/// All problems of the configuration; or that the file cannot be read.
pub fn load(
    file: &Path,
    env: impl IntoIterator<Item = (String, String)>,
    custom_targets: &[&str],
) -> Result<Loaded, Problems> {
    let name = file.display().to_string();
    let bytes = fs::read(file).map_err(|error| Problem {
        place: name.clone(),
        key: String::new(),
        what: format!("cannot be read: {error}"),
        fix: "give the path of a .properties file".into(),
    })?;
    from_text(&name, &bytes, env, custom_targets)
}

/// This process's environment, for [`load`]. What is not Unicode is replaced, where `std::env::vars` would panic.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| {
        (
            name.to_string_lossy().into_owned(),
            value.to_string_lossy().into_owned(),
        )
    })
}

/// Loads the text of a file, called `name` in messages. Otherwise as [`load`].
///
/// # Errors
/// All problems of the configuration.
pub fn from_text(
    name: &str,
    text: &[u8],
    env: impl IntoIterator<Item = (String, String)>,
    custom_targets: &[&str],
) -> Result<Loaded, Problems> {
    let names = names::Names::new(custom_targets);
    let mut findings = problem::Findings::default();
    let file = layers::file(name, text, &names, &mut findings);
    let environment = layers::environment(env, &names, &mut findings);
    let bug = |what: &str| Problem {
        place: name.to_owned(),
        key: String::new(),
        what: what.into(),
        fix: "this is a bug, please report it".into(),
    };
    let values = layers::merge(file, environment).ok_or_else(|| bug("cannot be merged"))?;
    let mut reader = read::Reader::new(&values, &mut findings, name);
    let settings = assemble::settings(&mut reader, names.custom_targets());
    let warnings = findings.finish()?;
    let settings = settings.ok_or_else(|| bug("is not complete"))?;
    Ok(Loaded {
        settings,
        warnings,
        effective: Effective::new(&values),
        recipe: Recipe::new(values, custom_targets),
    })
}
