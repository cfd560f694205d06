//! Just enough of HTTP/1.1 to relay requests unchanged and to ask an S3 server for objects.

use std::io::{self, BufRead, Write};

/// A request or an answer without its body, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub bytes: Vec<u8>,
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    Known(u64),
    Chunked,
    UntilClose,
}

impl Head {
    /// Reads up to the empty line; `None` if the other side has closed before the first byte.
    pub fn read(stream: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        loop {
            let before = bytes.len();
            stream.read_until(b'\n', &mut bytes)?;
            match &bytes[before..] {
                [] if before == 0 => return Ok(None),
                [] => return Err(io::ErrorKind::UnexpectedEof.into()),
                b"\r\n" | b"\n" if before > 0 => return Ok(Some(Self { bytes })),
                _ => {}
            }
        }
    }

    fn lines(&self) -> impl Iterator<Item = &str> {
        std::str::from_utf8(&self.bytes).unwrap_or("").lines()
    }

    /// The `index`th word of the first line.
    fn word(&self, index: usize) -> &str {
        let first = self.lines().next().unwrap_or("");
        first.split(' ').nth(index).unwrap_or("")
    }

    pub fn method(&self) -> &str {
        self.word(0)
    }

    pub fn path(&self) -> &str {
        self.word(1)
    }

    /// The status of an answer; 0 if it has none.
    pub fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or(0)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn says(&self, name: &str, word: &str) -> bool {
        self.header(name)
            .is_some_and(|value| value.to_ascii_lowercase().contains(word))
    }

    pub fn expects_continue(&self) -> bool {
        self.says("expect", "100-continue")
    }

    pub fn closes(&self) -> bool {
        self.says("connection", "close")
    }

    fn stated(&self) -> Option<Length> {
        if self.says("transfer-encoding", "chunked") {
            return Some(Length::Chunked);
        }
        let length = self.header("content-length")?;
        Some(Length::Known(length.parse().unwrap_or(0)))
    }

    pub fn request_length(&self) -> Length {
        self.stated().unwrap_or(Length::Known(0))
    }

    /// The body of an answer to a request of `method`.
    pub fn answer_length(&self, method: &str) -> Length {
        let status = self.status();
        if method == "HEAD" || status < 200 || status == 204 || status == 304 {
            return Length::Known(0);
        }
        self.stated().unwrap_or(Length::UntilClose)
    }
}

/// Passes a body on as it comes, framing and all, in pieces that `piece` gets.
pub fn relay(
    from: &mut impl BufRead,
    length: Length,
    mut piece: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    match length {
        Length::Known(bytes) => relay_exactly(from, bytes, &mut piece),
        Length::UntilClose => loop {
            let ready = from.fill_buf()?;
            if ready.is_empty() {
                return Ok(());
            }
            piece(ready)?;
            let taken = ready.len();
            from.consume(taken);
        },
        Length::Chunked => loop {
            let line = read_line(from)?;
            piece(&line)?;
            let size = chunk_size(&line)?;
            if size > 0 {
                // The line feed behind a chunk belongs to it.
                relay_exactly(from, size + 2, &mut piece)?;
                continue;
            }
            // Trailers, and the empty line behind them.
            loop {
                let line = read_line(from)?;
                piece(&line)?;
                if line == b"\r\n" || line == b"\n" {
                    return Ok(());
                }
            }
        },
    }
}

fn relay_exactly(
    from: &mut impl BufRead,
    mut left: u64,
    piece: &mut impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    while left > 0 {
        let ready = from.fill_buf()?;
        if ready.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let taken = ready.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        piece(&ready[..taken])?;
        from.consume(taken);
        left -= taken as u64;
    }
    Ok(())
}

/// A body without its framing.
pub fn body(from: &mut impl BufRead, length: Length) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if length != Length::Chunked {
        relay(from, length, |piece| body.write_all(piece))?;
        return Ok(body);
    }
    loop {
        let size = chunk_size(&read_line(from)?)?;
        let mut chunk = vec![0; usize::try_from(size + 2).unwrap_or(usize::MAX)];
        from.read_exact(&mut chunk)?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&chunk[..chunk.len() - 2]);
    }
}

fn read_line(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line)?;
    if line.last() == Some(&b'\n') {
        return Ok(line);
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

fn chunk_size(line: &[u8]) -> io::Result<u64> {
    let text = std::str::from_utf8(line).unwrap_or("");
    let digits = text.split(';').next().unwrap_or("").trim();
    u64::from_str_radix(digits, 16).map_err(|_| io::ErrorKind::InvalidData.into())
}
