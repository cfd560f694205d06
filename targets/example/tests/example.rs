//! The example keeps the contract.
#![expect(clippy::unwrap_used, reason = "tests panic on what must not fail")]

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use alluvium_target::conformance::{self, Harness, Output, Place, Row};
use alluvium_target::{Table, Target, TargetError};
use alluvium_target_example::ExampleTarget;
use async_trait::async_trait;
use tempfile::TempDir;

struct Directories;

struct Directory(TempDir);

#[async_trait]
impl Harness for Directories {
    async fn fresh(&self) -> Box<dyn Place> {
        Box::new(Directory(TempDir::new().unwrap()))
    }
}

#[async_trait]
impl Place for Directory {
    fn target(&self) -> Arc<dyn Target> {
        let directory = self.0.path().to_str().unwrap().to_owned();
        let keys = BTreeMap::from([("target.example.directory".to_owned(), directory)]);
        Arc::new(ExampleTarget::new(&keys).unwrap())
    }

    async fn visible(&self) -> Vec<Output> {
        let mut outputs = Vec::new();
        for entry in fs::read_dir(self.0.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_str().unwrap().starts_with('.') {
                continue;
            }
            assert_eq!(path.extension().unwrap(), "lines");
            for line in fs::read_to_string(path).unwrap().lines() {
                let (project, collection, row): (String, String, Row) =
                    serde_json::from_str(line).unwrap();
                outputs.push(Output {
                    table: Table::new(project, collection),
                    rows: vec![row],
                });
            }
        }
        outputs
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    conformance::run(&Directories).await;
}

#[tokio::test]
async fn says_what_is_wrong_with_its_keys() {
    assert!(matches!(
        ExampleTarget::new(&BTreeMap::new()),
        Err(TargetError::Misconfigured(_))
    ));
    let typo = BTreeMap::from([("target.example.dir".into(), "/var/lib/events".into())]);
    let refused = ExampleTarget::new(&typo);
    assert!(matches!(&refused, Err(TargetError::Misconfigured(why)) if why.contains(".dir ")));
    let nowhere = BTreeMap::from([("target.example.directory".into(), "/does/not/exist".into())]);
    let checked = ExampleTarget::new(&nowhere).unwrap().check().await;
    assert!(
        matches!(checked, Err(TargetError::Misconfigured(_))),
        "{checked:?}"
    );
}
