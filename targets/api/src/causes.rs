//! Errors with all that is behind them, as clients tell them: what counts is often said last.

use std::error::Error;
use std::iter;

/// An error, what caused it, what caused that, and so on.
pub fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| error.source())
}

/// An error and what caused it, as one line. Causes that repeat what was said are left out.
pub fn line(error: &(dyn Error + 'static)) -> String {
    let mut line = String::new();
    for cause in chain(error) {
        let text = cause.to_string();
        if line.is_empty() {
            line = text;
        } else if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
    }
    line
}

/// What caused an error, as one line, or the error itself if nothing did: for those that say only that something has failed.
pub fn line_behind(error: &(dyn Error + 'static)) -> String {
    error.source().map_or_else(|| error.to_string(), line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{said}")]
    struct Said {
        said: &'static str,
        source: Option<Box<Said>>,
    }

    fn errors(said: &[&'static str]) -> Said {
        let mut behind = None;
        for said in said.iter().rev() {
            let source = behind.take().map(Box::new);
            behind = Some(Said { said, source });
        }
        behind.unwrap()
    }

    #[test]
    fn a_line_says_each_cause_once() {
        let error = errors(&["failed", "no answer: refused", "refused", "port closed"]);
        assert_eq!(line(&error), "failed: no answer: refused: port closed");
        assert_eq!(line_behind(&error), "no answer: refused: port closed");
        assert_eq!(chain(&error).count(), 4);
        assert_eq!(line_behind(&errors(&["failed"])), "failed");
    }
}
