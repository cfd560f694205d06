//! A writer's schema, and a reader's if there is one, compiled to what must be done with the bytes.
//!
//! The nodes of a program lie in one list and name each other by their places. What can never be read, because the reader's schema has
//! no room for it, is found here and becomes a node that fails: only records that come to it are bad.

use std::collections::HashMap;

use super::names::{Names, Numbering};
use super::resolve;
use super::schema::{Content, Field, Schema, Sense, Type};
use crate::record::{Container, Piece, RowBuffer};

/// The place of a node.
pub(super) type At = u32;

/// How one value is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Node {
    Null,
    Boolean,
    /// A whole number, of 32 bits at most if `int`.
    Whole {
        int: bool,
        sense: Sense,
    },
    /// A whole number for a reader of floating point ones.
    WholeAsDouble {
        int: bool,
        single: bool,
    },
    Float,
    Double,
    /// Bytes with their length before them.
    Bytes(Content),
    /// Bytes that are UTF-8.
    Text,
    /// So many bytes.
    Fixed(u32, Content),
    /// The place of the first symbol in `symbols`, and how many there are.
    Enum(u32, u32),
    Array(At),
    Map(At),
    /// The place of the first branch in `branches`, and how many there are.
    Union(u32, u32),
    /// The place in `records`.
    Record(u32),
    /// The place in `texts` of what is wrong.
    Fail(u32),
}

/// What is done with one field of the writer's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) node: At,
    pub(super) name: Piece,
    /// Among the names of the row; of fields of rows only.
    pub(super) number: u32,
    /// Whether it is read for its length only.
    pub(super) skip: bool,
}

/// A field that the writer does not know.
#[derive(Clone, Debug)]
pub(super) struct Missing {
    pub(super) name: Piece,
    pub(super) number: u32,
    pub(super) value: Constant,
}

/// A value out of a schema.
#[derive(Clone, Debug)]
pub(super) enum Constant {
    Null,
    Bool(bool),
    Whole(Sense, i64),
    Double(f64),
    Text(Piece),
    Bytes(Vec<u8>, Content),
    List(Vec<Constant>),
    Object(Vec<(Piece, Constant)>, Container),
}

#[derive(Clone, Debug)]
pub(super) struct RecordPlan {
    /// What it is called by the writer, without its namespace.
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
    pub(super) missing: Vec<Missing>,
}

/// What must be done with the bytes of a record.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) nodes: Vec<Node>,
    pub(super) branches: Vec<At>,
    /// Symbols; of those the reader does not know, nothing.
    pub(super) symbols: Vec<Option<Piece>>,
    pub(super) records: Vec<RecordPlan>,
    pub(super) errors: Vec<String>,
    pub(super) root: At,
    /// Names, symbols and texts of defaults: what pieces point into.
    pub(super) text: String,
    pub(super) numbering: Numbering,
}

impl Program {
    /// Compiles what reads `writer`, as `reader` wants it.
    pub(super) fn new(writer: &Schema, reader: Option<&Schema>, names: &mut Names) -> Self {
        let mut compiler = Compiler::default();
        let root = match reader {
            Some(reader) => compiler.resolve(&writer.root, &reader.root),
            None => compiler.read(&writer.root),
        };
        let root = compiler.rows(root);
        compiler.finish(root, names)
    }
}

#[derive(Debug, Default)]
pub(super) struct Compiler {
    nodes: Vec<Node>,
    branches: Vec<At>,
    symbols: Vec<Option<Piece>>,
    records: Vec<RecordPlan>,
    errors: Vec<String>,
    text: String,
    pieces: HashMap<String, Piece>,
}

impl Compiler {
    pub(super) fn node(&mut self, node: Node) -> At {
        self.nodes.push(node);
        (self.nodes.len() - 1) as At
    }

    pub(super) fn fail(&mut self, what: String) -> At {
        self.errors.push(what);
        self.node(Node::Fail((self.errors.len() - 1) as u32))
    }

    pub(super) fn piece(&mut self, text: &str) -> Piece {
        if let Some(piece) = self.pieces.get(text) {
            return *piece;
        }
        let start = self.text.len();
        self.text.push_str(text);
        let piece = Piece::of_payload(start, self.text.len());
        self.pieces.insert(text.to_owned(), piece);
        piece
    }

