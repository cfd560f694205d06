//! Which names are keys, how environment variables are named after them, and which key a wrong name may
//! have meant.

use super::key::{Key, Status};
use super::keys::{CLIENT_PREFIX, ORIGINAL, SERVED};

/// How the variables begin that are read.
pub(super) const VARIABLE_PREFIX: &str = "ALLUVIUM_";

/// The names that are keys in this program, with those of the custom targets it knows.
#[derive(Debug)]
pub(super) struct Names {
    custom_targets: Vec<String>,
}

/// What a name is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Known<'a> {
    /// A declared key.
    Declared(&'static Key),
    /// A setting of the Kafka client, by librdkafka's name.
    Client(&'a str),
    /// A setting of a custom target.
    Custom,
}

/// What an environment variable sets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Variable {
    /// This key.
    Key(String),
    /// Nothing; it is not meant for the configuration.
    Foreign,
    /// It looks like a setting, but names no key; perhaps this variable was meant.
    Unknown(Option<String>),
}

impl Names {
    pub(super) fn new(custom_targets: &[&str]) -> Self {
        Self {
            custom_targets: custom_targets
                .iter()
                .map(|name| name.to_ascii_lowercase())
                .collect(),
        }
    }

    pub(super) fn custom_targets(&self) -> &[String] {
        &self.custom_targets
    }

    /// What `name` is, if it is a key at all.
    pub(super) fn find<'a>(&self, name: &'a str) -> Option<Known<'a>> {
        if let Some(key) = declared().find(|key| covers(key, name)) {
            return Some(Known::Declared(key));
        }
        if let Some(setting) = name
            .strip_prefix(CLIENT_PREFIX)
            .filter(|rest| !rest.is_empty())
        {
            return Some(Known::Client(setting));
        }
        let custom = self
            .prefixes()
            .any(|p| name.len() > p.len() && name.starts_with(&p));
        custom.then_some(Known::Custom)
    }

    /// The key that a wrong `name` probably was meant to be.
    pub(super) fn nearest(&self, name: &str) -> Option<String> {
        let lower = name.to_ascii_lowercase();
        if ["ssl.", "sasl.", "security.", "enable.ssl."]
            .iter()
            .any(|p| lower.starts_with(p))
        {
            return Some(format!("{CLIENT_PREFIX}{lower}"));
        }
        similar(&lower, SERVED.iter().map(|key| key.name.to_owned()))
    }

    /// What the environment variable `variable` sets.
    pub(super) fn variable(&self, variable: &str) -> Variable {
        let Some(rest) = variable.strip_prefix(VARIABLE_PREFIX) else {
            return Variable::Foreign;
        };
        if rest.starts_with("TEST_") || (cfg!(feature = "failpoints") && rest == "FAILPOINT") {
            return Variable::Foreign;
        }
        if let Some(key) = declared().find(|key| variable_of(key.name) == variable) {
            return Variable::Key(key.name.into());
        }
        let open = declared().filter(|key| key.status == Status::NoEffect);
        let open = open.filter_map(|key| key.name.strip_suffix('*').map(str::to_owned));
        for prefix in self
            .prefixes()
            .chain([CLIENT_PREFIX.to_owned()])
            .chain(open)
        {
            if let Some(setting) = variable.strip_prefix(&variable_of(&prefix))
                && let Some(setting) = setting_of(setting)
            {
                return Variable::Key(prefix + &setting);
            }
        }
        if is_service_link(rest) {
            return Variable::Foreign;
        }
        Variable::Unknown(similar(
            variable,
            SERVED.iter().map(|key| variable_of(key.name)),
        ))
    }

    fn prefixes(&self) -> impl Iterator<Item = String> {
        self.custom_targets
            .iter()
            .map(|name| format!("target.{name}."))
    }
}

/// All declared keys.
pub(super) fn declared() -> impl Iterator<Item = &'static Key> {
    SERVED.into_iter().chain(ORIGINAL)
}

/// The environment variable of a declared key: `kafka.group.id` is `ALLUVIUM_KAFKA_GROUP_ID`.
pub(super) fn variable_of(key: &str) -> String {
    VARIABLE_PREFIX.to_owned() + &key.to_ascii_uppercase().replace(['.', '-'], "_")
}

/// The name of a passed-through setting from the end of its variable: one underscore is a dot, two are an
/// underscore, three a hyphen. Nothing if it cannot be a name.
fn setting_of(variable: &str) -> Option<String> {
    let mut setting = String::with_capacity(variable.len());
    let mut rest = variable;
    loop {
        let word = rest.find('_').unwrap_or(rest.len());
        let (word, tail) = rest.split_at(word);
        if word.is_empty() {
            return None;
        }
        setting.push_str(&word.to_ascii_lowercase());
        if tail.is_empty() {
            return Some(setting);
        }
        rest = tail.trim_start_matches('_');
        setting.push(match tail.len() - rest.len() {
            1 => '.',
            2 => '_',
            3 => '-',
            _ => return None,
        });
    }
}

