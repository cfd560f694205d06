//! A lease table in DynamoDB.
//!
//! Owns the requests: the conditions are those of KCL, with the owner added where KCL trusts the counter alone. Every write names the
//! attributes it changes, so that those of others, or of versions to come, stay.

mod client;
mod failure;
mod library;
mod table;

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};

use self::failure::Doing;
use super::codec::{self, Item};
use super::{Claim, Lease, LeaseError, LeaseStore, Listing, Write};
use crate::source::kinesis::sdk::Access;

/// The conditions under which a holder writes. KCL's is the counter, which everybody raises who takes a lease; the owner is there for the one write that
/// does not raise it, the beginning of a hand-off of 3.x.
const HOLDS: &str =
    "leaseCounter = :counter AND leaseOwner = :owner AND attribute_not_exists(checkpointOwner)";
const SEEN: &str = "leaseCounter = :counter";

/// The lease table of one application.
#[derive(Clone, Debug)]
pub struct DynamoLeases {
    client: Client,
    table: String,
    /// Where KCL 3.x keeps what its workers agree on, if that is not the lease table.
    coordinator: String,
}

impl DynamoLeases {
    /// The table that is named after the application, of leases that live so long without being renewed. Nothing is asked yet but, perhaps, the
    /// machine for its region.
    ///
    /// # Errors
    /// [`LeaseError::Misconfigured`] if no region can be found.
    pub async fn connect(
        access: &Access,
        failover: Duration,
        table: &str,
    ) -> Result<Self, LeaseError> {
        let client = client::connect(access, failover).await?;
        Ok(Self::new(client, table))
    }

    /// The same through a client that is there already.
    pub fn new(client: Client, table: &str) -> Self {
        Self {
            client,
            table: table.to_owned(),
            coordinator: format!("{table}-CoordinatorState"),
        }
    }

    fn doing(&self, what: &'static str) -> Doing<'_> {
        Doing {
            what,
            key: None,
            table: &self.table,
        }
    }

    fn doing_to<'a>(&'a self, what: &'static str, key: &'a str) -> Doing<'a> {
        Doing {
            key: Some(key),
            ..self.doing(what)
        }
    }

    fn update(&self, key: &str) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .key(codec::KEY, AttributeValue::S(key.to_owned()))
    }

    /// An update that only the holder may make. It raises the counter to a named value: if the same request arrives twice, the second is
    /// refused.
    fn update_held(&self, claim: &Claim) -> UpdateItemFluentBuilder {
        self.update(&claim.key)
            .condition_expression(HOLDS)
            .expression_attribute_values(":owner", AttributeValue::S(claim.owner.clone()))
            .expression_attribute_values(":counter", codec::whole(claim.counter))
            .expression_attribute_values(":raised", codec::whole(claim.counter.wrapping_add(1)))
    }

    /// Reads a row, if there is one.
    fn lease(&self, item: Option<&Item>, doing: &Doing<'_>) -> Result<Option<Lease>, LeaseError> {
        let Some(item) = item else {
            return Ok(None);
        };
        codec::read(item).map_err(|error| doing.unreadable(&error.to_string()))
    }
}

#[async_trait]
impl LeaseStore for DynamoLeases {
    async fn prepare(&self) -> Result<(), LeaseError> {
        table::prepare(&self.client, &self.table).await
    }

    async fn exists(&self) -> Result<bool, LeaseError> {
        table::exists(&self.client, &self.table).await
    }

