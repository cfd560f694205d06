//! Reads names and values into a row buffer.

mod nested;

use self::nested::Level;
use super::super::case;
use super::known::Known;
use super::scan::{Depth, Fault, Quoted, Scanner};
use super::text::{self, LoneSurrogate};
use crate::record::{Cell, Piece, RowBuffer};

/// One payload on its way into a row buffer.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) scan: Scanner<'a>,
    payload: &'a str,
    scratch: &'a mut Scratch,
}

/// What a decoder keeps from record to record.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) buffer: RowBuffer,
    known: Known,
    open: Depth,
    levels: Vec<Level>,
}

/// The name of a field, and what is known of it.
#[derive(Clone, Copy, Debug)]
struct FieldName {
    piece: Piece,
    /// Its number and whether it is new to the row, if names are still numbered in this row.
    number: Option<(u32, bool)>,
}

/// The name of a field, for those who want to know it.
pub(super) struct Asked<'a> {
    buffer: &'a RowBuffer,
    payload: &'a str,
    piece: Piece,
}

impl<'a> Asked<'a> {
    #[inline]
    pub(super) fn text(&self) -> &'a str {
        self.buffer.text(self.payload, self.piece)
    }
}

/// What becomes of the names of an object's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Lower,
    AsIs,
}

impl<'a> Reader<'a> {
    pub(super) fn new(payload: &'a str, scratch: &'a mut Scratch) -> Self {
        let numbering = scratch.known.begin();
        scratch.buffer.begin(payload.len(), numbering);
        Self {
            scan: Scanner::new(payload),
            payload,
            scratch,
        }
    }

    #[inline]
    pub(super) fn text(&self, piece: Piece) -> &str {
        self.scratch.buffer.text(self.payload, piece)
    }

    /// Reads the object that is next, each field by `field`, which gets the name and must pass the value.
    #[inline]
    pub(super) fn object(
        &mut self,
        mut field: impl FnMut(&mut Self, Quoted) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if !self.scan.pass(b'{') {
            return self.scan.fault("expected an object");
        }
        self.scan.space();
        if self.scan.pass(b'}') {
            return Ok(());
        }
        loop {
            let name = self.scan.name()?;
            field(self, name)?;
            if !self.another_field()? {
                return Ok(());
            }
        }
    }

    /// Passes what follows a field; whether that is another one.
    #[inline]
    fn another_field(&mut self) -> Result<bool, Fault> {
        if self.scan.pass_spaced(b',') {
            return Ok(true);
        }
        if self.scan.pass(b'}') {
            return Ok(false);
        }
        self.scan.fault("expected a comma or the end of the object")
    }

