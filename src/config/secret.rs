//! Values that must never be seen: not in logs, not in problems, not in printed settings.

use std::fmt;

/// What stands in a secret's place.
pub const REDACTED: &str = "[redacted]";

/// A text that prints as `[redacted]`, whatever prints it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the client library that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// Whether the value of a passed-through key must be redacted, by the key's name or the value's form.
///
/// Errs on the side of hiding: it knows neither all of librdkafka's settings nor a custom target's.
pub(super) fn hides(key: &str, value: &str) -> bool {
    const TELLTALES: [&str; 13] = [
        "password",
        "passphrase",
        "secret",
        "token",
        "credential",
        "jaas",
        "oauthbearer.config",
        "oauthbearer.extensions",
        "key.pem",
        "private",
        "access-key",
        "access.key",
        "api-key",
    ];
    let key = key.to_ascii_lowercase();
    let url_with_user = value
        .split_once("://")
        .is_some_and(|(_, rest)| rest.contains('@'));
    url_with_user || value.contains("PRIVATE KEY") || TELLTALES.iter().any(|t| key.contains(t))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            format!("{secret} {secret:?} {secret:#?}"),
            "[redacted] [redacted] [redacted]"
        );
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn settings_that_may_hold_secrets_are_hidden() {
        for key in [
            "sasl.password",
            "ssl.key.pem",
            "ssl.key.password",
            "ssl.keystore.password",
            "sasl.jaas.config",
            "sasl.oauthbearer.config",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.assertion.private.key.pem",
            "target.store.api-key",
        ] {
            assert!(hides(key, "x"), "{key}");
        }
        assert!(hides("http.proxy", "http://user:pass@host"));
        for key in [
            "security.protocol",
            "ssl.ca.location",
            "sasl.username",
            "sasl.mechanisms",
        ] {
            assert!(!hides(key, "x"), "{key}");
        }
    }
}
