//! Runs a program over the bytes of a record, into a row buffer.
//!
//! Nothing is allocated for a record but what its row keeps. Calls nest as deep as the schema does, which is bounded; how many items a
//! record has is bounded here, because items may take no bytes at all.
//!
//! Whether strings are UTF-8 is asked once for all of a record. A record with anything wrong is read again, string by string, to tell
//! what comes first.

use super::bytes::{unscaled, uuid};
use super::cursor::{Cursor, NOT_TEXT, Read, What};
use super::program::{At, Constant, Node, Program, RecordPlan, Step};
use super::schema::{Content, Sense};
use crate::record::{Cell, Container, Piece, RowBuffer, Stretch};

/// Items of all arrays and maps of a record, and fields of the records in them, at most.
pub(super) const MAX_ITEMS: u32 = 262_144;

/// Which part of a row's fields the bytes have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All fields.
    All,
    /// The first fields, so many; the rest is null.
    First(usize),
    /// Those fields before the bytes end; the rest is null.
    UntilEnd,
}

/// One record on its way into a row buffer.
pub(super) struct Run<'a, 'b, 'c> {
    program: &'a Program,
    pub(super) cursor: Cursor<'c>,
    buffer: &'b mut RowBuffer,
    items_left: u32,
    /// Whether each string is looked at on its own.
    strict: bool,
}

impl<'a, 'b, 'c> Run<'a, 'b, 'c> {
    /// Begins a row of what is at `cursor`.
    pub(super) fn new(program: &'a Program, cursor: Cursor<'c>, buffer: &'b mut RowBuffer) -> Self {
        Self {
            program,
            cursor,
            buffer,
            items_left: MAX_ITEMS,
            strict: false,
        }
    }

