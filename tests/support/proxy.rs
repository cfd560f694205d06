//! A proxy in front of an S3 server, or another that is asked by HTTP, that makes trouble: errors, resets, lost answers, silence, thin lines.
//!
//! Bytes are relayed unchanged, the `Host` header too, so that signatures made for the proxy's address stay right: the
//! server checks what the client signed. A thread for each connection; one request after the other on each.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::http::{Head, Length, relay};
use super::random::Random;
use super::seconds;

/// What can happen to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// 500 InternalError; the server never hears of the request.
    Internal,
    /// 503 SlowDown.
    SlowDown,
    /// 400 ExpiredToken.
    Expired,
    /// 403 AccessDenied.
    Forbidden,
    /// The connection is reset in the middle of the request's body.
    Reset,
    /// The server does what is asked, and nobody hears that it did.
    LostReply,
    /// Silence, then the connection is closed.
    Hang,
    /// The body trickles.
    Slow,
    /// 400 ProvisionedThroughputExceededException, as Kinesis and DynamoDB say it.
    Throttled,
}

impl Fault {
    /// Those of S3.
    pub const ALL: [Self; 8] = [
        Self::Internal,
        Self::SlowDown,
        Self::Expired,
        Self::Forbidden,
        Self::Reset,
        Self::LostReply,
        Self::Hang,
        Self::Slow,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal-error",
            Self::SlowDown => "slow-down",
            Self::Expired => "expired-token",
            Self::Forbidden => "forbidden",
            Self::Reset => "reset",
            Self::LostReply => "lost-reply",
            Self::Hang => "hang",
            Self::Slow => "slow-line",
            Self::Throttled => "throttled",
        }
    }

    fn answer(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Internal => Some(("500 Internal Server Error", "InternalError")),
            Self::SlowDown => Some(("503 Slow Down", "SlowDown")),
            Self::Expired => Some(("400 Bad Request", "ExpiredToken")),
            Self::Forbidden => Some(("403 Forbidden", "AccessDenied")),
            Self::Throttled => Some(("400 Bad Request", "ProvisionedThroughputExceededException")),
            _ => None,
        }
    }
}

/// The speed of a slow line, for one request.
const TRICKLE: u64 = 16 << 10;

/// A line of limited speed that whoever holds it shares.
#[derive(Debug)]
struct Line {
    bytes_per_second: u64,
    free_at: Mutex<Instant>,
}

impl Line {
    fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second,
            free_at: Mutex::new(Instant::now()),
        }
    }

    fn pass(&self, bytes: usize) {
        let takes = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        let until = {
            let mut free_at = self.free_at.lock().unwrap();
            *free_at = (*free_at).max(Instant::now()) + takes;
            *free_at
        };
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
    }
}

struct Trouble {
    random: Random,
    /// Of a thousand requests, how many each fault hits.
    rates: BTreeMap<Fault, u64>,
    hang: Duration,
}

struct Shared {
    server: String,
    trouble: Mutex<Trouble>,
    line: Mutex<Option<Arc<Line>>>,
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

impl Shared {
    fn count(&self, what: &'static str) {
        *self.counts.lock().unwrap().entry(what).or_default() += 1;
    }

    fn draw(&self) -> (Option<Fault>, Duration) {
        let mut trouble = self.trouble.lock().unwrap();
        let mut at = trouble.random.below(1_000);
        let mut hit = None;
        for (&fault, &rate) in &trouble.rates {
            if hit.is_none() && at < rate {
                hit = Some(fault);
            }
            at = at.saturating_sub(rate);
        }
        (hit, trouble.hang)
    }
}

/// The proxy; requests come in by its [`Door`]s.
#[derive(Clone)]
pub struct Proxy(Arc<Shared>);

impl Proxy {
    /// A proxy before the server at `endpoint` (`http://host:port`), without trouble so far.
    pub fn new(endpoint: &str, seed: u64) -> Self {
        let trouble = Trouble {
            random: Random::new(seed),
            rates: BTreeMap::new(),
            hang: seconds(5),
        };
        Self(Arc::new(Shared {
            server: endpoint.trim_start_matches("http://").to_owned(),
            trouble: Mutex::new(trouble),
            line: Mutex::default(),
            counts: Mutex::default(),
        }))
    }

