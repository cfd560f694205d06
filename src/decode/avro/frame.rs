//! What stands before a record to say which schema it was written with.

use std::fmt;

use super::super::{BadRecord, Reason};

/// The name of the header by which Confluent's serializers name a payload's schema, if not in the payload.
pub const SCHEMA_HEADER: &str = "__value_schema_id";

/// What a record calls its schema by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SchemaId {
    /// A registry's number.
    Number(u32),
    /// A registry's number that is the same in every registry: a UUID.
    Guid([u8; 16]),
    /// CRC-64-AVRO.
    Fingerprint(u64),
}

impl fmt::Display for SchemaId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(id) => write!(out, "schema {id}"),
            Self::Guid(bytes) => {
                out.write_str("schema ")?;
                for (at, byte) in bytes.iter().enumerate() {
                    let dash = if matches!(at, 4 | 6 | 8 | 10) {
                        "-"
                    } else {
                        ""
                    };
                    write!(out, "{dash}{byte:02x}")?;
                }
                Ok(())
            }
            Self::Fingerprint(print) => write!(out, "schema with fingerprint {print:016x}"),
        }
    }
}

/// Reads the registry's frame: a header, or the first bytes of the payload. Gives where the record begins.
///
/// # Errors
/// A payload without a frame, with `reason`.
pub(in crate::decode) fn registered(
    payload: &[u8],
    header: Option<&[u8]>,
    reason: Reason,
) -> Result<(SchemaId, usize), BadRecord> {
    match header {
        Some([0, id @ ..]) if id.len() == 4 => return Ok((number(id), 0)),
        Some([1, guid @ ..]) if guid.len() == 16 => {
            let mut bytes = [0; 16];
            bytes.copy_from_slice(guid);
            return Ok((SchemaId::Guid(bytes), 0));
        }
        Some(_) => {
            let what = format_args!(
                "the header {SCHEMA_HEADER} is neither 0 and a number nor 1 and a GUID"
            );
            return Err(BadRecord::new(reason, what));
        }
        None => {}
    }
    match payload {
        [0, id @ ..] if id.len() >= 4 => Ok((number(&id[..4]), 5)),
        [0, ..] => Err(BadRecord::new(
            reason,
            "the payload ends before its schema's number",
        )),
        [byte, ..] => {
            let what = format_args!(
                "the payload begins with {byte}, not with 0 and the number of a schema"
            );
            Err(BadRecord::new(reason, what))
        }
        [] => Err(BadRecord::new(reason, "the payload is empty")),
    }
}

fn number(bytes: &[u8]) -> SchemaId {
    SchemaId::Number(bytes.iter().fold(0, |id, byte| id << 8 | u32::from(*byte)))
}

/// Reads the frame of the single-object encoding.
pub(super) fn single_object(payload: &[u8]) -> Result<(SchemaId, usize), BadRecord> {
    match payload {
        [0xC3, 0x01, print @ ..] if print.len() >= 8 => {
            let print = print[..8]
                .iter()
                .rev()
                .fold(0, |print, byte| print << 8 | u64::from(*byte));
            Ok((SchemaId::Fingerprint(print), 10))
        }
        _ => {
            let what = "the payload does not begin with C3 01 and a fingerprint of 8 bytes";
            Err(BadRecord::new(Reason::NotAvro, what))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(payload: &[u8], header: Option<&[u8]>) -> Result<(SchemaId, usize), String> {
        registered(payload, header, Reason::NotAvro).map_err(|bad| bad.detail)
    }

    #[test]
    fn the_registrys_number_stands_first_or_in_the_header() {
        assert_eq!(
            read(&[0, 1, 2, 3, 4, 9], None),
            Ok((SchemaId::Number(0x0102_0304), 5))
        );
        assert_eq!(
            read(&[7], Some(&[0, 0, 0, 1, 0])),
            Ok((SchemaId::Number(256), 0))
        );
        let guid: Vec<_> = (1..=17).collect();
        let (id, start) = read(&[], Some(&guid)).unwrap();
        assert_eq!(
            id.to_string(),
            "schema 02030405-0607-0809-0a0b-0c0d0e0f1011"
        );
        assert_eq!(start, 0);
        for (payload, header) in [
            (&[][..], None),
            (&[0, 1, 2, 3], None),
            (&[1, 0, 0, 0, 1], None),
            (&[0, 0, 0, 0, 1], Some(&[][..])),
            (&[0, 0, 0, 0, 1], Some(&[1, 2])),
            (&[0, 0, 0, 0, 1], Some(&[0, 0, 0, 1])),
        ] {
            assert!(read(payload, header).is_err(), "{payload:?} {header:?}");
        }
    }

    #[test]
    fn the_fingerprint_of_a_single_object_has_its_lowest_byte_first() {
        let frame = [0xC3, 0x01, 8, 7, 6, 5, 4, 3, 2, 1];
        assert_eq!(
            single_object(&frame),
            Ok((SchemaId::Fingerprint(0x0102_0304_0506_0708), 10))
        );
        assert!(single_object(&frame[..9]).is_err());
        assert!(single_object(&[0xC3, 0x02, 8, 7, 6, 5, 4, 3, 2, 1]).is_err());
    }
}
