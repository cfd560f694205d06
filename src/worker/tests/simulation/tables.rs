//! The catalog: decisions that all processes share, and a database that may not answer, or not say what it has decided.

use super::world::{Shared, World};
use crate::awaited::NotYet;
use crate::catalog::{Column, Tables, Told};
use crate::table::ColumnType;

/// Columns by table, in the order in which they were decided.
#[derive(Default)]
pub(super) struct Decided(Vec<(String, String, ColumnType)>);

impl Decided {
    fn add(&mut self, table: &str, (name, kind): &(String, ColumnType)) {
        let is = |(of, known, _): &(String, String, ColumnType)| of == table && known == name;
        if !self.0.iter().any(is) {
            self.0.push((table.into(), name.clone(), kind.clone()));
        }
    }

    fn told(&self, table: &str) -> Told {
        let columns = self.0.iter().zip(1..);
        let columns = columns.filter(|((of, ..), _)| of == table);
        let column = |((_, name, kind), id): (&(String, String, ColumnType), u32)| Column {
            id,
            name: name.clone(),
            kind: kind.clone(),
            added_ms: None,
        };
        Told {
            columns: columns.map(column).collect(),
            refused: std::sync::Arc::default(),
        }
    }

    /// Whether a column is of text, if it is decided.
    pub(super) fn is_text(&self, table: &str, column: &str) -> Option<bool> {
        let mut columns = self.0.iter();
        let found = columns.find(|(of, name, _)| of == table && name == column);
        found.map(|(_, _, kind)| *kind == ColumnType::String)
    }
}

/// The catalog as a process has it.
#[derive(Debug)]
pub(super) struct SimTables {
    pub(super) world: Shared,
    pub(super) process: usize,
}

impl SimTables {
    fn silence(world: &mut World) -> Option<NotYet> {
        let likelihood = world.settings.failing_catalog;
        world
            .fault(likelihood)
            .then(|| match world.random.index(2) {
                0 => NotYet::Asked,
                _ => NotYet::Failed("the database is down".into()),
            })
    }
}

impl Tables for SimTables {
    fn columns(&self, _: &str, collection: &str, _: usize) -> Result<Option<Told>, NotYet> {
        Ok(Some(self.world.lock().decided.told(collection)))
    }

    fn decide(
        &self,
        _: &str,
        collection: &str,
        wanted: &[(String, ColumnType)],
    ) -> Result<Told, NotYet> {
        let world = &mut *self.world.lock();
        if let Some(silence) = Self::silence(world) {
            return Err(silence);
        }
        for column in wanted {
            world.decided.add(collection, column);
        }
        world.note(format_args!(
            "p{} asks for columns of {collection}",
            self.process
        ));
        // Decided, but nobody is told.
        Self::silence(world).map_or_else(|| Ok(world.decided.told(collection)), Err)
    }
}