/// Whether `name` is `key`, or one of the keys it stands for.
fn covers(key: &Key, name: &str) -> bool {
    match key.name.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => key.name == name,
    }
}

/// Variables Kubernetes sets in every pod for a service called `alluvium` or `alluvium-…`, and Docker for links.
fn is_service_link(rest: &str) -> bool {
    ["SERVICE_HOST", "SERVICE_PORT", "PORT"]
        .iter()
        .any(|word| rest == *word || rest.ends_with(&format!("_{word}")))
        || rest.starts_with("SERVICE_PORT_")
        || rest.contains("_SERVICE_PORT_")
        || format!("_{rest}")
            .split("_PORT_")
            .skip(1)
            .any(|tail| tail.starts_with(|c: char| c.is_ascii_digit()))
}

fn similar(name: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    const CLOSE: f64 = 0.8;
    candidates
        .map(|candidate| {
            (
                strsim::normalized_damerau_levenshtein(name, &candidate),
                candidate,
            )
        })
        .filter(|(closeness, _)| *closeness >= CLOSE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_keys_share_a_name_or_a_variable() {
        let names: BTreeSet<_> = declared().map(|key| key.name).collect();
        let variables: BTreeSet<_> = declared().map(|key| variable_of(key.name)).collect();
        assert_eq!(names.len(), declared().count());
        assert_eq!(variables.len(), declared().count());
    }

    #[test]
    fn no_declared_variable_is_taken_for_something_else() {
        let names = Names::new(&["mine"]);
        for key in SERVED {
            let variable = variable_of(key.name);
            assert_eq!(names.variable(&variable), Variable::Key(key.name.into()));
            assert!(!variable.starts_with("ALLUVIUM_TEST_"), "{variable}");
        }
    }

    #[test]
    fn variables_of_passed_through_settings() {
        let names = Names::new(&["my-store"]);
        for (variable, key) in [
            (
                "ALLUVIUM_KAFKA_CLIENT_SASL_PASSWORD",
                "kafka.client.sasl.password",
            ),
            ("ALLUVIUM_KAFKA_CLIENT_LOG__LEVEL", "kafka.client.log_level"),
            ("ALLUVIUM_KAFKA_CLIENT_A___B_C", "kafka.client.a-b.c"),
            ("ALLUVIUM_TARGET_MY_STORE_URL", "target.my-store.url"),
            ("ALLUVIUM_LICENSE_KEYNAME", "license.keyname"),
        ] {
            assert_eq!(names.variable(variable), Variable::Key(key.into()));
        }
        for variable in [
            "ALLUVIUM_KAFKA_CLIENT_",
            "ALLUVIUM_KAFKA_CLIENT_A_",
            "ALLUVIUM_KAFKA_CLIENT__A",
            "ALLUVIUM_KAFKA_CLIENT_A____B",
            "ALLUVIUM_TARGET_YOUR_STORE_URL",
        ] {
            assert_eq!(
                names.variable(variable),
                Variable::Unknown(None),
                "{variable}"
            );
        }
    }

    #[test]
    fn variables_that_others_set_are_left_alone() {
        for variable in [
            "PATH",
            "KAFKA_GROUP_ID",
            "ALLUVIUM_TEST_KAFKA",
            "ALLUVIUM_SERVICE_HOST",
            "ALLUVIUM_SERVICE_PORT",
            "ALLUVIUM_SERVICE_PORT_ADMIN",
            "ALLUVIUM_PORT",
            "ALLUVIUM_PORT_9464_TCP",
            "ALLUVIUM_PORT_9464_TCP_ADDR",
            "ALLUVIUM_WEB_EVENTS_SERVICE_HOST",
            "ALLUVIUM_WEB_EVENTS_PORT_80_TCP_PROTO",
        ] {
            assert_eq!(
                Names::new(&[]).variable(variable),
                Variable::Foreign,
                "{variable}"
            );
        }
        let meant = Variable::Unknown(Some("ALLUVIUM_KAFKA_GROUP_ID".into()));
        assert_eq!(Names::new(&[]).variable("ALLUVIUM_KAFKA_GROUPID"), meant);
    }

    #[test]
    fn the_nearest_key_is_suggested_or_none() {
        let names = Names::new(&[]);
        for (wrong, right) in [
            ("kafka.topics", Some("kafka.topic")),
            ("kafka.groupid", Some("kafka.group.id")),
            ("Kafka.Nodes", Some("kafka.nodes")),
            (
                "stream.max-flush-duratoin",
                Some("stream.max-flush-duration"),
            ),
            ("sasl.mechanism", Some("kafka.client.sasl.mechanism")),
            ("completely.different", None),
        ] {
            assert_eq!(names.nearest(wrong).as_deref(), right, "{wrong}");
        }
    }
}
