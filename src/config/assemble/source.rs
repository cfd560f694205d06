//! How records are read: `source.…` and `schema-registry.…`.

use super::super::keys;
use super::super::read::{self, Reader};
use super::super::secret::Secret;
use super::super::settings::{Avro, AvroEncoding, Columns, JsonLayout, SchemaRegistry, Source};
use super::{contradiction, named, without_effect, without_effect_besides};
use crate::table::{Objects, Zone};

pub(super) fn source(r: &mut Reader<'_>) -> Source {
    let avro = r.choice(&keys::DATA_FORMAT, [("JSON", false), ("AVRO", true)]) == Some(true);
    let words = [
        ("RAKAM", JsonLayoutWord::Rakam),
        ("FABRIC", JsonLayoutWord::Fabric),
        ("PLAIN", JsonLayoutWord::Plain),
    ];
    let word = r.choice(&keys::JSON_LAYOUT, words);
    let word = if avro {
        Some(JsonLayoutWord::Plain)
    } else {
        word
    };
    let framings = [("NONE", false), ("CONFLUENT", true)];
    let framed = r.choice(&keys::JSON_FRAMING, framings) == Some(true);
    let project = r.text(&keys::PROJECT).unwrap_or_default();
    let collection_field = r.text(&keys::COLLECTION_FIELD);
    let layout = match word {
        Some(JsonLayoutWord::Plain) => JsonLayout::Plain {
            project,
            collection_field,
        },
        Some(JsonLayoutWord::Rakam) => JsonLayout::Rakam,
        Some(JsonLayoutWord::Fabric) | None => JsonLayout::Fabric,
    };
    if word.is_some() && !matches!(layout, JsonLayout::Plain { .. }) {
        for key in [&keys::PROJECT, &keys::COLLECTION_FIELD] {
            let fix = "remove it, or set source.data-format.json.layout=PLAIN";
            contradiction(r, key, "only the layout PLAIN reads it", fix);
        }
        without_effect(r, &keys::JSON_NESTED, "only the layout PLAIN reads it");
    }
    let nested = [
        ("map", Objects::Map),
        ("struct", Objects::Struct),
        ("text", Objects::Text),
    ];
    let objects = r.choice(&keys::JSON_NESTED, nested);
    let zone = r.parsed(&keys::TIME_ZONE, |name| {
        name.parse::<Zone>()
            .map_err(|error| format!("is refused: {error}"))
    });
    let max_record_size = r.size(&keys::MAX_RECORD_SIZE).unwrap_or_default();
    let avro_settings = avro_settings(r, avro);
    for key in [&keys::JSON_LAYOUT, &keys::JSON_FRAMING, &keys::JSON_NESTED]
        .iter()
        .filter(|_| avro)
    {
        without_effect(r, key, "the format is AVRO");
    }
    Source {
        layout,
        framed: framed && !avro,
        avro: avro_settings.filter(|_| avro),
        max_record_size: usize::try_from(max_record_size).unwrap_or(usize::MAX),
        objects: match avro {
            true => Objects::Typed,
            false => objects.unwrap_or_default(),
        },
        zone: zone.unwrap_or(Zone::UTC),
    }
}

#[derive(Clone, Copy)]
enum JsonLayoutWord {
    Rakam,
    Fabric,
    Plain,
}

