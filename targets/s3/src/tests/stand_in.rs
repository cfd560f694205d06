//! A server that answers S3 requests as a test tells it to, and remembers them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of one request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A status, headers (each line ended) and a body.
    Reply(u16, String, String),
    /// What a look at the first object that was sent says: its metadata and no body.
    Stored,
    /// Less of a body than its length, and the connection closed.
    Short,
    /// As `Reply(200, …)`, after a while.
    Late(Duration),
    /// The connection is reset before the body is read.
    Reset,
    /// The request is read, no answer comes, the connection stays.
    Silence,
    /// The request is read, and the connection closed without an answer.
    Lost,
}

impl Answer {
    pub(crate) fn ok() -> Self {
        Self::Reply(200, "ETag: \"tag\"\r\n".into(), String::new())
    }

    pub(crate) fn xml(text: &str) -> Self {
        Self::Reply(200, String::new(), text.into())
    }

    pub(crate) fn upload() -> Self {
        Self::xml(
            "<InitiateMultipartUploadResult><UploadId>up</UploadId>\
             </InitiateMultipartUploadResult>",
        )
    }

    /// An error the way S3 words it; with no code, as servers that are not S3 do.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        let body = if code.is_empty() {
            String::new()
        } else {
            format!(
                "<Error><Code>{code}</Code><Message>text of {code}</Message>\
                 <RequestId>R1</RequestId></Error>"
            )
        };
        Self::Reply(status, "x-amz-request-id: R1\r\n".into(), body)
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// Method and target, such as `PUT /bucket/key?x-id=PutObject`.
    pub(crate) line: String,
    /// By lower-case name.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

#[derive(Debug, Default)]
struct State {
    answers: VecDeque<Answer>,
    seen: Vec<Request>,
    now: usize,
    most: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct StandIn {
    pub(crate) endpoint: String,
    state: Arc<Mutex<State>>,
}

impl StandIn {
    /// Gives these answers in this order, the last one again and again.
    pub(crate) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let answers = answers.into_iter().collect();
        let state = Arc::new(Mutex::new(State {
            answers,
            ..State::default()
        }));
        let served = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = served.clone();
                tokio::spawn(async move {
                    // A client may hang up at any time; the test judges by what was seen.
                    let _ = serve(stream, &state).await;
                });
            }
        });
        Self { endpoint, state }
    }

    pub(crate) fn seen(&self) -> Vec<Request> {
        self.state.lock().unwrap().seen.clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen()
            .into_iter()
            .map(|request| request.line)
            .collect()
    }

    /// The most requests that were open at a time.
    pub(crate) fn most(&self) -> usize {
        self.state.lock().unwrap().most
    }
}

async fn serve(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let Some(mut request) = head(&mut stream).await? else {
            return Ok(());
        };
        let answer = {
            let mut state = state.lock().unwrap();
            state.now += 1;
            state.most = state.most.max(state.now);
            match state.answers.len() {
                1 => state.answers[0].clone(),
                _ => state.answers.pop_front().unwrap(),
            }
        };
        if matches!(answer, Answer::Reset) {
            let mut state = state.lock().unwrap();
            state.seen.push(request);
            state.now -= 1;
            // What is left unread makes the kernel send a reset.
            return Ok(());
        }
        let len = request.header("content-length").parse().unwrap_or(0);
        request.body.resize(len, 0);
        stream.read_exact(&mut request.body).await?;
        let reply = match answer {
            Answer::Reply(status, headers, body) => Some((status, headers, body)),
            Answer::Late(delay) => {
                tokio::time::sleep(delay).await;
                Some((200, String::new(), String::new()))
            }
            Answer::Silence => {
                state.lock().unwrap().seen.push(request);
                return std::future::pending().await;
            }
            Answer::Short => {
                let text = "HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n12345";
                return stream.write_all(text.as_bytes()).await;
            }
            Answer::Stored => Some((200, metadata(state), String::new())),
            Answer::Lost | Answer::Reset => None,
        };
        let is_look = request.line.starts_with("HEAD ");
        {
            let mut state = state.lock().unwrap();
            state.seen.push(request);
            state.now -= 1;
        }
        let Some((status, headers, body)) = reply else {
            return Ok(());
        };
        let len = body.len();
        let text = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {len}\r\n\r\n{body}");
        let text = if is_look {
            text.strip_suffix(body.as_str()).unwrap_or(&text)
        } else {
            &text
        };
        stream.write_all(text.as_bytes()).await?;
    }
}

/// The metadata the first object came with, as header lines.
fn metadata(state: &Mutex<State>) -> String {
    let state = state.lock().unwrap();
    let headers = &state.seen[0].headers;
    let metadata = headers
        .iter()
        .filter(|(name, _)| name.starts_with("x-amz-meta-"));
    metadata
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect()
}

async fn head(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut request = Request::default();
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let text = line.trim_end();
        if text.is_empty() {
            return Ok(Some(request));
        }
        if request.line.is_empty() {
            request.line = text.trim_end_matches(" HTTP/1.1").to_owned();
        } else if let Some((name, value)) = text.split_once(':') {
            request
                .headers
                .insert(name.to_lowercase(), value.trim().to_owned());
        }
    }
}