    /// What reads a value as it was written.
    pub(super) fn read(&mut self, kind: &Type) -> At {
        let node = match kind {
            Type::Null => Node::Null,
            Type::Boolean => Node::Boolean,
            Type::Int(sense) => Node::Whole {
                int: true,
                sense: *sense,
            },
            Type::Long(sense) => Node::Whole {
                int: false,
                sense: *sense,
            },
            Type::Float => Node::Float,
            Type::Double => Node::Double,
            Type::Bytes(content) => Node::Bytes(*content),
            Type::String => Node::Text,
            Type::Fixed(_, size, content) => match u32::try_from(*size) {
                Ok(size) => Node::Fixed(size, *content),
                Err(_) => return self.fail(format!("a value of {size} bytes")),
            },
            Type::Enum(_, symbols) => self.symbols_of(&symbols.all, Some),
            Type::Array(items) => Node::Array(self.read(items)),
            Type::Map(values) => Node::Map(self.read(values)),
            Type::Union(branches) => {
                let branches = branches.iter().map(|branch| self.read(branch)).collect();
                self.union(branches)
            }
            Type::Record(name, fields) => {
                let steps = fields.iter().map(|field| {
                    let node = self.read(&field.kind);
                    self.step(&field.name, node)
                });
                let steps = steps.collect();
                self.record(name.short(), steps, Vec::new())
            }
        };
        self.node(node)
    }

    pub(super) fn step(&mut self, name: &str, node: At) -> Step {
        Step {
            node,
            name: self.piece(name),
            number: 0,
            skip: false,
        }
    }

    /// A step that passes a field nobody reads.
    pub(super) fn pass(&mut self, field: &Field) -> Step {
        let node = self.read(&field.kind);
        Step {
            skip: true,
            ..self.step("", node)
        }
    }

    pub(super) fn union(&mut self, branches: Vec<At>) -> Node {
        let start = self.branches.len() as u32;
        let len = branches.len() as u32;
        self.branches.extend(branches);
        Node::Union(start, len)
    }

    pub(super) fn record(&mut self, name: &str, steps: Vec<Step>, missing: Vec<Missing>) -> Node {
        self.records.push(RecordPlan {
            name: name.to_owned(),
            steps,
            missing,
        });
        Node::Record((self.records.len() - 1) as u32)
    }

    /// An enum; `read` says what the reader takes a symbol for.
    pub(super) fn symbols_of<'a>(
        &mut self,
        written: &'a [String],
        read: impl Fn(&'a str) -> Option<&'a str>,
    ) -> Node {
        let start = self.symbols.len() as u32;
        for symbol in written {
            let piece = read(symbol).map(|symbol| self.piece(symbol));
            self.symbols.push(piece);
        }
        Node::Enum(start, written.len() as u32)
    }

    fn resolve(&mut self, writer: &Type, reader: &Type) -> At {
        resolve::resolve(self, writer, reader)
    }

    /// Only records become rows.
    fn rows(&mut self, root: At) -> At {
        match self.nodes[root as usize] {
            Node::Record(_) | Node::Fail(_) => root,
            Node::Union(start, len) => {
                let branches = self.branches[start as usize..][..len as usize].to_vec();
                let branches = branches
                    .into_iter()
                    .map(|branch| self.rows(branch))
                    .collect();
                let union = self.union(branches);
                self.node(union)
            }
            _ => self.fail("only records become rows, and the schema's root is none".into()),
        }
    }

    fn finish(mut self, root: At, names: &mut Names) -> Program {
        let rows = match self.nodes[root as usize] {
            Node::Union(start, len) => self.branches[start as usize..][..len as usize].to_vec(),
            _ => vec![root],
        };
        let text = std::mem::take(&mut self.text);
        let records = rows.iter().filter_map(|at| match self.nodes[*at as usize] {
            Node::Record(at) => Some(at as usize),
            _ => None,
        });
        let records: Vec<_> = records.collect();
        let fields = records.iter().map(|at| {
            let RecordPlan { steps, missing, .. } = &self.records[*at];
            steps.len() + missing.len()
        });
        let numbering = names.room_for(fields.sum());
        let mut pieces = RowBuffer::default();
        pieces.begin(text.len(), 0);
        for at in records {
            let RecordPlan { steps, missing, .. } = &mut self.records[at];
            for step in steps.iter_mut().filter(|step| !step.skip) {
                step.number = names.number(pieces.text(&text, step.name));
            }
            for field in missing {
                field.number = names.number(pieces.text(&text, field.name));
            }
        }
        Program {
            nodes: self.nodes,
            branches: self.branches,
            symbols: self.symbols,
            records: self.records,
            errors: self.errors,
            root,
            text,
            numbering,
        }
    }
}
