//! How objects are compressed: what there is to choose from, and what it is called.
//!
//! Owns names, levels, endings and media types, and turns pieces of text into what an object is made of.
//! How a format looks is its own module's.

use std::fmt;
use std::ops::RangeInclusive;

use alluvium_target::TargetError;
use bytes::Bytes;
use crc32fast::Hasher;
use xxhash_rust::xxh64::Xxh64;

use crate::{gzip, zstd};

/// How objects are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// One gzip member.
    Gzip,
    /// One zstd frame, with its length and a checksum.
    Zstd,
    /// Plain text.
    None,
}

impl Compression {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Gzip, Self::Zstd, Self::None];

    /// The ways whose files say so by how they end.
    pub fn with_ending() -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(|compression| !compression.ending().is_empty())
    }

    /// What it is called in settings: `gzip`, `zstd` or `none`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::None => "none",
        }
    }

    /// What the names of its files end in: `.gz`, `.zst` or nothing.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
            Self::None => "",
        }
    }

    /// Its levels; none if there is nothing to choose.
    pub const fn levels(self) -> Option<RangeInclusive<u32>> {
        match self {
            Self::Gzip => Some(0..=9),
            Self::Zstd => Some(1..=22),
            Self::None => None,
        }
    }

    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Gzip => "application/gzip",
            Self::Zstd => "application/zstd",
            Self::None => "application/x-ndjson",
        }
    }

    /// `name` without the ending of a compressed file, if it has one.
    pub(crate) fn strip_ending(name: &str) -> &str {
        Self::with_ending()
            .find_map(|compression| name.strip_suffix(compression.ending()))
            .unwrap_or(name)
    }
}

/// The name.
impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How text becomes bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Codec {
    pub(crate) compression: Compression,
    /// One of the compression's levels.
    pub(crate) level: u32,
}

impl Codec {
    /// Bytes of an object besides its pieces, about.
    pub(crate) fn frame_len(self) -> u64 {
        match self.compression {
            Compression::Gzip => gzip::HEADER.len() as u64,
            Compression::Zstd => zstd::HEADER_LEN,
            Compression::None => 0,
        }
    }

    /// The checksum of no text yet.
    pub(crate) fn checksum(self) -> Checksum {
        match self.compression {
            Compression::Gzip => Checksum::Crc32(Hasher::new()),
            Compression::Zstd => Checksum::Xxh64(Box::new(Xxh64::new(0))),
            Compression::None => Checksum::None,
        }
    }

    /// What text becomes as a piece of an object; nothing if it stays as it is. `first` says that no piece comes before it.
    pub(crate) fn piece(self, text: &[u8], first: bool) -> Result<Option<Bytes>, TargetError> {
        match self.compression {
            Compression::Gzip => Ok(Some(gzip::blocks(text, self.level))),
            Compression::Zstd => zstd::blocks(text, self.level, first)
                .map(Some)
                .map_err(|error| {
                    TargetError::Misconfigured(format!("the compressor does not work: {error}"))
                }),
            Compression::None => Ok(None),
        }
    }
}

/// The checksum of the text of an object, as its format wants it.
pub(crate) enum Checksum {
    Crc32(Hasher),
    /// Boxed: it is larger than all else an object in the making needs.
    Xxh64(Box<Xxh64>),
    None,
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checksum").finish_non_exhaustive()
    }
}

impl Checksum {
    /// Bytes of memory in use besides its own size.
    pub(crate) fn memory(&self) -> usize {
        match self {
            Self::Crc32(_) | Self::None => 0,
            Self::Xxh64(hash) => size_of_val(&**hash),
        }
    }

    pub(crate) fn update(&mut self, text: &[u8]) {
        match self {
            Self::Crc32(crc) => crc.update(text),
            Self::Xxh64(hash) => hash.update(text),
            Self::None => {}
        }
    }

    /// What stands before and behind the pieces of an object with `len` bytes of text.
    pub(crate) fn frame(self, len: u64) -> Option<(Bytes, Bytes)> {
        match self {
            Self::Crc32(crc) => {
                let end = gzip::trailer(crc.finalize(), len);
                Some((
                    Bytes::from_static(&gzip::HEADER),
                    Bytes::copy_from_slice(&end),
                ))
            }
            Self::Xxh64(hash) => {
                let end = zstd::trailer(hash.digest());
                Some((
                    Bytes::copy_from_slice(&zstd::header(len)),
                    Bytes::copy_from_slice(&end),
                ))
            }
            Self::None => None,
        }
    }
}
