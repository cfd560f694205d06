//! Records that point to an object: its rows are theirs.

use super::bulk::Reading;
use super::{BulkError, Carrier, RakamDecoder, bulk_pointer, wrong};
use crate::awaited::{Needed, NotYet, ReadObject, Unopened};
use crate::decode::{BadRecord, Failure, Reason};
use crate::record::{Record, Row};

/// The object that a record points to.
#[derive(Debug)]
pub(super) struct Pointed {
    key: String,
    /// As far as it was read; `None` before and behind that.
    reading: Option<Reading<Box<dyn ReadObject>>>,
}

impl RakamDecoder {
    /// Whether the record points to an object: it may have any number of rows.
    pub fn is_pointer(&self, record: &Record<'_>) -> bool {
        let kind = record.payload.and_then(|payload| payload.first());
        matches!(self.settings.carrier, Carrier::Kinesis { .. }) && kind == Some(&3)
    }

    /// The next row of the object that the record points to which was decoded last.
    ///
    /// # Errors
    /// What ends the object before its end. If something is not at hand yet, the record must be offered again, and is then read
    /// from its beginning.
    pub fn more(&mut self) -> Option<Result<Row<'_>, Failure>> {
        let pointed = self.pointed.as_mut()?;
        let mut reading = pointed.reading.take()?;
        if let Err(error) = reading.next(self)? {
            return Some(Err(self.ended(error)));
        }
        if let Some(pointed) = &mut self.pointed {
            pointed.reading = Some(reading);
        }
        Some(self.row().map_err(Failure::Bad))
    }

    /// The record that was decoded last is not offered again.
    pub fn done(&mut self) {
        if let (
            Some(pointed),
            Carrier::Kinesis {
                objects: Some(objects),
            },
        ) = (self.pointed.take(), &self.settings.carrier)
        {
            // Nobody reads it any more when it is said to be done.
            drop(pointed.reading);
            objects.done(&pointed.key);
        }
    }

    /// Begins to read the object that a record points to.
    pub(super) fn pointer(&mut self, payload: &[u8]) -> Result<Row<'_>, Failure> {
        let Some(pointer) = bulk_pointer(payload)? else {
            return Ok(wrong("the record points to nothing")?);
        };
        let needs = |state| {
            Failure::Needs(Needed::new(
                format_args!("bulk object {}", pointer.key),
                state,
            ))
        };
        let Carrier::Kinesis {
            objects: Some(objects),
        } = &self.settings.carrier
        else {
            let what = "set aws.s3-bulk-bucket to the bucket that bulk objects are in";
            return Err(needs(NotYet::Refused(what.into())));
        };
        let opened = objects.open(pointer.key, pointer.size);
        let mut pointed = Pointed {
            key: pointer.key.to_owned(),
            reading: None,
        };
        let failed = match opened {
            Ok(object) => {
                pointed.reading = Some(Reading::new(object));
                None
            }
            Err(Unopened::NotYet(state)) => Some(needs(state)),
            Err(Unopened::Missing(who)) => {
                let what = format_args!("the record points to a bulk object, but {who}");
                Some(BadRecord::new(Reason::NoObject, what).into())
            }
        };
        self.pointed = Some(pointed);
        match failed {
            Some(failed) => Err(failed),
            None => self.more().unwrap_or_else(|| {
                Err(BadRecord::new(Reason::NotAvro, "the bulk object has no records").into())
            }),
        }
    }

    fn ended(&self, error: BulkError) -> Failure {
        let key = self.pointed.as_ref().map_or("", |pointed| &pointed.key);
        match error {
            BulkError::Unavailable(error) => {
                let state = NotYet::Failed(error.to_string().into());
                Failure::Needs(Needed::new(format_args!("bulk object {key}"), state))
            }
            BulkError::Needs(needed) => Failure::Needs(needed),
            BulkError::Bad { bad, at } => {
                let what = format_args!(
                    "bulk object {key} cannot be read beyond byte {at}: {}",
                    bad.detail
                );
                BadRecord::new(bad.reason, what).into()
            }
        }
    }
}

#[cfg(test)]
mod tests;