fn avro_settings(r: &mut Reader<'_>, avro: bool) -> Option<Avro> {
    let words = [
        ("RAKAM", AvroWord::Rakam),
        ("CONFLUENT", AvroWord::Confluent),
        ("SINGLE_OBJECT", AvroWord::SingleObject),
        ("CONTAINER", AvroWord::Container),
    ];
    let word = r.choice(&keys::AVRO_ENCODING, words);
    let schemas = r.text(&keys::AVRO_SCHEMAS);
    let collections = [("TOPIC", false), ("RECORD", true)];
    let collection_of_record = r.choice(&keys::AVRO_COLLECTION, collections) == Some(true);
    let reader_schema = r.text(&keys::AVRO_READER).map(Into::into);
    match word.filter(|_| avro) {
        Some(AvroWord::Rakam) => rakam(r),
        Some(AvroWord::Confluent) => r.require(&keys::REGISTRY_URL),
        Some(AvroWord::SingleObject) => r.require(&keys::AVRO_SCHEMAS),
        Some(AvroWord::Container) | None => {}
    }
    if collection_of_record {
        without_effect_besides(r, &keys::AVRO_COLLECTION, &keys::COLLECTION_FIELD);
    }
    for key in [
        &keys::AVRO_ENCODING,
        &keys::AVRO_COLLECTION,
        &keys::AVRO_READER,
        &keys::AVRO_SCHEMAS,
    ] {
        if !avro {
            without_effect(r, key, "the format is not AVRO");
        }
    }
    let encoding = match word? {
        AvroWord::Rakam => AvroEncoding::Rakam,
        AvroWord::Confluent => AvroEncoding::Confluent,
        AvroWord::SingleObject => AvroEncoding::SingleObject {
            schemas: schemas.unwrap_or_default().into(),
        },
        AvroWord::Container => AvroEncoding::Container,
    };
    Some(Avro {
        encoding,
        collection_of_record,
        reader_schema,
    })
}

/// The catalog's names are lower case, and fields are looked for by the names that are configured.
pub(super) fn suit_the_catalog(r: &mut Reader<'_>, columns: &Columns) {
    for (key, name) in named(columns) {
        if name != name.to_lowercase() {
            let fix = "write it in lower case, as records must, or remove metadata.store.jdbc.url";
            contradiction(
                r,
                key,
                "is not lower case, as the catalog's columns are",
                fix,
            );
        }
    }
}

/// Records of the original have no schema with them, and their topic names their table.
fn rakam(r: &mut Reader<'_>) {
    let encoding = keys::AVRO_ENCODING.name;
    if r.set(&keys::REGISTRY_URL).is_some() && r.set(&keys::AVRO_ENCODING).is_none() {
        let fix = "set source.data-format.avro.encoding=CONFLUENT, or remove it";
        contradiction(
            r,
            &keys::REGISTRY_URL,
            "is set, but records say no schema",
            fix,
        );
        return;
    }
    r.require_for(&keys::STORE_URL, "source.data-format.avro.encoding=RAKAM");
    for key in [&keys::PROJECT, &keys::COLLECTION_FIELD, &keys::AVRO_READER] {
        let fix = format!("remove it, or set {encoding} to what records have");
        contradiction(r, key, "the records of RAKAM do not read it", &fix);
    }
}

#[derive(Clone, Copy)]
enum AvroWord {
    Rakam,
    Confluent,
    SingleObject,
    Container,
}

pub(super) fn schema_registry(r: &mut Reader<'_>) -> SchemaRegistry {
    let name = r.text(&keys::REGISTRY_USERNAME);
    let password = r.text(&keys::REGISTRY_PASSWORD).map(Secret::new);
    let login = match (name, password) {
        (Some(name), Some(password)) => Some((name, password)),
        (None, None) => None,
        (Some(_), None) => {
            let fix = "set schema-registry.password too, or neither";
            contradiction(
                r,
                &keys::REGISTRY_USERNAME,
                "is set without a password",
                fix,
            );
            None
        }
        (None, Some(_)) => {
            let fix = "set schema-registry.username too, or neither";
            contradiction(r, &keys::REGISTRY_PASSWORD, "is set without a name", fix);
            None
        }
    };
    SchemaRegistry {
        urls: r
            .parsed(&keys::REGISTRY_URL, read::endpoints)
            .unwrap_or_default(),
        login,
        ca_file: r.text(&keys::REGISTRY_CA).map(Into::into),
    }
}
