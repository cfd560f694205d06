//! Rows of one table to Arrow columns: which columns a table has, and what a value becomes in one.
//!
//! A [`TableBuilder`] takes the rows of one table of one span and gives them back as record
//! batches. It refuses nothing: a value that its column cannot hold is null there and stays as
//! written in the column `_misfit`, a map from column name to JSON text. What it makes is a
//! function of the rows and their order only; where batches are cut changes nothing, except that what
//! is `Int64` in earlier batches of a span may be `Float64` in later ones, and that structs may get fields.
//!
//! The columns are: the checkpoint field, the time field, the user field, those of the record's key and arrival if they are wanted, then
//! every other field (and `_misfit`) in order of first appearance. If a catalog decides, they are the catalog's, in its order, those of
//! the record, and `_misfit` behind them.
//!
//! # The type of a column
//! The first value that says a type decides, and the type stays for the span. If a catalog decides, the type is the one it
//! has stored; the first value anywhere decided that. Then a number without a type of its own makes a Float64 column, because
//! a column that is stored never changes.
//!
//! | first value | column |
//! |---|---|
//! | `true`, `false` | Boolean |
//! | number without fraction and exponent | Int64; beyond 64 bits Float64 if a double holds it exactly |
//! | other number | Float64 |
//! | string that is a real `yyyy-MM-dd` | Date32 |
//! | string that is a timestamp with nothing below the millisecond | Timestamp(ms, UTC) |
//! | other string | Utf8 |
//! | list | List of what its first value that is not null is; of Utf8 if that is a list or an object |
//! | object | as [`Objects`] says: Map, with values as of a list; Struct; Utf8, its JSON text |
//! | value of a format that has types | its type; Decimal with 38 digits; maps are Map |
//!
//! With [`Objects::Typed`], text is Utf8 whatever it looks like. With that and with [`Objects::Struct`], lists and objects in lists and objects have their own types. Lists and objects without
//! anything that says a type begin no column: until another value does, they are misfits.
//!
//! # A value in a column
//! Null and missing are null. *Rounded* means that the column has the nearest value and `_misfit`
//! the verbatim one; what is not listed is a misfit.
//!
//! | column | takes |
//! |---|---|
//! | Utf8 | string as it is; number as written; `true`, `false`; object and array as JSON text; what was not written as text as its JSON without quotes |
//! | Boolean | `true`, `false`, also in quotes; the numbers 0 and 1 |
//! | Int64, Int32 | whole number in range, however written; in quotes if written the shortest way |
//! | Int64, given a fraction | becomes Float64 if a double holds each value so far exactly |
//! | Float64 | integer that a double holds exactly; other number (rounded if it has more than 17 digits or is too small); in quotes if written the shortest way |
//! | Decimal | number that has no more digits than the type before the point (rounded if it has more behind it); in quotes if exact and without exponent |
//! | Date32 | string that is a real `yyyy-MM-dd`; date |
//! | Time64(µs) | string `HH:mm[:ss[.S…]]` (rounded below the microsecond); time of day |
//! | Timestamp | timestamp string and point in time (rounded below the millisecond, or microsecond); number as milliseconds since the epoch (rounded if it has a fraction) |
//! | Binary | bytes; string that is base64, with padding |
//! | List | list; what is in it as in a column of its own |
//! | Map | object, map; what is in it as in a column of its own |
//! | Struct | object, not a map; gets the fields it lacks, unless its type was given |
//!
//! If a part of a list or object does not fit, that part is null or rounded in the column, and `_misfit` has the whole of
//! the field. Of several entries or fields of one name the first counts.
//!
//! The time field is always Timestamp, the user field has its configured type and never becomes another.
//!
//! Timestamp strings have more than 12 characters and are one of
//! `yyyy-MM-ddTHH:mm[:ss[.S…]][zone]`, `yyyy-M-d H:m[:s[.S…]][ ][zone]` and `yyyy-M-d[ ]zone`, with one
//! to nine digits of fraction; a zone is `Z`, `UTC`, `GMT`, `±HH`, `±HHmm` or `±HH:mm`, in the last two forms also a name of
//! the IANA database; if there is none, it is the [`Zone`] of the settings.

mod bound;
mod builder;
mod column;
mod fit;
mod infer;
mod misfits;
mod number;
mod time;
mod zone;

