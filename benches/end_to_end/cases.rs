//! The rows of the table: a base case, and one thing varied at a time.

use crate::data::Size;
use crate::datasets::{Dataset, Format};

/// A dataset and what the program makes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) dataset: Dataset,
    /// `target.compression`.
    pub(crate) compression: &'static str,
    /// `target.compression-level`.
    pub(crate) level: &'static str,
    /// `kafka.workers`.
    pub(crate) workers: u32,
}

const JSON: Dataset = Dataset {
    format: Format::Json,
    size: Size::Bytes400,
    tables: 5,
    codec: "none",
};
const AVRO: Dataset = Dataset {
    format: Format::Avro,
    ..JSON
};
const REGISTRY: Dataset = Dataset {
    format: Format::Registry,
    ..JSON
};

const BASE: Case = Case {
    dataset: JSON,
    compression: "gzip",
    level: "1",
    workers: 2,
};

/// All cases; those of one dataset stand together, so that it is fed once.
pub(crate) fn all() -> Vec<Case> {
    let of = |dataset| Case { dataset, ..BASE };
    let json = |size, tables, codec| {
        of(Dataset {
            size,
            tables,
            codec,
            ..JSON
        })
    };
    let level6 = |case| Case { level: "6", ..case };
    vec![
        BASE,
        level6(BASE),
        Case { workers: 1, ..BASE },
        Case {
            compression: "zstd",
            ..BASE
        },
        Case {
            compression: "none",
            ..BASE
        },
        of(AVRO),
        level6(of(AVRO)),
        of(REGISTRY),
        json(Size::Bytes150, 5, "none"),
        json(Size::Bytes2000, 5, "none"),
        json(Size::Bytes400, 1, "none"),
        json(Size::Bytes400, 200, "none"),
        json(Size::Bytes400, 5, "snappy"),
        json(Size::Bytes400, 5, "lz4"),
        json(Size::Bytes400, 5, "zstd"),
    ]
}

/// Those that `ALLUVIUM_BENCH_ONLY` names, with commas between, or all. A name that ends in `*` stands for all that begin like it.
pub(crate) fn wanted() -> Vec<Case> {
    let mut cases = all();
    if let Ok(names) = std::env::var("ALLUVIUM_BENCH_ONLY") {
        let matches = |wanted: &str, name: &str| match wanted.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == wanted,
        };
        cases.retain(|case| {
            let mut wanted = names.split(',');
            wanted.any(|wanted| matches(wanted.trim(), &case.name()))
        });
        assert!(!cases.is_empty(), "no case is called {names}");
    }
    cases
}

impl Case {
    /// Such as `json-400-5-gzip1`.
    pub(crate) fn name(&self) -> String {
        let level = if self.compression == "none" {
            ""
        } else {
            self.level
        };
        let workers = match self.workers {
            2 => String::new(),
            count => format!("-{count}worker"),
        };
        format!(
            "{}-{}{level}{workers}",
            self.dataset.name(),
            self.compression
        )
    }

    pub(crate) fn by_name(name: &str) -> Self {
        let found = all().into_iter().find(|case| case.name() == name);
        found.expect("a case of this name")
    }

    /// How keys end: the program asks that the name says how an object is compressed.
    pub(crate) fn extension(&self) -> &'static str {
        match self.compression {
            "gzip" => "ndjson.gz",
            "zstd" => "ndjson.zst",
            _ => "ndjson",
        }
    }
}
