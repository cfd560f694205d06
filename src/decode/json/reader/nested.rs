//! Lists and objects, with what is in them, onto the row's tape: without recursion, and within limits.
//!
//! Every container keeps its text as well, without the white space between its parts: it is what a column of text has of it.

use super::super::scan::{Fault, Quoted};
use super::super::text;
use super::Reader;
use crate::record::{Cell, Container, Opened, Piece};

/// Containers within containers: of deeper ones only the text is kept.
const MAX_DEPTH: usize = 32;
/// Items of a record, in all its containers: of a container beyond that only the text is kept.
pub(in crate::decode::json) const MAX_ITEMS: usize = 262_144;

/// A container that is open.
#[derive(Debug)]
pub(super) struct Level {
    opened: Opened,
    object: bool,
    /// Where its text begins, white space not counted since the outermost one began.
    start: usize,
}

/// A container that has ended.
enum Kept {
    /// With its items, and so many bytes of white space within it.
    Whole(Cell, usize),
    /// Too large for that, or with a name that no text can hold.
    Not,
}

impl Reader<'_> {
    /// Reads the container that is next.
    #[inline(never)]
    pub(super) fn nested(&mut self) -> Result<Cell, Fault> {
        let start = self.scan.at();
        let items = self.scratch.buffer.items();
        let mut levels = std::mem::take(&mut self.scratch.levels);
        levels.clear();
        let kept = self.outermost(&mut levels);
        let first = levels.drain(..).next();
        self.scratch.levels = levels;
        match kept? {
            Kept::Whole(cell, 0) => Ok(cell),
            Kept::Whole(..) => {
                let json = &self.payload[start..self.scan.at()];
                let compact = |out: &mut String| text::compact(json, out);
                Ok(self.scratch.buffer.rewrite(items, start, compact))
            }
            Kept::Not => {
                if let Some(Level { opened, .. }) = first {
                    self.scratch.buffer.abandon(opened);
                }
                self.scan.go_to(start);
                self.only_text()
            }
        }
    }

    fn only_text(&mut self) -> Result<Cell, Fault> {
        let start = self.scan.at();
        let object = self.scan.peek() == b'{';
        let spaces = self.scan.skip(&mut self.scratch.open)?;
        let end = self.scan.at();
        let mut piece = Piece::of_payload(start, end);
        if spaces > 0 {
            let json = &self.payload[start..end];
            piece = self.scratch.buffer.write(|out| text::compact(json, out)).0;
        }
        Ok(text_cell(object, piece))
    }

    fn outermost(&mut self, levels: &mut Vec<Level>) -> Result<Kept, Fault> {
        let mut spaces = 0;
        let mut name = None;
        loop {
            if self.scratch.buffer.items() >= MAX_ITEMS {
                return Ok(Kept::Not);
            }
            let mut ended = None;
            match self.scan.peek() {
                next @ (b'{' | b'[') if levels.len() < MAX_DEPTH => {
                    let object = next == b'{';
                    let start = self.scan.at() - spaces;
                    let opened = self.scratch.buffer.open(name);
                    levels.push(Level {
                        opened,
                        object,
                        start,
                    });
                    self.scan.pass(next);
                    spaces += self.scan.spaces();
                    if !self.scan.pass(end_of(object)) {
                        let Some(next) = self.item_name(object, &mut spaces)? else {
                            return Ok(Kept::Not);
                        };
                        name = next;
                        continue;
                    }
                    ended = self.close(levels, spaces);
                }
                next @ (b'{' | b'[') => {
                    let start = self.scan.at() - spaces;
                    spaces += self.scan.skip(&mut self.scratch.open)?;
                    let json = Piece::of_payload(start, self.scan.at() - spaces);
                    let cell = text_cell(next == b'{', json);
                    self.scratch.buffer.item(name, cell);
                }
                _ => {
                    let mut cell = Cell::NULL;
                    self.value(&mut cell)?;
                    self.scratch.buffer.item(name, cell);
                }
            }
            // What follows a value: the next one, or ends of containers.
            loop {
                let Some(level) = levels.last() else {
                    return Ok(ended.map_or(Kept::Not, |cell| Kept::Whole(cell, spaces)));
                };
                let object = level.object;
                spaces += self.scan.spaces();
                if self.scan.pass(b',') {
                    spaces += self.scan.spaces();
                    let Some(next) = self.item_name(object, &mut spaces)? else {
                        return Ok(Kept::Not);
                    };
                    name = next;
                    break;
                }
                if !self.scan.pass(end_of(object)) {
                    return self.scan.fault(if object {
                        "expected a comma or the end of the object"
                    } else {
                        "expected a comma or the end of the array"
                    });
                }
                ended = self.close(levels, spaces);
            }
        }
    }

    /// Reads the name of the item that is next, which it has only in an object. Nothing if no text can hold it.
    #[inline]
    fn item_name(
        &mut self,
        object: bool,
        spaces: &mut usize,
    ) -> Result<Option<Option<Piece>>, Fault> {
        if !object {
            return Ok(Some(None));
        }
        let quoted: Quoted = self.scan.name()?;
        *spaces += self.scan.spaces_behind(quoted);
        Ok(self.name(quoted).ok().map(Some))
    }

    /// Ends the container opened last, whose last byte was just passed.
    fn close(&mut self, levels: &mut Vec<Level>, spaces: usize) -> Option<Cell> {
        let Level {
            opened,
            object,
            start,
        } = levels.pop()?;
        let json = Piece::of_payload(start, self.scan.at() - spaces);
        let shape = match object {
            true => Container::Object,
            false => Container::List,
        };
        Some(self.scratch.buffer.close(opened, shape, Some(json)))
    }
}

fn end_of(object: bool) -> u8 {
    if object { b'}' } else { b']' }
}

fn text_cell(object: bool, json: Piece) -> Cell {
    match object {
        true => Cell::object_text(json),
        false => Cell::list_text(json),
    }
}