pub use crate::record::{ColumnType, UnknownType};
pub(crate) use bound::name_fault;
pub use builder::TableBuilder;
pub use zone::{UnknownZone, Zone};

use std::borrow::Cow;

use crate::record::Value;

/// The name of the map column that keeps values no column could hold.
pub const MISFIT: &str = "_misfit";

/// Fields that become no column because there are too many of them, or their name is too long, go to [`MISFIT`].
const MAX_COLUMNS: usize = 2000;
const MAX_NAME: usize = 1024;

/// The columns every table has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnSettings {
    /// The column that holds, in all rows of a span, the time the span was opened.
    pub checkpoint_field: String,
    /// The column of the event's time: always a timestamp.
    pub time_field: String,
    /// The column of the event's user.
    pub user_field: String,
    /// The type of the user's column.
    pub user_type: UserType,
    /// The column of the records' keys, if there is to be one.
    pub key_field: Option<String>,
    /// The column of the times the records arrived, if there is to be one.
    pub arrival_field: Option<String>,
    /// Where clocks show the times in strings that name no zone.
    pub zone: Zone,
    /// What objects become.
    pub objects: Objects,
}

impl ColumnSettings {
    fn rules(&self) -> Rules {
        Rules {
            zone: self.zone,
            objects: self.objects,
            numbers: Numbers::Promoted,
        }
    }

    /// The columns that every table has, with their types: checkpoint, time, user.
    pub fn of_every_table(&self) -> [(&str, ColumnType); 3] {
        [
            (&self.checkpoint_field, ColumnType::Timestamp),
            (&self.time_field, ColumnType::Timestamp),
            (&self.user_field, self.user_type.into()),
        ]
    }

    /// The columns whose values are the record's, not its payload's: key, arrival. No catalog has them, because fields are read by its
    /// columns in one format.
    fn of_the_record(&self) -> [Option<(&str, ColumnType)>; 2] {
        let key = self.key_field.as_deref();
        let arrival = self.arrival_field.as_deref();
        [
            key.map(|name| (name, ColumnType::String)),
            arrival.map(|name| (name, ColumnType::Timestamp)),
        ]
    }
}

/// What objects become in columns whose type nobody has given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Objects {
    /// A map to values of one type; what is nested in it, or in a list, is JSON text.
    #[default]
    Map,
    /// A struct, of whatever is nested in it.
    Struct,
    /// JSON text.
    Text,
    /// As the format's types have it: records are structs, of whatever is nested in them, and text is text, whatever it looks like.
    Typed,
}

/// How values are read.
#[derive(Clone, Copy, Debug)]
struct Rules {
    zone: Zone,
    objects: Objects,
    numbers: Numbers,
}

impl Rules {
    /// For columns whose types stay for good.
    fn for_good(self) -> Self {
        Self {
            numbers: Numbers::Double,
            ..self
        }
    }
}

/// What a column becomes whose first value is a whole number of a format that does not tell these from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Numbers {
    /// A column of integers, which one with a fraction can still make one of doubles.
    Promoted,
    /// A column of doubles, because a fraction may come.
    Double,
}

/// The time in milliseconds that a table's time column would have for this value, exact or rounded, in `zone` if it is a string
/// that names none.
pub fn event_time(value: &Value<'_>, zone: Zone) -> Option<i64> {
    match fit::timestamp(value, zone) {
        fit::Fit::Exact(time) | fit::Fit::Rounded(time) => Some(time),
        fit::Fit::None => None,
    }
}

/// A value as the text that a table's column of text would have.
pub fn text<'a>(value: &Value<'a>) -> Option<Cow<'a, str>> {
    fit::text(value)
        .map(Cow::Borrowed)
        .or_else(|| fit::made_text(value).map(Cow::Owned))
}

/// The types a user's column may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserType {
    /// 64-bit floating point.
    Double,
    /// 32-bit integer.
    Integer,
    /// 64-bit integer.
    Long,
    /// Text.
    #[default]
    String,
}

impl From<UserType> for ColumnType {
    fn from(user: UserType) -> Self {
        match user {
            UserType::Double => Self::Double,
            UserType::Integer => Self::Integer,
            UserType::Long => Self::Bigint,
            UserType::String => Self::String,
        }
    }
}

#[cfg(test)]
mod tests;
