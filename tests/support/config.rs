//! Writes `.properties` files for the program.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::service::{Bucket, free_ports, given};

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

    /// A configuration of the same kind for a stream of Kinesis, whose leases are in the table of the same name.
    pub fn kinesis(directory: &Path, endpoint: &str, dynamodb: &str, stream: &str) -> Self {
        let mut config = Self::new(directory, "", "");
        config.keys.retain(|key, _| !key.starts_with("kafka."));
        config
            .set("stream.source", "kinesis")
            .set("kinesis.stream", stream)
            .set("kinesis.consumer-dynamodb-table", stream)
            .set("kinesis.failover-time", "2s")
            .set("aws.enable-cloudwatch", "false")
            .set("aws.region", "us-east-1")
            .set("aws.access-key", "alluvium")
            .set("aws.secret-access-key", "alluvium-secret")
            .set("aws.kinesis-endpoint", endpoint)
            .set("aws.dynamodb-endpoint", dynamodb)
    }

    /// A file of `config/`, with the addresses of this machine. Topics and the group, stream and table get `id` before their names.
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
        let config = Self {
            keys,
            ..base.clone()
        };
        let config = match config.has("kinesis.stream") {
            true => config.of_own_stream(id),
            false => config.of_own_topics(id, bootstrap),
        };
        let config = match config.has("target.file.directory") {
            true => config.set("target.file.directory", &own("target.file.directory")),
            false => config,
        };
        config.set("admin.listen", &own("admin.listen"))
    }

    fn of_own_topics(self, id: &str, bootstrap: &str) -> Self {
        let topic = |name: &str| match name.trim().strip_prefix('^') {
            Some(pattern) => format!("^{id}-{pattern}"),
            None => format!("{id}-{}", name.trim()),
        };
        let topics: Vec<_> = self.get("kafka.topic").split(',').map(topic).collect();
        let group = topic(self.get("kafka.group.id"));
        let historical = "kafka.historical-data-topic";
        let late = self.keys.get(historical).filter(|name| !name.is_empty());
        let late = late.map(|name| topic(name));
        let config = self
            .set("kafka.nodes", bootstrap)
            .set("kafka.topic", &topics.join(","))
            .set("kafka.group.id", &group);
        match late {
            Some(late) => config.set(historical, &late),
            None => config,
        }
    }

    fn of_own_stream(self, id: &str) -> Self {
        let own = |key: &str| format!("{id}-{}", self.get(key));
        let stream = own("kinesis.stream");
        let table = own("kinesis.consumer-dynamodb-table");
        self.set("kinesis.stream", &stream)
            .set("kinesis.consumer-dynamodb-table", &table)
            .set("aws.access-key", "alluvium")
            .set("aws.secret-access-key", "alluvium-secret")
            .set("aws.kinesis-endpoint", &given("ALLUVIUM_TEST_KINESIS"))
            .set("aws.dynamodb-endpoint", &given("ALLUVIUM_TEST_DYNAMODB"))
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
        // A program that was just started may be about to read it: it finds one or the other, both whole.
        let new = path.with_extension(format!("new-{:?}", std::thread::current().id()));
        std::fs::write(&new, text).unwrap();
        std::fs::rename(&new, &path).unwrap();
        path
    }
}
