//! The steps of making an object, one by one: for benchmarks that measure what each costs alone.
//!
//! They are the steps of an [`ObjectTarget`](crate::ObjectTarget), without what it does between them: it hashes lines,
//! keeps pieces and counts memory.

use alluvium_target::{Table, TargetError};
use arrow_array::RecordBatch;
use bytes::Bytes;

use crate::ObjectSettings;
use crate::compression::{Checksum, Codec};
use crate::line::{LineFormat, LineWriter};
use crate::output::PIECE;

/// About how many bytes of text are compressed at once: a [`Compressor`] should get pieces of this length.
pub const PIECE_BYTES: usize = PIECE;

/// Appends the lines of all rows of `batch`, rows of `table`, to `out`.
///
/// # Errors
/// [`TargetError::Rejected`] if a column has a type that has no text.
pub fn write_lines(
    settings: &ObjectSettings,
    table: &Table,
    batch: &RecordBatch,
    out: &mut Vec<u8>,
) -> Result<(), TargetError> {
    let format = LineFormat {
        layout: settings.layout,
        time_field: settings.time_field.clone(),
        user_field: settings.user_field.clone(),
    };
    let mut lines =
        LineWriter::new(&format, table, batch).map_err(|column| TargetError::Rejected {
            table: table.clone(),
            reason: format!("column `{}` has no JSON form", column.name),
        })?;
    for row in 0..batch.num_rows() {
        out.extend_from_slice(lines.line(row));
    }
    Ok(())
}

/// Compresses the text of one object.
#[derive(Debug)]
pub struct Compressor {
    codec: Codec,
    checksum: Checksum,
    first: bool,
}

impl Compressor {
    /// For an object that has no text yet.
    pub fn new(settings: &ObjectSettings) -> Self {
        let codec = Codec {
            compression: settings.compression,
            level: settings.level,
        };
        Self {
            codec,
            checksum: codec.checksum(),
            first: true,
        }
    }

    /// Makes one piece of the object, and adds its text to the object's checksum if its format has one. Nothing if the text is the
    /// piece.
    ///
    /// # Errors
    /// [`TargetError::Misconfigured`] if the compressor does not work.
    pub fn piece(&mut self, text: &[u8]) -> Result<Option<Bytes>, TargetError> {
        self.checksum.update(text);
        self.codec
            .piece(text, std::mem::replace(&mut self.first, false))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array};

    use super::*;
    use crate::{Compression, KeyTemplate, LineLayout};

    #[test]
    fn the_steps_make_an_object() {
        let key = KeyTemplate::parse(KeyTemplate::default_text(Compression::Gzip)).unwrap();
        let settings = ObjectSettings {
            key,
            layout: LineLayout::Flat,
            compression: Compression::Gzip,
            level: 6,
            time_field: "_time".into(),
            user_field: "_user".into(),
        };
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
        let mut text = Vec::new();
        write_lines(&settings, &Table::new("p", "c"), &batch, &mut text).unwrap();
        assert_eq!(text, b"{\"a\":1}\n{\"a\":2}\n");

        let mut compressor = Compressor::new(&settings);
        let piece = compressor.piece(&text).unwrap().unwrap();
        let (header, trailer) = compressor.checksum.frame(text.len() as u64).unwrap();
        let member = [header, piece, trailer].concat();
        let mut read = Vec::new();
        let mut decoder = flate2::bufread::GzDecoder::new(&member[..]);
        std::io::Read::read_to_end(&mut decoder, &mut read).unwrap();
        assert_eq!(read, text);
    }
}
