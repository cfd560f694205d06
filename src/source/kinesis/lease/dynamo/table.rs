//! Makes the table as KCL makes it: keyed by the lease's key, paid by request.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    TableDescription, TableStatus,
};

use super::super::codec;
use super::failure::Doing;
use crate::source::kinesis::lease::LeaseError;

const PAUSE: Duration = Duration::from_millis(500);
/// A table takes some seconds to come into being; KCL waits ten minutes.
const PATIENCE: u32 = 1200;

/// Makes the table unless it is there, and waits until it can be used.
pub(super) async fn prepare(client: &Client, table: &str) -> Result<(), LeaseError> {
    let mut created = false;
    for _ in 0..PATIENCE {
        match describe(client, table).await? {
            Some(found) => {
                check_key(table, &found)?;
                // A table that is being updated serves reads and writes.
                if matches!(
                    found.table_status(),
                    Some(TableStatus::Active | TableStatus::Updating)
                ) {
                    return Ok(());
                }
            }
            None if created => {}
            None => {
                create(client, table).await?;
                created = true;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(LeaseError::Unavailable(format!(
        "table {table} has not become active"
    )))
}

/// Whether there is such a table, made or being made.
pub(super) async fn exists(client: &Client, table: &str) -> Result<bool, LeaseError> {
    Ok(describe(client, table).await?.is_some())
}

async fn describe(client: &Client, table: &str) -> Result<Option<TableDescription>, LeaseError> {
    let doing = Doing {
        what: "describe",
        key: None,
        table,
    };
    match client.describe_table().table_name(table).send().await {
        Ok(found) => Ok(found.table),
        Err(error) => match error.as_service_error() {
            Some(service) if service.is_resource_not_found_exception() => Ok(None),
            _ => Err(doing.failed(&error)),
        },
    }
}

async fn create(client: &Client, table: &str) -> Result<(), LeaseError> {
    let doing = Doing {
        what: "create",
        key: None,
        table,
    };
    let unmakeable =
        |error: aws_sdk_dynamodb::error::BuildError| doing.unreadable(&error.to_string());
    let key = KeySchemaElement::builder()
        .attribute_name(codec::KEY)
        .key_type(KeyType::Hash)
        .build()
        .map_err(unmakeable)?;
    let text = AttributeDefinition::builder()
        .attribute_name(codec::KEY)
        .attribute_type(ScalarAttributeType::S)
        .build()
        .map_err(unmakeable)?;
    let made = client
        .create_table()
        .table_name(table)
        .key_schema(key)
        .attribute_definitions(text)
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await;
    match made {
        Ok(_) => {
            tracing::info!(table, "kinesis: lease table created");
            Ok(())
        }
        Err(error) => match error.as_service_error() {
            // Another worker was quicker.
            Some(service) if service.is_resource_in_use_exception() => Ok(()),
            _ => Err(doing.failed(&error)),
        },
    }
}

/// Refuses a table of another kind before anything is written to it.
fn check_key(table: &str, found: &TableDescription) -> Result<(), LeaseError> {
    let named = |key: &KeySchemaElement| (key.attribute_name().to_owned(), key.key_type().clone());
    let keys: Vec<_> = found.key_schema().iter().map(named).collect();
    if keys == [(codec::KEY.to_owned(), KeyType::Hash)] {
        return Ok(());
    }
    let names: Vec<_> = keys.into_iter().map(|(name, _)| name).collect();
    Err(LeaseError::Misconfigured(format!(
        "table {table} is keyed by {}, a lease table by {}: name another one in kinesis.consumer-dynamodb-table",
        names.join(", "),
        codec::KEY
    )))
}
