//! Request bodies made of the pieces an object came in, never copied together, and their checksums.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec;

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// What one request carries. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    pieces: Vec<Bytes>,
    len: u64,
}

impl Payload {
    pub(crate) fn new(pieces: Vec<Bytes>) -> Self {
        let len = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self { pieces, len }
    }

    /// Cuts into payloads of `size` bytes, the last one of what remains.
    pub(crate) fn split(pieces: &[Bytes], size: u64) -> Vec<Self> {
        let mut payloads = Vec::new();
        let mut part = Self::new(Vec::new());
        for piece in pieces {
            let mut rest = piece.clone();
            while !rest.is_empty() {
                let room = usize::try_from(size - part.len).unwrap_or(usize::MAX);
                let taken = rest.split_to(rest.len().min(room));
                part.len += taken.len() as u64;
                part.pieces.push(taken);
                if part.len == size {
                    payloads.push(std::mem::replace(&mut part, Self::new(Vec::new())));
                }
            }
        }
        if part.len > 0 {
            payloads.push(part);
        }
        payloads
    }

    /// The length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The CRC-32 as the header `x-amz-checksum-crc32` wants it: big-endian, in base64.
    pub(crate) fn crc32(&self) -> String {
        let mut crc = crc32fast::Hasher::new();
        for piece in &self.pieces {
            crc.update(piece);
        }
        STANDARD.encode(crc.finalize().to_be_bytes())
    }

    /// A body that the client can send as often as it has to.
    pub(crate) fn stream(self) -> ByteStream {
        ByteStream::new(SdkBody::retryable(move || {
            SdkBody::from_body_1_x(Pieces {
                rest: self.pieces.clone().into_iter(),
                left: self.len,
            })
        }))
    }
}

/// One sending of a payload.
struct Pieces {
    rest: vec::IntoIter<Bytes>,
    left: u64,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.rest.find(|piece| !piece.is_empty());
        self.left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    /// Exact, so that the request has a `Content-Length` and is not chunked, which S3 refuses.
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces() -> Vec<Bytes> {
        ["", "123", "4567", "", "89", ""].map(Bytes::from).to_vec()
    }

    #[test]
    fn splits_at_every_size_without_losing_bytes() {
        for size in 1..12 {
            let payloads = Payload::split(&pieces(), size);
            let lengths: Vec<u64> = payloads.iter().map(Payload::len).collect();
            assert!(
                lengths[..lengths.len() - 1].iter().all(|&len| len == size),
                "{size}: {lengths:?}"
            );
            assert!(
                (1..=size).contains(&lengths[lengths.len() - 1]),
                "{size}: {lengths:?}"
            );
            let joined: Vec<u8> = payloads.iter().flat_map(|p| p.pieces.concat()).collect();
            assert_eq!(joined, b"123456789", "{size}");
        }
        assert!(Payload::split(&[Bytes::new()], 5).is_empty());
    }

    #[test]
    fn checksum_is_the_published_check_value() {
        // CRC-32 of "123456789" is 0xCBF43926.
        assert_eq!(Payload::new(pieces()).crc32(), "y/Q5Jg==");
    }

    #[tokio::test]
    async fn a_body_can_be_sent_again() {
        let stream = Payload::new(pieces()).stream();
        assert_eq!(stream.size_hint(), (9, Some(9)));
        let again = stream.into_inner();
        let twin = again.try_clone().expect("retryable");
        for body in [again, twin] {
            let bytes = ByteStream::new(body).collect().await.unwrap().into_bytes();
            assert_eq!(bytes, "123456789");
        }
    }
}
