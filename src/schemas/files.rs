//! Schemas in `.avsc` files of a directory, by their fingerprints.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SchemaError;
use crate::decode::avro::{Found, Schema, SchemaId, Schemas};

/// The schemas of a directory, as they were when it was read.
#[derive(Clone, Debug)]
pub struct Files {
    schemas: HashMap<u64, Arc<Schema>>,
    directory: Arc<Path>,
}

impl Files {
    /// Reads all files of `directory` whose names end in `.avsc`. They may name each other's types.
    ///
    /// # Errors
    /// [`SchemaError::Misconfigured`] with the file that cannot be read or is no schema.
    pub fn read(directory: &Path) -> Result<Self, SchemaError> {
        let texts = texts(directory)?;
        let mut schemas = HashMap::new();
        for (at, (path, text)) in texts.iter().enumerate() {
            // Alone first: two versions of one type may lie side by side, as long as nobody names it.
            let schema = Schema::parse(text, &[]).or_else(|_| {
                let others = texts.iter().enumerate().filter(|(other, _)| *other != at);
                let others: Vec<_> = others.map(|(_, (_, text))| text.clone()).collect();
                Schema::parse(text, &others)
            });
            let schema = schema.map_err(|bad| misconfigured(path, &bad))?;
            schemas.insert(schema.fingerprint(), Arc::new(schema));
        }
        Ok(Self {
            schemas,
            directory: directory.into(),
        })
    }

    /// Reads one file.
    ///
    /// # Errors
    /// [`SchemaError::Misconfigured`] if it cannot be read or is no schema.
    pub fn read_one(path: &Path) -> Result<Schema, SchemaError> {
        let text = std::fs::read_to_string(path).map_err(|error| misconfigured(path, &error))?;
        Schema::parse(&text, &[]).map_err(|bad| misconfigured(path, &bad))
    }
}

fn texts(directory: &Path) -> Result<Vec<(PathBuf, String)>, SchemaError> {
    let failed = |error| misconfigured(directory, &error);
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "avsc")
        {
            let text =
                std::fs::read_to_string(&path).map_err(|error| misconfigured(&path, &error))?;
            texts.push((path, text));
        }
    }
    texts.sort();
    Ok(texts)
}

fn misconfigured(path: &Path, error: &dyn std::error::Error) -> SchemaError {
    SchemaError::Misconfigured(format!("{}: {error}", path.display()).into())
}

impl Schemas for Files {
    fn find(&self, id: SchemaId) -> Found {
        let found = match id {
            SchemaId::Fingerprint(print) => self.schemas.get(&print),
            SchemaId::Number(_) | SchemaId::Guid(_) => None,
        };
        match found {
            Some(schema) => Found::Schema(schema.clone()),
            None => {
                Found::Unknown(format!("no file in {} has it", self.directory.display()).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_fingerprint_and_may_name_each_other() {
        let directory = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        write(
            "one.avsc",
            r#"{"type":"record","name":"One","fields":[{"name":"k","type":"Kind"}]}"#,
        );
        write(
            "kind.avsc",
            r#"{"type":"enum","name":"Kind","symbols":["A"]}"#,
        );
        write("notes.txt", "no schema");
        let files = Files::read(directory.path()).unwrap();
        let kind = Schema::parse(r#"{"type":"enum","name":"Kind","symbols":["A"]}"#, &[]).unwrap();
        assert!(matches!(
            files.find(SchemaId::Fingerprint(kind.fingerprint())),
            Found::Schema(_)
        ));
        assert_eq!(files.schemas.len(), 2);
        let Found::Unknown(why) = files.find(SchemaId::Fingerprint(7)) else {
            panic!("found");
        };
        assert!(why.contains(&*directory.path().to_string_lossy()), "{why}");
        assert!(matches!(files.find(SchemaId::Number(7)), Found::Unknown(_)));
    }

    #[test]
    fn a_file_that_is_no_schema_is_named() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("bad.avsc"), "{").unwrap();
        let error = Files::read(directory.path()).unwrap_err();
        assert!(
            matches!(&error, SchemaError::Misconfigured(what) if what.contains("bad.avsc")),
            "{error}"
        );
        assert!(Files::read(&directory.path().join("none")).is_err());
        assert!(Files::read_one(&directory.path().join("none.avsc")).is_err());
    }
}
