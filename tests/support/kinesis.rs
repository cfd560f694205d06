//! A Kinesis: the shared one, or the test's own.

use std::collections::BTreeMap;
use std::net::TcpStream;

use alluvium::record::Sequence;
use alluvium::source::kinesis::sdk::{Access, Keys};
use alluvium::source::kinesis::stream::aws::Kinesis as Stream;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, StreamStatus};
use md5::{Digest as _, Md5};

use super::service::{Service, free_ports, given, run_directory, script};

pub struct Kinesis {
    pub endpoint: String,
    pub client: Client,
    _own: Option<(Service, tempfile::TempDir)>,
}

/// What was written, a list a shard.
pub type Written = BTreeMap<String, Vec<(Sequence, String)>>;

impl Kinesis {
    /// The one that `ALLUVIUM_TEST_KINESIS` names.
    pub async fn shared() -> Self {
        Self::at(given("ALLUVIUM_TEST_KINESIS"), None).await
    }

    /// One of the test's own, with settings that its program takes from the environment.
    pub async fn start(environment: &[(&'static str, &str)]) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("kinesis-")
            .tempdir_in(run_directory())
            .unwrap();
        let port = free_ports(1);
        let environment = environment.iter();
        let mut service = Service {
            name: "kinesis".into(),
            command: [script("kinesis").display().to_string(), port.to_string()].into(),
            environment: environment
                .map(|(key, value)| (*key, (*value).to_owned()))
                .collect(),
            log: directory.path().join("log"),
            process: None,
        };
        service.start();
        service.wait_until(|| TcpStream::connect(("127.0.0.1", port)).is_ok());
        let endpoint = format!("http://127.0.0.1:{port}");
        Self::at(endpoint, Some((service, directory))).await
    }

    async fn at(endpoint: String, own: Option<(Service, tempfile::TempDir)>) -> Self {
        let config = access(&endpoint).load().await.unwrap();
        Self {
            client: Client::new(&config),
            endpoint,
            _own: own,
        }
    }

    /// A stream as the program reads it.
    pub async fn open(&self, stream: &str) -> Stream {
        Self::stream_at(&self.endpoint, stream).await
    }

    pub async fn stream_at(endpoint: &str, stream: &str) -> Stream {
        Stream::open(&access(endpoint), stream).await.unwrap()
    }

    pub async fn create(&self, stream: &str, shards: i32) {
        let create = self.client.create_stream().stream_name(stream);
        create.shard_count(shards).send().await.unwrap();
        self.active(stream).await;
    }

    async fn active(&self, stream: &str) {
        loop {
            let describe = self.client.describe_stream_summary().stream_name(stream);
            let summary = describe.send().await.unwrap().stream_description_summary;
            if summary.unwrap().stream_status == StreamStatus::Active {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// Writes a record for each number, whose payload and partition key it is; adds where each went.
    pub async fn put(&self, stream: &str, numbers: std::ops::Range<u32>, written: &mut Written) {
        let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
        let records = numbers
            .iter()
            .map(|number| (number.clone(), number.clone().into_bytes()));
        let records: Vec<_> = records.collect();
        let places = self.put_records(stream, &records).await;
        for ((shard, sequence), number) in places.into_iter().zip(numbers) {
            written.entry(shard).or_default().push((sequence, number));
        }
    }

    /// Writes records, each a partition key and a payload. Returns the shard and number of each.
    pub async fn put_records(
        &self,
        stream: &str,
        records: &[(String, Vec<u8>)],
    ) -> Vec<(String, Sequence)> {
        let mut places = Vec::with_capacity(records.len());
        for records in records.chunks(100) {
            let mut put = self.client.put_records().stream_name(stream);
            for (key, payload) in records {
                let entry = PutRecordsRequestEntry::builder()
                    .partition_key(key)
                    .data(Blob::new(payload.as_slice()));
                put = put.records(entry.build().unwrap());
            }
            let answer = put.send().await.unwrap();
            places.extend(answer.records.iter().map(|record| {
                let shard = record.shard_id().expect("a record was refused").to_owned();
                let sequence = record.sequence_number().unwrap().parse().unwrap();
                (shard, sequence)
            }));
        }
        places
    }

    /// Splits a shard in the middle.
    pub async fn split(&self, stream: &str, shard: &str, range: (u128, u128)) {
        let middle = range.0 + (range.1 - range.0) / 2 + 1;
        let split = self.client.split_shard().stream_name(stream);
        split
            .shard_to_split(shard)
            .new_starting_hash_key(middle.to_string())
            .send()
            .await
            .unwrap();
        self.active(stream).await;
    }

    pub async fn merge(&self, stream: &str, one: &str, other: &str) {
        let merge = self.client.merge_shards().stream_name(stream);
        let merge = merge.shard_to_merge(one).adjacent_shard_to_merge(other);
        merge.send().await.unwrap();
        self.active(stream).await;
    }
}

/// The payload of an aggregate of the Kinesis Producer Library, to be written with the partition key `key`. Each user record has a key of
/// its own, and belongs to the same shard all the same, because its explicit hash key says so.
pub fn aggregate(key: &str, users: &[(String, Vec<u8>)]) -> Vec<u8> {
    let hash = hash_key(key).to_string();
    let users = users
        .iter()
        .map(|(key, data)| (key.as_str(), Some(hash.as_str()), data.as_slice()));
    super::aggregate::aggregate(&users.collect::<Vec<_>>())
}

/// Where a partition key belongs among all hash keys.
pub fn hash_key(key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(key.as_bytes()).into())
}

/// How the program reaches a server.
pub fn access(endpoint: &str) -> Access {
    Access {
        region: Some("us-east-1".into()),
        endpoint: Some(endpoint.into()),
        keys: Some(Keys {
            access_key: "alluvium".into(),
            secret_key: "alluvium-secret".into(),
        }),
    }
}