    /// An address of the proxy's. Each process under test has its own, so that its requests can be told.
    pub fn door(&self) -> Door {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let door = Door {
            port,
            trap: Arc::default(),
        };
        let (shared, trap) = (self.0.clone(), door.trap.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, trap) = (shared.clone(), trap.clone());
                // An error ends the connection, as it would without us.
                std::thread::spawn(move || drop(Connection::serve(&stream, &shared, &trap)));
            }
        });
        door
    }

    /// Lets a fault hit so many of a thousand requests; 0 ends it.
    pub fn set(&self, fault: Fault, per_mille: u64) {
        let mut trouble = self.0.trouble.lock().unwrap();
        trouble.rates.insert(fault, per_mille);
    }

    /// How long silence lasts.
    pub fn set_hang(&self, hang: Duration) {
        self.0.trouble.lock().unwrap().hang = hang;
    }

    /// Ends all trouble.
    pub fn calm(&self) {
        self.0.trouble.lock().unwrap().rates.clear();
        self.limit(None);
    }

    /// Limits what all requests together may send, in bytes per second.
    pub fn limit(&self, bytes_per_second: Option<u64>) {
        let line = bytes_per_second.map(|speed| Arc::new(Line::new(speed)));
        *self.0.line.lock().unwrap() = line;
    }

    /// Requests seen, by what became of them.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.0.counts.lock().unwrap().clone()
    }

    pub fn hits(&self, fault: Fault) -> u64 {
        self.counts().get(fault.name()).copied().unwrap_or(0)
    }
}

type Action = Box<dyn FnOnce() + Send>;
type Trap = Arc<Mutex<Option<(u64, Action)>>>;

/// An address of a [`Proxy`].
pub struct Door {
    port: u16,
    trap: Trap,
}

impl Door {
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Does `action` when `puts` more objects are stored, before whoever stored the last one hears of it.
    pub fn after_puts(&self, puts: u64, action: impl FnOnce() + Send + 'static) {
        *self.trap.lock().unwrap() = Some((puts, Box::new(action)));
    }

    pub fn is_armed(&self) -> bool {
        self.trap.lock().unwrap().is_some()
    }

    /// Takes an action back; `false` if it has been done.
    pub fn disarm(&self) -> bool {
        self.trap.lock().unwrap().take().is_some()
    }
}

/// One connection of a client, and the one to the server that serves it.
struct Connection<'a> {
    shared: &'a Shared,
    trap: &'a Trap,
    client: BufReader<&'a TcpStream>,
    server: Option<BufReader<TcpStream>>,
}

