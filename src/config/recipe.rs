//! What a configuration says of the shape of outputs, and the configuration again with another shape.
//!
//! A plan keeps the keys that shape names and rows, so that it can be finished by a program whose configuration has changed
//! since. Where the secrets are is not for the plan: they, and everything else, come from the configuration at hand.

use std::fmt;

use super::keys::{self, SERVED};
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
        let (recorded, malformed) = properties::parse(recorded.as_bytes());
        if !malformed.is_empty() {
            return Err("they are no lines of key=value".into());
        }
        let mut text = String::new();
        let compression = recorded
            .iter()
            .find(|entry| entry.key == keys::COMPRESSION.name);
        let compression = compression.map(|entry| entry.value.clone());
        for entry in recorded {
            // A default need not be set, and some must not be: they are of keys that another one makes idle.
            let key = SERVED.iter().find(|key| key.name == entry.key);
            let said = entry.key == keys::AVRO_ENCODING.name;
            if said || key.is_none_or(|key| key.default != Some(entry.value.as_str())) {
                text.push_str(&properties::print(&entry.key, &entry.value));
                text.push('\n');
            }
        }
        // A level is of the compression at hand.
        let at_hand = self
            .values
            .get(keys::COMPRESSION.name)
            .map(|found| found.text.trim());
        let level_fits = compression.as_deref().is_none_or(|wanted| {
            at_hand.is_some_and(|at_hand| at_hand.eq_ignore_ascii_case(wanted.trim()))
        });
        let idle = |name: &str| name == keys::COMPRESSION_LEVEL.name && !level_fits;
        for (name, found) in self.values.iter().filter(|(_, found)| found.is_set()) {
            if !shapes(name) && !idle(name) {
                text.push_str(&properties::print(name, &found.text));
                text.push('\n');
            }
        }
        let custom: Vec<_> = self.custom_targets.iter().map(String::as_str).collect();
        let loaded = from_text("the plan", text.as_bytes(), std::iter::empty(), &custom);
        loaded
            .map(|loaded| loaded.settings)
            .map_err(|problems| problems.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(text: &str) -> crate::config::Loaded {
        let common = "stream.source=kafka\nkafka.nodes=a\nkafka.topic=t\n";
        let format = match text.contains("source.data-format=") {
            true => "",
            false => "source.data-format=JSON\n",
        };
        let text = format!("{common}{format}{text}");
        let loaded = from_text("test", text.as_bytes(), std::iter::empty(), &[]);
        loaded.unwrap_or_else(|problems| panic!("{text}: {problems}"))
    }

    /// Whatever shaped a plan, another configuration can be made to shape the same, and keeps all else of its own.
    #[test]
    fn every_shape_can_be_taken_on_by_another_configuration() {
        let shapes = [
            "source.data-format.json.layout=RAKAM\ntarget=s3\ntarget.aws.s3-bucket=b\n",
            "source.data-format.json.layout=FABRIC\ntarget=s3\ntarget.aws.s3-bucket=c\ndatabase.user-field-type=LONG\n",
            "source.data-format=AVRO\nsource.data-format.avro.encoding=CONTAINER\nsource.data-format.avro.collection=RECORD\nsource.data-format.avro.reader-schema=/r.avsc\ntarget=file\ntarget.file.directory=/x\n",
            "target=file\ntarget.file.directory=/w\ndatabase.whitelisted.collections=a,b\nkafka.historical-data-topic=old\noutdated.day.index=4\n",
            "source.data-format.json.layout=PLAIN\nsource.project=p\nsource.data-format.json.nested=struct\nsource.time-zone=Asia/Tokyo\nsource.collection-field=kind of\ntarget=file\ntarget.file.directory=/x\n",
            "target=file\ntarget.file.directory=/y\ntarget.compression=none\ntarget.json.layout=flat\n",
            "target=file\ntarget.file.directory=/y\ntarget.compression=zstd\ntarget.compression-level=22\n",
            "target=file\ntarget.file.directory=/y\ntarget.compression-level=0\n",
            "target=file\ntarget.file.directory=/z\ntarget.key={project}/x \u{e4}/{collection}/{topic}-{partition}-{from}-{to}\n",
        ];
        for one in shapes {
            let wanted = loaded(one);
            for other in shapes {
                let other = loaded(&format!("{other}kafka.group.id=mine\nlog.level=debug\n"));
                let made = other.recipe.with(&wanted.recipe.shaping());
                let made = made.unwrap_or_else(|why| panic!("{one}: {why}"));
                assert_eq!(made.source, wanted.settings.source);
                assert_eq!(made.columns, wanted.settings.columns);
                assert_eq!(made.target, wanted.settings.target);
                assert_eq!(made.output.key, wanted.settings.output.key);
                assert_eq!(made.output.layout, wanted.settings.output.layout);
                assert_eq!(made.output.compression, wanted.settings.output.compression);
                assert_eq!(made.routing, wanted.settings.routing);
                assert_eq!(made.stream.kafka().unwrap().group_id, "mine");
            }
        }
    }

    /// What is at hand for one encoding must not contradict another.
    #[test]
    fn each_encoding_of_avro_can_be_taken_on_by_the_other() {
        let store =
            "metadata.store.jdbc.url=jdbc:sqlite:/c.db\ntarget=file\ntarget.file.directory=/x\n";
        let avro = |more: &str| loaded(&format!("source.data-format=AVRO\n{store}{more}"));
        let registry =
            "source.data-format.avro.encoding=CONFLUENT\nschema-registry.url=http://r:1\n";
        let (originals, registered) = (avro(""), avro(registry));
        for (at_hand, wanted) in [
            (&registered, &originals),
            (&originals, &originals),
            (&registered, &registered),
        ] {
            let made = at_hand.recipe.with(&wanted.recipe.shaping()).unwrap();
            assert_eq!(made.source, wanted.settings.source);
        }
    }

    #[test]
    fn a_shape_holds_no_secret() {
        let with_secrets = loaded(
            "target=s3\ntarget.aws.s3-bucket=b\ntarget.access-key=hunter1\ntarget.secret-access-key=hunter2\n\
             kafka.client.sasl.password=hunter3\n",
        );
        let shaping = with_secrets.recipe.shaping();
        assert!(shaping.contains("target.aws.s3-bucket=b"), "{shaping}");
        assert!(!shaping.contains("hunter"), "{shaping}");
        assert!(
            shaping.len() < 1024,
            "{} bytes in every plan",
            shaping.len()
        );
    }
}