    /// Reads the row's fields. Gives what the record is called by its writer.
    #[inline]
    pub(super) fn row(&mut self, extent: Extent) -> Read<&'a str> {
        let start = self.cursor.at();
        match self.attempt(extent) {
            Ok(name) if self.buffer.prove() => Ok(name),
            _ => self.strictly(start, extent),
        }
    }

    #[cold]
    fn strictly(&mut self, start: usize, extent: Extent) -> Read<&'a str> {
        self.cursor.go_back(start);
        self.items_left = MAX_ITEMS;
        self.strict = true;
        let name = self.attempt(extent)?;
        match self.buffer.prove() {
            true => Ok(name),
            false => self.not_text(start),
        }
    }

    #[inline]
    fn attempt(&mut self, extent: Extent) -> Read<&'a str> {
        self.buffer
            .begin(self.program.text.len(), self.program.numbering.0);
        self.buffer.begin_bytes();
        match *self.branch(self.program.root)? {
            Node::Record(at) => {
                let plan = &self.program.records[at as usize];
                self.fields(plan, extent)?;
                Ok(&plan.name)
            }
            Node::Fail(at) => self.unfit(at),
            _ => self.cursor.broken("no record"),
        }
    }

    #[inline]
    fn fields(&mut self, plan: &'a RecordPlan, extent: Extent) -> Read<()> {
        let first = match extent {
            Extent::First(first) => first.min(plan.steps.len()),
            Extent::All | Extent::UntilEnd => plan.steps.len(),
        };
        let (steps, rest) = plan.steps.split_at(first);
        for (at, step) in steps.iter().enumerate() {
            if extent == Extent::UntilEnd && self.cursor.is_at_end() {
                self.nulls(&steps[at..]);
                break;
            }
            if step.skip {
                self.skip(step.node)?;
                continue;
            }
            // By reference, so that it stays in registers once inlined.
            let mut cell = Cell::NULL;
            self.field(step.node, &mut cell)?;
            self.buffer.push_new(step.name, step.number, cell);
        }
        self.nulls(rest);
        for field in &plan.missing {
            let cell = self.constant(&field.value, None, true)?;
            self.buffer.push_new(field.name, field.number, cell);
        }
        Ok(())
    }

    fn nulls(&mut self, steps: &[Step]) {
        for step in steps.iter().filter(|step| !step.skip) {
            self.buffer.push_new(step.name, step.number, Cell::NULL);
        }
    }

    /// The node of the value that is next, which is no union.
    #[inline(always)]
    fn branch(&mut self, at: At) -> Read<&'a Node> {
        let program = self.program;
        let mut node = &program.nodes[at as usize];
        // A union holds no union, but one that was resolved may.
        while let Node::Union(start, len) = node {
            let before = self.cursor.at();
            let branch = self.cursor.long()?;
            let branch = match u32::try_from(branch) {
                Ok(branch) if branch < *len => program.branches[(start + branch) as usize],
                _ => {
                    return self
                        .cursor
                        .broken_at(before, "a branch that the union does not have");
                }
            };
            node = &program.nodes[branch as usize];
        }
        Ok(node)
    }

    /// Reads a value of the row.
    #[inline(always)]
    fn field(&mut self, at: At, cell: &mut Cell) -> Read<()> {
        match self.branch(at)? {
            node @ (Node::Array(_) | Node::Map(_) | Node::Record(_)) => {
                *cell = self.container(node, None)?;
                Ok(())
            }
            node => self.scalar(node, cell),
        }
    }

    /// Reads a value within a container.
    fn item(&mut self, at: At, name: Option<Piece>) -> Read<()> {
        self.count_item()?;
        match self.branch(at)? {
            node @ (Node::Array(_) | Node::Map(_) | Node::Record(_)) => {
                self.container(node, name)?;
            }
            node => {
                let mut cell = Cell::NULL;
                self.scalar(node, &mut cell)?;
                self.buffer.item(name, cell);
            }
        }
        Ok(())
    }

    #[inline]
    fn count_item(&mut self) -> Read<()> {
        match self.items_left.checked_sub(1) {
            Some(left) => {
                self.items_left = left;
                Ok(())
            }
            None => self.cursor.fault(What::Unfit(format!(
                "the record has more than {MAX_ITEMS} items"
            ))),
        }
    }

    #[inline(always)]
    fn scalar(&mut self, node: &Node, cell: &mut Cell) -> Read<()> {
        match *node {
            Node::Null => {}
            Node::Text => *cell = Cell::str(self.text()?),
            Node::Whole { int, sense } => {
                let value = self.whole(int)?;
                *cell = whole(sense, value);
            }
            Node::Double => *cell = Cell::double(f64::from_le_bytes(self.cursor.array()?)),
            Node::Boolean => *cell = Cell::bool(self.boolean()?),
            Node::Float => *cell = Cell::double(f32::from_le_bytes(self.cursor.array()?).into()),
            _ => *cell = self.other_scalar(node)?,
        }
        Ok(())
    }

    #[inline(never)]
    fn other_scalar(&mut self, node: &Node) -> Read<Cell> {
        Ok(match *node {
            Node::Enum(start, len) => {
                let at = self.symbol(len)?;
                match self.program.symbols[(start + at) as usize] {
                    Some(symbol) => Cell::str(symbol),
                    None => {
                        let what = "a symbol that the reader's enum does not have";
                        return self.cursor.fault(What::Unfit(what.into()));
                    }
                }
            }
            Node::WholeAsDouble { int, single } => {
                let value = self.whole(int)?;
                Cell::double(if single {
                    f64::from(value as f32)
                } else {
                    value as f64
                })
            }
            Node::Bytes(content) => {
                let bytes = self.cursor.bytes()?;
                self.content(bytes, content)?
            }
            Node::Fixed(size, content) => {
                let bytes = self.cursor.take(size as usize)?;
                self.content(bytes, content)?
            }
            Node::Fail(at) => return self.unfit(at),
            _ => return self.cursor.broken("no scalar"),
        })
    }

    /// Keeps the string that is next.
    #[inline]
    fn text(&mut self) -> Read<Piece> {
        let before = self.cursor.at();
        let text = self.cursor.stretch()?;
        if self.strict && std::str::from_utf8(text.bytes()).is_err() {
            return self.not_text(before);
        }
        match self.buffer.write_bytes(text) {
            Some(piece) => Ok(piece),
            None => self.not_text(before),
        }
    }

    #[cold]
    fn not_text<T>(&self, at: usize) -> Read<T> {
        self.cursor.broken_at(at, NOT_TEXT)
    }

    #[inline]
    fn whole(&mut self, int: bool) -> Read<i64> {
        if int {
            self.cursor.int()
        } else {
            self.cursor.long()
        }
    }

    #[inline]
    fn boolean(&mut self) -> Read<bool> {
        let before = self.cursor.at();
        match self.cursor.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => self
                .cursor
                .broken_at(before, "a boolean that is neither 0 nor 1"),
        }
    }

    fn symbol(&mut self, len: u32) -> Read<u32> {
        let before = self.cursor.at();
        match u32::try_from(self.cursor.int()?) {
            Ok(at) if at < len => Ok(at),
            _ => self
                .cursor
                .broken_at(before, "a symbol that the enum does not have"),
        }
    }

    #[cold]
    fn unfit<T>(&self, at: u32) -> Read<T> {
        let what = self.program.errors[at as usize].clone();
        self.cursor.fault(What::Unfit(what))
    }

    fn content(&mut self, bytes: &[u8], content: Content) -> Read<Cell> {
        match content {
            Content::Bytes => Ok(self.buffer.bytes(bytes)),
            Content::Decimal { scale, .. } => match unscaled(bytes) {
                Some(unscaled) => Ok(self.buffer.decimal(unscaled, scale)),
                None => self
                    .cursor
                    .fault(What::Unfit("a decimal of more than 38 digits".into())),
            },
            Content::Uuid => match <[u8; 16]>::try_from(bytes) {
                Ok(bytes) => {
                    let piece = self.buffer.write_bytes(Stretch::of(&uuid(bytes)));
                    Ok(piece.map_or(Cell::NULL, Cell::str))
                }
                Err(_) => self
                    .cursor
                    .fault(What::Unfit("a UUID that has not 16 bytes".into())),
            },
        }
    }

    #[inline(never)]
    fn container(&mut self, node: &Node, name: Option<Piece>) -> Read<Cell> {
        let opened = self.buffer.open(name);
        let shape = match *node {
            Node::Array(items) => {
                self.blocks(|run| run.item(items, None))?;
                Container::List
            }
            Node::Map(values) => {
                self.blocks(|run| {
                    let key = run.text()?;
                    run.item(values, Some(key))
                })?;
                Container::Map
            }
            Node::Record(at) => {
                let program = self.program;
                let plan = &program.records[at as usize];
                for step in &plan.steps {
                    if step.skip {
                        self.skip(step.node)?;
                    } else {
                        self.item(step.node, Some(step.name))?;
                    }
                }
                for field in &plan.missing {
                    self.constant(&field.value, Some(field.name), false)?;
                }
                Container::Object
            }
            _ => return self.cursor.broken("no container"),
        };
        Ok(self.buffer.close(opened, shape, None))
    }

    /// Reads items, block by block.
    fn blocks(&mut self, mut item: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        loop {
            // The bytes it may take are not believed either: who reads a record must not decide whether it is a good one.
            let count = self.cursor.block()?;
            if count == 0 {
                return Ok(());
            }
            // Not believed: each item counts, and ends the record if there are too many.
            for _ in 0..count {
                item(self)?;
            }
        }
    }

    /// Passes a value that nobody reads.
    fn skip(&mut self, at: At) -> Read<()> {
        match *self.branch(at)? {
            Node::Array(items) => self.blocks(|run| {
                run.count_item()?;
                run.skip(items)
            }),
            Node::Map(values) => self.blocks(|run| {
                run.count_item()?;
                run.cursor.bytes()?;
                run.skip(values)
            }),
            Node::Record(at) => {
                let program = self.program;
                for step in &program.records[at as usize].steps {
                    self.count_item()?;
                    self.skip(step.node)?;
                }
                Ok(())
            }
            Node::Null => Ok(()),
            Node::Boolean => self.boolean().map(drop),
            Node::Whole { int, .. } | Node::WholeAsDouble { int, .. } => self.whole(int).map(drop),
            Node::Float => self.cursor.take(4).map(drop),
            Node::Double => self.cursor.take(8).map(drop),
            Node::Bytes(_) | Node::Text => self.cursor.bytes().map(drop),
            Node::Fixed(size, _) => self.cursor.take(size as usize).map(drop),
            Node::Enum(_, len) => self.symbol(len).map(drop),
            Node::Fail(at) => self.unfit(at),
            Node::Union(..) => self.cursor.broken("a union within a union"),
        }
    }

    /// A value of the reader's schema, as the row's or as an item.
    fn constant(&mut self, value: &Constant, name: Option<Piece>, of_row: bool) -> Read<Cell> {
        let shape = match value {
            Constant::List(_) => Some(Container::List),
            Constant::Object(_, shape) => Some(*shape),
            _ => None,
        };
        let opened = shape.map(|shape| (self.buffer.open(name), shape));
        let cell = match value {
            Constant::Null => Cell::NULL,
            Constant::Bool(value) => Cell::bool(*value),
            Constant::Whole(sense, value) => whole(*sense, *value),
            Constant::Double(value) => Cell::double(*value),
            Constant::Text(text) => Cell::str(*text),
            Constant::Bytes(bytes, content) => self.content(bytes, *content)?,
            Constant::List(items) => {
                for item in items {
                    self.count_item()?;
                    self.constant(item, None, false)?;
                }
                Cell::NULL
            }
            Constant::Object(entries, _) => {
                for (name, item) in entries {
                    self.count_item()?;
                    self.constant(item, Some(*name), false)?;
                }
                Cell::NULL
            }
        };
        match opened {
            Some((opened, shape)) => Ok(self.buffer.close(opened, shape, None)),
            None => {
                if !of_row {
                    self.buffer.item(name, cell);
                }
                Ok(cell)
            }
        }
    }
}

#[inline]
fn whole(sense: Sense, value: i64) -> Cell {
    match sense {
        Sense::Number => Cell::long(value),
        Sense::Millis => Cell::millis(value),
        Sense::Micros => Cell::micros(value),
        Sense::Nanos => Cell::micros(value.div_euclid(1000)),
        Sense::Date => match i32::try_from(value) {
            Ok(days) => Cell::date(days),
            Err(_) => Cell::long(value),
        },
        Sense::TimeMillis => Cell::time(value.saturating_mul(1000)),
        Sense::TimeMicros => Cell::time(value),
    }
}
