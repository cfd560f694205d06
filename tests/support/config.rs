//! Writes `.properties` files for the program.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::service::{Bucket, free_ports};

/// A configuration: JSON from Kafka, flushed within seconds, into the file target of a directory.
#[derive(Clone)]
pub struct Config {
    keys: BTreeMap<String, String>,
    pub directory: PathBuf,
    pub admin: u16,
}

impl Config {
    /// Keeps its file and, with the file target, its output (`out`) in `directory`.
    pub fn new(directory: &Path, bootstrap: &str, topic: &str) -> Self {
        let admin = free_ports(1);
        let output = directory.join("out").display().to_string();
        let config = Self {
            keys: BTreeMap::new(),
            directory: directory.to_owned(),
            admin,
        };
        config
            .set("stream.source", "kafka")
            .set("source.data-format", "JSON")
            .set("source.data-format.json.layout", "FABRIC")
            .set("stream.max-flush-duration", "200ms")
            .set("middleware.max-flush-duration", "1s")
            .set("kafka.nodes", bootstrap)
            .set("kafka.topic", topic)
            .set("kafka.offset", "earliest")
            .set("kafka.group.id", topic.trim_start_matches('^'))
            .set("target", "file")
            .set("target.file.directory", &output)
            .set("admin.listen", &format!("127.0.0.1:{admin}"))
    }

    /// A file of `config/`, with the addresses of this machine. Topics and the group get `id` before their names.
    pub fn example(file: &str, directory: &Path, bootstrap: &str, id: &str) -> Self {
        let path = Path::new(super::service::REPOSITORY)
            .join("config")
            .join(file);
        let text = std::fs::read_to_string(path).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let keys: BTreeMap<_, _> = lines
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let base = Self::new(directory, bootstrap, "");
        let own = |key: &str| base.get(key).to_owned();
        let topic = |name: &str| match name.trim().strip_prefix('^') {
            Some(pattern) => format!("^{id}-{pattern}"),
            None => format!("{id}-{}", name.trim()),
        };
        let topics: Vec<_> = keys["kafka.topic"].split(',').map(topic).collect();
        let group = topic(&keys["kafka.group.id"]);
        let (nodes, listen) = (own("kafka.nodes"), own("admin.listen"));
        let mut config = Self {
            keys,
            ..base.clone()
        }
        .set("kafka.nodes", &nodes)
        .set("kafka.topic", &topics.join(","))
        .set("kafka.group.id", &group)
        .set("admin.listen", &listen);
        for (key, name) in config.keys.clone() {
            if key == "kafka.historical-data-topic" && !name.is_empty() {
                config = config.set(&key, &topic(&name));
            } else if key == "target.file.directory" {
                config = config.set(&key, &own(&key));
            }
        }
        config
    }

    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.keys.insert(key.to_owned(), value.to_owned());
        self
    }

    pub fn without(mut self, key: &str) -> Self {
        self.keys.remove(key);
        self
    }

    pub fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    pub fn get(&self, key: &str) -> &str {
        &self.keys[key]
    }

    /// Writes to S3 instead.
    pub fn s3(self, bucket: &Bucket) -> Self {
        self.without("target.file.directory")
            .set("target", "s3")
            .set("target.aws.s3-endpoint", &bucket.endpoint)
            .set("target.aws.s3-bucket", &bucket.name)
            .set("target.access-key", &bucket.access_key)
            .set("target.secret-access-key", &bucket.secret_key)
    }

    /// A second process beside the first: the same, but for its admin address.
    pub fn another(&self) -> Self {
        let admin = free_ports(1);
        Self {
            admin,
            ..self.clone()
        }
        .set("admin.listen", &format!("127.0.0.1:{admin}"))
    }

    pub fn output(&self) -> PathBuf {
        self.directory.join("out")
    }

    /// Writes the file and gives its path.
    pub fn write(&self) -> PathBuf {
        let mut text = String::new();
        for (key, value) in &self.keys {
            writeln!(text, "{key}={}", value.replace('\\', "\\\\")).unwrap();
        }
        let path = self
            .directory
            .join(format!("alluvium-{}.properties", self.admin));
        std::fs::write(&path, text).unwrap();
        path
    }
}