    /// Reads the object that is next as the row's fields. `take` may keep a field from becoming one by answering
    /// true. It gets the name as something to ask for: most do not, and finding it costs more than reading it.
    #[inline]
    pub(super) fn fields(
        &mut self,
        case: Case,
        mut take: impl FnMut(Asked<'_>, Cell) -> bool,
    ) -> Result<(), Fault> {
        self.scan.pass(b'{');
        self.scan.space();
        if self.scan.pass(b'}') {
            return Ok(());
        }
        let mut numbered = true;
        let mut last = None;
        loop {
            let name = self.field_name(case, &mut last, &mut numbered)?;
            let mut cell = Cell::NULL;
            self.value(&mut cell)?;
            let buffer = &mut self.scratch.buffer;
            let asked = Asked {
                buffer,
                payload: self.payload,
                piece: name.piece,
            };
            if !take(asked, cell) {
                match name.number {
                    Some((number, true)) => buffer.push_new(name.piece, number, cell),
                    Some((_, false)) => {}
                    None => buffer.push(self.payload, name.piece, cell),
                }
            }
            if !self.another_field()? {
                return Ok(());
            }
        }
    }

    /// Reads the name of a field, its colon and the space around it.
    #[inline(always)]
    fn field_name(
        &mut self,
        case: Case,
        last: &mut Option<u32>,
        numbered: &mut bool,
    ) -> Result<FieldName, Fault> {
        if *numbered && let Some(spelling) = self.scratch.known.guess(*last, self.scan.rest()) {
            *last = Some(spelling);
            let known = self.scratch.known.get(spelling);
            let number = known.number;
            let start = self.scan.at();
            let end = start + known.written.len();
            let piece = match &known.name {
                None => Piece::of_payload(start + 1, end - 1),
                Some(name) => self.scratch.buffer.write(|out| out.push_str(name)).0,
            };
            self.scan.go_to(end);
            self.scan.colon()?;
            return Ok(FieldName {
                piece,
                number: Some((number, self.scratch.known.is_new(number))),
            });
        }
        self.unexpected_name(case, last, numbered)
    }

    #[inline(never)]
    fn unexpected_name(
        &mut self,
        case: Case,
        last: &mut Option<u32>,
        numbered: &mut bool,
    ) -> Result<FieldName, Fault> {
        let quoted = self.scan.name()?;
        let Ok(mut piece) = self.name(quoted) else {
            let what = "half a surrogate pair in a field name";
            return Err(Fault {
                what,
                at: quoted.start,
            });
        };
        if case == Case::Lower {
            piece = self.lower_case(piece);
        }
        let mut number = None;
        if *numbered {
            let written = &self.payload.as_bytes()[quoted.start - 1..=quoted.end];
            let Scratch { known, buffer, .. } = &mut *self.scratch;
            *last = known.learn(*last, written, buffer.text(self.payload, piece));
            // Without a number this name cannot be told from later ones by theirs.
            *numbered = last.is_some();
            number = last.map(|spelling| {
                let number = known.get(spelling).number;
                (number, known.is_new(number))
            });
        }
        Ok(FieldName { piece, number })
    }

    /// A string without its escapes.
    #[inline]
    pub(super) fn name(&mut self, quoted: Quoted) -> Result<Piece, LoneSurrogate> {
        let Quoted {
            start,
            end,
            escaped,
        } = quoted;
        if !escaped {
            return Ok(Piece::of_payload(start, end));
        }
        let (piece, result) = self
            .scratch
            .buffer
            .write(|out| text::unescape(&self.payload[start..end], out));
        result.map(|()| piece)
    }

    #[inline]
    pub(super) fn lower_case(&mut self, piece: Piece) -> Piece {
        let text = self.text(piece);
        if !case::may_have_upper_case(text) {
            return piece;
        }
        let text = text.to_owned();
        self.scratch
            .buffer
            .write(|out| text::lower_case(&text, out))
            .0
    }

    /// Writes `text` in lower case into the row's buffer.
    pub(super) fn write_lower_case(&mut self, text: &str) -> Piece {
        self.scratch
            .buffer
            .write(|out| text::lower_case(text, out))
            .0
    }

    /// Reads the value that is next. It comes out by reference so that it stays in registers once inlined: as part
    /// of a result it does not.
    #[inline(always)]
    pub(super) fn value(&mut self, cell: &mut Cell) -> Result<(), Fault> {
        match self.scan.peek() {
            b'"' => {
                let quoted = self.scan.string()?;
                if quoted.escaped {
                    *cell = self.escaped(quoted);
                } else {
                    *cell = Cell::str(Piece::of_payload(quoted.start, quoted.end));
                }
                Ok(())
            }
            b'-' | b'0'..=b'9' => self.scan.number(cell),
            b'{' | b'[' => {
                *cell = self.nested()?;
                Ok(())
            }
            _ => self.scan.literal(cell),
        }
    }

    /// Passes the value that is next without keeping it.
    pub(super) fn skip(&mut self) -> Result<(), Fault> {
        self.scan.skip(&mut self.scratch.open).map(drop)
    }

    #[inline(never)]
    fn escaped(&mut self, quoted: Quoted) -> Cell {
        let raw = Piece::of_payload(quoted.start - 1, quoted.end + 1);
        match self.name(quoted) {
            Ok(text) => Cell::escaped(text, raw),
            Err(LoneSurrogate) => Cell::bad_str(raw),
        }
    }
}
