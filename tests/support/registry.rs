//! A schema registry that speaks Confluent's protocol: the shared one, or the test's own.

use std::io::{BufReader, Write as _};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::config::Config;
use super::http::{self, Head};
use super::seconds;
use super::service::{Service, free_ports, given, run_directory, script};

const USER: &str = "alluvium";

/// A name within a schema, with the subject and version it stands for.
pub type Reference<'a> = (&'a str, &'a str, u32);

pub struct Registry {
    address: String,
    password: String,
    own: Option<(Service, tempfile::TempDir)>,
}

impl Registry {
    /// The one that `ALLUVIUM_TEST_REGISTRY` names.
    pub fn shared() -> Self {
        Self {
            address: given("ALLUVIUM_TEST_REGISTRY"),
            password: given("ALLUVIUM_TEST_REGISTRY_PASSWORD"),
            own: None,
        }
    }

    /// A registry of the test's own, which it may stop and start again with the same schemas and address.
    pub fn start() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("registry-")
            .tempdir_in(run_directory())
            .unwrap();
        let port = free_ports(1);
        let password = "alluvium-secret".to_owned();
        let command = [
            script("registry").display().to_string(),
            directory.path().join("data").display().to_string(),
            port.to_string(),
        ];
        let service = Service {
            name: "the schema registry".into(),
            command: command.into(),
            environment: vec![("REGISTRY_PASSWORD", password.clone())],
            log: directory.path().join("log"),
            process: None,
        };
        let mut registry = Self {
            address: format!("127.0.0.1:{port}"),
            password,
            own: Some((service, directory)),
        };
        registry.restart();
        registry
    }

    pub fn kill(&mut self) {
        let (service, _) = self.own.as_mut().expect("the shared one is not killed");
        service.kill();
    }

    /// Starts one that was killed, and waits until it answers.
    pub fn restart(&mut self) {
        let (service, _) = self.own.as_mut().expect("the shared one runs");
        service.start();
        let address = self.address.clone();
        service.wait_until(|| TcpStream::connect(&address).is_ok());
    }

    pub fn url(&self) -> String {
        format!("http://{}/apis/ccompat/v7", self.address)
    }

    /// The configuration of a program that asks this registry.
    pub fn asked_by(&self, config: Config) -> Config {
        config
            .set("schema-registry.url", &self.url())
            .set("schema-registry.username", USER)
            .set("schema-registry.password", &self.password)
    }

    /// As [`Registry::asked_by`], for Avro records with a registry's number.
    pub fn avro(&self, config: Config) -> Config {
        self.asked_by(config)
            .without("source.data-format.json.layout")
            .set("source.data-format", "AVRO")
            .set("source.data-format.avro.encoding", "CONFLUENT")
    }

    /// Makes a text the next version of a subject, and gives the schema's number.
    pub fn register(
        &self,
        subject: &str,
        kind: &str,
        text: &str,
        references: &[Reference<'_>],
    ) -> u32 {
        let references = references.iter().map(|(name, subject, version)| {
            json!({"name": name, "subject": subject, "version": version})
        });
        let references: Vec<_> = references.collect();
        let question = json!({"schema": text, "schemaType": kind, "references": references});
        let path = format!("/apis/ccompat/v7/subjects/{subject}/versions");
        // One that has just started may take connections before it can do anything.
        let (mut status, mut answer) = self.post(&path, &question);
        for _ in 0..60 {
            if status < 500 {
                break;
            }
            std::thread::sleep(seconds(1));
            (status, answer) = self.post(&path, &question);
        }
        assert_eq!(status, 200, "{subject}: {answer}");
        let id = answer["id"].as_u64().unwrap();
        u32::try_from(id).unwrap()
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(seconds(60))).unwrap();
        let login = BASE64.encode(format!("{USER}:{}", self.password));
        let body = body.to_string();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Basic {login}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut stream = BufReader::new(stream);
        let head = Head::read(&mut stream).unwrap().expect("no answer");
        let body = http::body(&mut stream, head.answer_length("POST")).unwrap();
        let answer = serde_json::from_slice(&body);
        (head.status(), answer.unwrap_or_default())
    }
}
