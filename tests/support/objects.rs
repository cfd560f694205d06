//! Reads a bucket quickly and without keeping what it reads: a small signed client of its own.

use std::fmt::Write as _;
use std::io::{self, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest as _, Sha256};

use super::events::iso;
use super::http::{self, Head};
use super::seconds;
use super::service::Bucket;

/// An object as a listing tells of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    pub key: String,
    /// As the server writes it: `2026-01-31T05:59:00.000Z`, or without the fraction.
    pub modified: String,
    pub size: u64,
}

/// A connection to the bucket's server.
pub struct Client<'a> {
    bucket: &'a Bucket,
    stream: Option<BufReader<TcpStream>>,
}

impl<'a> Client<'a> {
    pub fn new(bucket: &'a Bucket) -> Self {
        Self {
            bucket,
            stream: None,
        }
    }

    /// All objects whose key starts with `prefix`, by key.
    pub fn list(&mut self, prefix: &str) -> Vec<Listed> {
        let mut found = Vec::new();
        let mut token = String::new();
        loop {
            let mut query = String::new();
            if !token.is_empty() {
                write!(query, "continuation-token={}&", escaped(&token, false)).unwrap();
            }
            write!(
                query,
                "list-type=2&max-keys=1000&prefix={}",
                escaped(prefix, false)
            )
            .unwrap();
            let page = String::from_utf8(self.get("", &query)).unwrap();
            found.extend(page.split("<Contents>").skip(1).map(|entry| {
                Listed {
                    key: tag(entry, "Key").expect("an entry without a key"),
                    modified: tag(entry, "LastModified").unwrap_or_default(),
                    size: tag(entry, "Size")
                        .and_then(|size| size.parse().ok())
                        .unwrap_or(0),
                }
            }));
            match tag(&page, "NextContinuationToken") {
                Some(next) if tag(&page, "IsTruncated").as_deref() == Some("true") => token = next,
                _ => break,
            }
        }
        found.sort();
        found
    }

    /// The bytes of an object.
    pub fn object(&mut self, key: &str) -> Vec<u8> {
        self.get(&format!("/{}", escaped(key, true)), "")
    }

    fn get(&mut self, path: &str, query: &str) -> Vec<u8> {
        let mut tries = 0;
        loop {
            match self.try_get(path, query) {
                Ok((200, body)) => return body,
                Ok((status, body)) if tries == 5 => {
                    panic!(
                        "get {path}?{query}: {status} {}",
                        String::from_utf8_lossy(&body)
                    )
                }
                Err(error) if tries == 5 => panic!("get {path}?{query}: {error}"),
                // A connection that was idle may be closed; a loaded server may be late.
                _ => self.stream = None,
            }
            tries += 1;
            std::thread::sleep(std::time::Duration::from_millis(100 << tries));
        }
    }

    fn try_get(&mut self, path: &str, query: &str) -> io::Result<(u16, Vec<u8>)> {
        let host = self.bucket.endpoint.trim_start_matches("http://");
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect(host)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(seconds(60)))?;
                none.insert(BufReader::with_capacity(1 << 17, stream))
            }
        };
        let path = format!("/{}{path}", self.bucket.name);
        let question = if query.is_empty() { "" } else { "?" };
        let signature = sign(self.bucket, host, &path, query);
        let request =
            format!("GET {path}{question}{query} HTTP/1.1\r\nHost: {host}\r\n{signature}\r\n");
        stream.get_mut().write_all(request.as_bytes())?;
        let head = Head::read(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let body = http::body(stream, head.answer_length("GET"))?;
        Ok((head.status(), body))
    }
}

/// Hands every object of `keys` to `each`, on `threads` threads, in no order.
pub fn for_each(
    bucket: &Bucket,
    keys: &[String],
    threads: usize,
    each: impl Fn(&str, &[u8]) + Sync,
) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut client = Client::new(bucket);
                while let Some(key) = keys.get(next.fetch_add(1, Ordering::Relaxed)) {
                    each(key, &client.object(key));
                }
            });
        }
    });
}

fn tag(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once(&format!("</{name}>"))?;
    let plain = value.replace("&lt;", "<").replace("&gt;", ">");
    let plain = plain.replace("&quot;", "\"").replace("&#34;", "\"");
    Some(plain.replace("&amp;", "&"))
}

/// Percent-encodes as signatures want it; slashes stay if they part a path.
fn escaped(text: &str, is_path: bool) -> String {
    let mut out = String::new();
    for &byte in text.as_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(byte as char);
            }
            b'/' if is_path => out.push('/'),
            _ => write!(out, "%{byte:02X}").unwrap(),
        }
    }
    out
}

/// The headers that sign a GET (AWS Signature Version 4).
fn sign(bucket: &Bucket, host: &str, path: &str, query: &str) -> String {
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let millis = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let time: String = iso(u64::try_from(millis).unwrap())
        .replace(['-', ':'], "")
        .chars()
        .take(15)
        .chain(['Z'])
        .collect();
    let day = &time[..8];
    let scope = format!("{day}/us-east-1/s3/aws4_request");
    let names = "host;x-amz-content-sha256;x-amz-date";
    let canonical = format!(
        "GET\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{EMPTY}\nx-amz-date:{time}\n\n{names}\n{EMPTY}"
    );
    let hash = hex(&Sha256::digest(canonical.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hash}");
    let mut key = format!("AWS4{}", bucket.secret_key).into_bytes();
    for part in [day, "us-east-1", "s3", "aws4_request"] {
        key = hmac(&key, part.as_bytes());
    }
    let signature = hex(&hmac(&key, text.as_bytes()));
    let credential = format!("{}/{scope}", bucket.access_key);
    format!(
        "x-amz-date: {time}\r\nx-amz-content-sha256: {EMPTY}\r\nAuthorization: AWS4-HMAC-SHA256 \
         Credential={credential}, SignedHeaders={names}, Signature={signature}\r\n"
    )
}

/// HMAC with SHA-256, for keys of at most 64 bytes.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let padded = |with: u8| -> Vec<u8> {
        (0..64)
            .map(|at| key.get(at).copied().unwrap_or(0) ^ with)
            .collect()
    };
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(text)
        .finalize();
    let outer = Sha256::new().chain_update(padded(0x5c)).chain_update(inner);
    outer.finalize().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
