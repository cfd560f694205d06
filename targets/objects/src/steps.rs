//! The steps of making an object, one by one: for benchmarks that measure what each costs alone.
//!
//! They are the steps of an [`ObjectTarget`](crate::ObjectTarget), without what it does between them: it hashes lines,
//! keeps pieces and counts memory.

use alluvium_target::{Table, TargetError};
use arrow_array::RecordBatch;
use bytes::Bytes;
use crc32fast::Hasher;

use crate::line::{LineFormat, LineWriter};
use crate::output::PIECE;
use crate::{Compression, ObjectSettings, gzip};

/// About how many bytes of text are compressed at once: [`compress`] should get pieces of this length.
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
    let lines = LineWriter::new(&format, table, batch).map_err(|column| TargetError::Rejected {
        table: table.clone(),
        reason: format!("column `{}` has no JSON form", column.name),
    })?;
    for row in 0..batch.num_rows() {
        lines.write(row, out);
    }
    Ok(())
}

/// Makes one piece of an object from text, and adds the text to the object's checksum if its format has one.
///
/// # Errors
/// [`TargetError::Misconfigured`] if the compressor does not work.
pub fn compress(
    settings: &ObjectSettings,
    text: &[u8],
    checksum: &mut Hasher,
) -> Result<Bytes, TargetError> {
    match settings.compression {
        Compression::None => Ok(Bytes::copy_from_slice(text)),
        Compression::Gzip => {
            checksum.update(text);
            gzip::blocks(text, settings.level).map_err(|error| {
                TargetError::Misconfigured(format!("the compressor does not work: {error}"))
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array};

    use super::*;
    use crate::{KeyTemplate, LineLayout};

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

        let mut checksum = Hasher::new();
        let piece = compress(&settings, &text, &mut checksum).unwrap();
        let trailer = gzip::trailer(checksum.finalize(), text.len() as u64);
        let member = [&gzip::HEADER[..], &piece, &trailer].concat();
        let mut read = Vec::new();
        let mut decoder = flate2::bufread::GzDecoder::new(&member[..]);
        std::io::Read::read_to_end(&mut decoder, &mut read).unwrap();
        assert_eq!(read, text);
    }
}