impl<'a> Connection<'a> {
    fn serve(stream: &'a TcpStream, shared: &'a Shared, trap: &'a Trap) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut connection = Self {
            shared,
            trap,
            client: BufReader::with_capacity(1 << 16, stream),
            server: None,
        };
        while let Some(head) = Head::read(&mut connection.client)? {
            if !connection.request(&head)? {
                break;
            }
        }
        Ok(())
    }

    /// Whether the connection goes on.
    fn request(&mut self, head: &Head) -> io::Result<bool> {
        self.shared.count("requests");
        let (fault, hang) = self.shared.draw();
        if let Some(fault) = fault {
            self.shared.count(fault.name());
        }
        match fault {
            Some(Fault::Hang) => {
                std::thread::sleep(hang);
                Ok(false)
            }
            Some(Fault::Reset) => self.reset(head),
            Some(fault) if fault.answer().is_some() => self.refuse(head, fault),
            _ => self.pass_on(head, fault),
        }
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let mut client = *self.client.get_ref();
        client.write_all(bytes)
    }

    fn allow_body(&self, head: &Head) -> io::Result<()> {
        if head.expects_continue() {
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        Ok(())
    }

    /// Answers for the server.
    fn refuse(&mut self, head: &Head, fault: Fault) -> io::Result<bool> {
        self.allow_body(head)?;
        relay(&mut self.client, head.request_length(), |_| Ok(()))?;
        let (status, code) = fault.answer().unwrap();
        let (kind, body) = match fault {
            _ if head.method() == "HEAD" => ("application/xml", String::new()),
            Fault::Throttled => (
                "application/x-amz-json-1.1",
                format!(r#"{{"__type":"{code}","message":"made by the proxy"}}"#),
            ),
            _ => (
                "application/xml",
                format!("<Error><Code>{code}</Code><Message>made by the proxy</Message></Error>"),
            ),
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.send(answer.as_bytes())?;
        Ok(!head.closes())
    }

    /// Lets half of the body through. What stays unread makes the system reset the connection.
    fn reset(&mut self, head: &Head) -> io::Result<bool> {
        self.allow_body(head)?;
        let half = match head.request_length() {
            Length::Known(bytes) => bytes / 2,
            _ => 0,
        };
        let mut server = TcpStream::connect(&self.shared.server)?;
        server.write_all(&head.bytes)?;
        relay(&mut self.client, Length::Known(half), |piece| {
            server.write_all(piece)
        })?;
        Ok(false)
    }

    fn pass_on(&mut self, head: &Head, fault: Option<Fault>) -> io::Result<bool> {
        let mut server = match self.server.take() {
            Some(server) => server,
            None => {
                let stream = TcpStream::connect(&self.shared.server)?;
                stream.set_nodelay(true)?;
                BufReader::with_capacity(1 << 16, stream)
            }
        };
        server.get_mut().write_all(&head.bytes)?;
        if head.expects_continue() {
            let interim = Head::read(&mut server)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            self.send(&interim.bytes)?;
            if interim.status() != 100 {
                let length = interim.answer_length(head.method());
                let mut client = *self.client.get_ref();
                relay(&mut server, length, |piece| client.write_all(piece))?;
                return Ok(false);
            }
        }
        let shared_line = self.shared.line.lock().unwrap().clone();
        let trickle = (fault == Some(Fault::Slow)).then(|| Line::new(TRICKLE));
        relay(&mut self.client, head.request_length(), |piece| {
            // Small pieces, so that many requests share a line fairly.
            let size = if trickle.is_some() { 1 << 10 } else { 1 << 14 };
            piece.chunks(size).try_for_each(|piece| {
                for line in shared_line.iter().map(Arc::as_ref).chain(&trickle) {
                    line.pass(piece.len());
                }
                server.get_mut().write_all(piece)
            })
        })?;
        self.answer(head, server, fault == Some(Fault::LostReply))
    }

    fn answer(
        &mut self,
        request: &Head,
        mut server: BufReader<TcpStream>,
        lost: bool,
    ) -> io::Result<bool> {
        let mut answer = Head::read(&mut server)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        while answer.status() < 200 {
            answer = Head::read(&mut server)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        }
        self.note(request, &answer);
        let mut client = *self.client.get_ref();
        if !lost {
            client.write_all(&answer.bytes)?;
        }
        let length = answer.answer_length(request.method());
        relay(&mut server, length, |piece| {
            if lost {
                Ok(())
            } else {
                client.write_all(piece)
            }
        })?;
        let goes_on = !lost && !answer.closes() && length != Length::UntilClose;
        if goes_on {
            self.server = Some(server);
        }
        Ok(goes_on && !request.closes())
    }

    /// Counts an answer, and springs the trap that waits for it.
    fn note(&self, request: &Head, answer: &Head) {
        match (request.method(), answer.status()) {
            ("POST", 400..) => self.shared.count("refused"),
            ("PUT", 200) => self.shared.count("put-stored"),
            ("PUT", 412) => self.shared.count("put-there-already"),
            ("PUT", _) => self.shared.count("put-failed"),
            _ => {}
        }
        if request.method() != "PUT" || answer.status() != 200 {
            return;
        }
        let action = {
            let mut trap = self.trap.lock().unwrap();
            match &mut *trap {
                Some((left, _)) if *left > 1 => {
                    *left -= 1;
                    None
                }
                trap => trap.take().map(|(_, action)| action),
            }
        };
        if let Some(action) = action {
            action();
        }
    }
}

/// Counts as numbers in a line of text.
pub fn shown<K: Display>(counts: &BTreeMap<K, u64>) -> String {
    let parts: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    parts.join(", ")
}