    /// With consistent reads: who sees a shard's lease must not miss that of its parent, which was there before.
    async fn scan(&self) -> Result<Listing, LeaseError> {
        let doing = self.doing("scan");
        let mut listing = Listing::default();
        let mut others = Vec::new();
        let mut pages = self
            .client
            .scan()
            .table_name(&self.table)
            .consistent_read(true)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            for item in page.map_err(|error| doing.failed(&error))?.items() {
                match codec::read(item) {
                    Ok(Some(lease)) => listing.leases.push(lease),
                    Ok(None) => others.push(item.clone()),
                    Err(error) => {
                        let key = codec::key_of(item).to_owned();
                        listing.unreadable.push((key, error.to_string()));
                    }
                }
            }
        }
        library::find(&self.client, &self.coordinator, &mut others).await?;
        listing.coordinator = library::coordinator(&others);
        Ok(listing)
    }

    async fn get(&self, key: &str) -> Result<Option<Lease>, LeaseError> {
        let doing = self.doing_to("read", key);
        let got = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(codec::KEY, AttributeValue::S(key.to_owned()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| doing.failed(&error))?;
        self.lease(got.item(), &doing)
    }

    async fn create(&self, lease: &Lease) -> Result<bool, LeaseError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(codec::write(lease)))
            .condition_expression("attribute_not_exists(leaseKey)")
            .send()
            .await;
        let doing = self.doing_to("create", &lease.key);
        match put.map_err(|error| doing.failed(&error)) {
            Ok(_) => Ok(true),
            Err(LeaseError::Refused) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn renew(&self, claim: &Claim) -> Result<(), LeaseError> {
        let renewed = self
            .update_held(claim)
            .update_expression("SET leaseCounter = :raised")
            .send()
            .await;
        let doing = self.doing_to("renew", &claim.key);
        renewed.map_err(|error| doing.failed(&error)).map(drop)
    }

    async fn take(&self, seen: &Lease, owner: &str) -> Result<Lease, LeaseError> {
        let doing = self.doing_to("take", &seen.key);
        // As KCL counts: another owner than before, or the end of a hand-off to this one.
        let switches = match (&seen.owner, &seen.checkpoint_owner) {
            (Some(before), _) if before != owner => true,
            (_, Some(before)) => before == owner,
            _ => false,
        };
        let mut update =
            String::from("SET leaseOwner = :owner, leaseCounter = :raised REMOVE checkpointOwner");
        let mut request = self.update(&seen.key);
        if switches {
            update += " ADD ownerSwitchesSinceCheckpoint :one";
            request = request.expression_attribute_values(":one", codec::whole(1));
        }
        let taken = request
            .update_expression(update)
            .condition_expression(SEEN)
            .expression_attribute_values(":owner", AttributeValue::S(owner.to_owned()))
            .expression_attribute_values(":counter", codec::whole(seen.counter))
            .expression_attribute_values(":raised", codec::whole(seen.counter.wrapping_add(1)))
            .return_values(ReturnValue::AllNew)
            .send()
            .await
            .map_err(|error| doing.failed(&error))?;
        // The row itself, not what was seen of it: the plan that stands in it now is the one to follow.
        let lease = self.lease(taken.attributes(), &doing)?;
        lease.ok_or_else(|| doing.unreadable("it is no lease"))
    }

    async fn checkpoint(&self, claim: &Claim, write: &Write) -> Result<(), LeaseError> {
        let mut set = vec!["leaseCounter = :raised"];
        let mut remove = Vec::new();
        let mut request = self.update_held(claim);
        if let Some(checkpoint) = &write.checkpoint {
            set.extend([
                "checkpoint = :checkpoint",
                "checkpointSubSequenceNumber = :sub",
                "ownerSwitchesSinceCheckpoint = :zero",
            ]);
            let [sequence, sub] = codec::place(checkpoint);
            request = request
                .expression_attribute_values(":checkpoint", sequence)
                .expression_attribute_values(":sub", sub)
                .expression_attribute_values(":zero", codec::whole(0));
        }
        if let Some(pending) = &write.pending {
            set.extend([
                "pendingCheckpoint = :pending",
                "pendingCheckpointSubSequenceNumber = :pendingSub",
                "pendingCheckpointState = :state",
            ]);
            let [sequence, sub] = codec::place(&pending.position);
            request = request
                .expression_attribute_values(":pending", sequence)
                .expression_attribute_values(":pendingSub", sub)
                .expression_attribute_values(":state", codec::bytes(&pending.state));
        } else {
            remove.extend([codec::PENDING, codec::PENDING_SUB, codec::PENDING_STATE]);
        }
        let mut update = format!("SET {}", set.join(", "));
        if !remove.is_empty() {
            update = format!("{update} REMOVE {}", remove.join(", "));
        }
        let stored = request.update_expression(update).send().await;
        let doing = self.doing_to("checkpoint", &claim.key);
        stored.map_err(|error| doing.failed(&error)).map(drop)
    }

    async fn evict(&self, claim: &Claim) -> Result<(), LeaseError> {
        let evicted = self
            .update_held(claim)
            .update_expression("SET leaseCounter = :raised REMOVE leaseOwner")
            .send()
            .await;
        let doing = self.doing_to("release", &claim.key);
        evicted.map_err(|error| doing.failed(&error)).map(drop)
    }

    async fn set_children(&self, key: &str, children: &BTreeSet<String>) -> Result<(), LeaseError> {
        if children.is_empty() {
            return Ok(());
        }
        let written = self
            .update(key)
            .condition_expression("attribute_exists(leaseKey)")
            .update_expression("SET childShardIds = :children")
            .expression_attribute_values(":children", codec::set(children))
            .send()
            .await;
        let doing = self.doing_to("write the children of", key);
        written.map_err(|error| doing.failed(&error)).map(drop)
    }

    async fn delete(&self, seen: &Lease) -> Result<(), LeaseError> {
        let deleted = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key(codec::KEY, AttributeValue::S(seen.key.clone()))
            .condition_expression(SEEN)
            .expression_attribute_values(":counter", codec::whole(seen.counter))
            .send()
            .await;
        let doing = self.doing_to("delete", &seen.key);
        deleted.map_err(|error| doing.failed(&error)).map(drop)
    }
}

#[cfg(test)]
mod tests;
