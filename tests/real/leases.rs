//! The lease table in DynamoDB itself (Amazon's DynamoDB Local): every write with its condition, and fleets that share it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use alluvium::record::Sequence;
use alluvium::source::kinesis::lease::{
    Claim, DynamoLeases, Event, HashRange, Holder, Lease, LeaseError, LeasePosition, LeaseStore,
    Pending, Settings, Write, start,
};
use alluvium::source::kinesis::sdk::{Access, Keys};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};
use tokio::runtime::{Builder, Runtime};

use crate::support::{service, unique};

const FAILOVER: Duration = Duration::from_secs(3);
/// For what must come: it only ends a test that hangs.
const LIMIT: Duration = Duration::from_secs(120);

fn access() -> Access {
    Access {
        region: Some("us-east-1".into()),
        endpoint: Some(service::given("ALLUVIUM_TEST_DYNAMODB")),
        keys: Some(Keys {
            access_key: "alluvium".into(),
            secret_key: "alluvium-secret".into(),
        }),
    }
}

/// A table of the test's own, and the SDK's client to look at it behind the store's back.
struct Table {
    name: String,
    store: DynamoLeases,
    client: Client,
}

impl Table {
    async fn new() -> Self {
        let name = unique("leases");
        let store = DynamoLeases::connect(&access(), FAILOVER, &name)
            .await
            .unwrap();
        store.prepare().await.unwrap();
        let client = client();
        Self {
            name,
            store,
            client,
        }
    }

    async fn put(&self, item: HashMap<String, AttributeValue>) {
        let put = self.client.put_item().table_name(&self.name);
        put.set_item(Some(item)).send().await.unwrap();
    }

    async fn row(&self, key: &str) -> HashMap<String, AttributeValue> {
        let get = self.client.get_item().table_name(&self.name);
        let got = get
            .key("leaseKey", text(key))
            .consistent_read(true)
            .send()
            .await;
        got.unwrap().item.unwrap_or_default()
    }

    async fn lease(&self, key: &str) -> Lease {
        self.store.get(key).await.unwrap().unwrap()
    }
}

fn client() -> Client {
    use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(service::given("ALLUVIUM_TEST_DYNAMODB"))
        .credentials_provider(Credentials::new(
            "alluvium",
            "alluvium-secret",
            None,
            None,
            "tests",
        ))
        .http_client(
            aws_smithy_http_client::Builder::new()
                .tls_provider(aws_smithy_http_client::tls::Provider::Rustls(
                    aws_smithy_http_client::tls::rustls_provider::CryptoMode::Ring,
                ))
                .build_https(),
        )
        .build();
    Client::from_conf(config)
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn at(digits: &str, sub: u64) -> LeasePosition {
    let sequence: Sequence = digits.parse().unwrap();
    LeasePosition::At { sequence, sub }
}

fn claim(lease: &Lease) -> Claim {
    Claim {
        key: lease.key.clone(),
        owner: lease.owner.clone().unwrap(),
        counter: lease.counter,
    }
}

const SEQUENCE: &str = "49590338271490256608559692538361571095921575989136588898";

/// A table whose rows are told apart by a text of this name.
async fn create_table(client: &Client, table: &str, key: &str) {
    let hash = KeySchemaElement::builder()
        .attribute_name(key)
        .key_type(KeyType::Hash);
    let kind = AttributeDefinition::builder()
        .attribute_name(key)
        .attribute_type(ScalarAttributeType::S);
    client
        .create_table()
        .table_name(table)
        .key_schema(hash.build().unwrap())
        .attribute_definitions(kind.build().unwrap())
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn the_table_is_made_as_kcl_makes_it() {
    let table = Table::new().await;
    table.store.prepare().await.unwrap();
    let described = table
        .client
        .describe_table()
        .table_name(&table.name)
        .send()
        .await;
    let described = described.unwrap().table.unwrap();
    let keys = described.key_schema();
    assert_eq!((keys.len(), keys[0].attribute_name()), (1, "leaseKey"));
    let billing = described.billing_mode_summary().unwrap().billing_mode();
    assert_eq!(billing, Some(&BillingMode::PayPerRequest));
    let rows = table.store.scan().await.unwrap();
    assert!(rows.leases.is_empty() && rows.coordinator.is_none());
}

#[tokio::test]
async fn a_table_of_another_kind_is_refused() {
    let name = unique("other");
    create_table(&client(), &name, "id").await;
    let store = DynamoLeases::connect(&access(), FAILOVER, &name)
        .await
        .unwrap();
    let refused = store.prepare().await.unwrap_err();
    let LeaseError::Misconfigured(words) = &refused else {
        panic!("{refused}");
    };
    assert!(words.contains("keyed by id"), "{words}");
}

#[tokio::test]
async fn each_write_has_its_condition() {
    let table = Table::new().await;
    let store = &table.store;
    let lease = Lease {
        parents: ["p1".into(), "p2".into()].into(),
        hash_range: Some(HashRange {
            start: 0,
            end: u128::MAX,
        }),
        ..Lease::new("s", LeasePosition::TrimHorizon)
    };
    assert!(store.create(&lease).await.unwrap());
    assert!(!store.create(&lease).await.unwrap(), "there is one already");
    assert_eq!(table.lease("s").await, lease);

    let taken = store.take(&lease, "alluvium:a").await.unwrap();
    assert_eq!(
        (taken.owner.as_deref(), taken.counter),
        (Some("alluvium:a"), 1)
    );
    assert_eq!(taken.owner_switches, 0, "nobody had it before");
    let late = store.take(&lease, "alluvium:b").await;
    assert_eq!(late.unwrap_err(), LeaseError::Refused);

    store.renew(&claim(&taken)).await.unwrap();
    assert_eq!(store.renew(&claim(&taken)).await, Err(LeaseError::Refused));
    let now = table.lease("s").await;
    let stranger = Claim {
        owner: "alluvium:b".into(),
        ..claim(&now)
    };
    assert_eq!(store.renew(&stranger).await, Err(LeaseError::Refused));
    assert_eq!(store.evict(&stranger).await, Err(LeaseError::Refused));

    let plan = Write {
        checkpoint: None,
        pending: Some(Pending {
            position: at(SEQUENCE, 3),
            state: b"alluvium/1 ...".to_vec(),
        }),
    };
    assert_eq!(
        store.checkpoint(&stranger, &plan).await,
        Err(LeaseError::Refused)
    );
    store.checkpoint(&claim(&now), &plan).await.unwrap();
    let planned = table.lease("s").await;
    assert_eq!(planned.checkpoint, LeasePosition::TrimHorizon);
    assert_eq!((&planned.pending, planned.counter), (&plan.pending, 3));

    // The plan stays when the lease goes to another, by force or not.
    let stolen = store.take(&planned, "alluvium:b").await.unwrap();
    assert_eq!((&stolen.pending, stolen.owner_switches), (&plan.pending, 1));
    store.evict(&claim(&stolen)).await.unwrap();
    let free = table.lease("s").await;
    assert_eq!(
        (&free.owner, &free.pending, free.counter),
        (&None, &plan.pending, 5)
    );

    let again = store.take(&free, "alluvium:a").await.unwrap();
    let commit = Write {
        checkpoint: Some(at(SEQUENCE, 3)),
        pending: None,
    };
    store.checkpoint(&claim(&again), &commit).await.unwrap();
    let committed = table.lease("s").await;
    assert_eq!(committed.checkpoint, at(SEQUENCE, 3));
    assert_eq!((&committed.pending, committed.owner_switches), (&None, 0));
    let row = table.row("s").await;
    let left: Vec<_> = row
        .keys()
        .filter(|name| name.starts_with("pending"))
        .collect();
    assert!(left.is_empty(), "{left:?}");

    let children = ["c1".to_owned(), "c2".to_owned()].into();
    store.set_children("s", &children).await.unwrap();
    let parent = table.lease("s").await;
    assert_eq!(
        (&parent.children, parent.counter),
        (&children, committed.counter)
    );
    let nothing = store.set_children("nothing", &children).await;
    assert_eq!(nothing, Err(LeaseError::Refused));

    assert_eq!(store.delete(&again).await, Err(LeaseError::Refused));
    store.delete(&parent).await.unwrap();
    assert_eq!(store.get("s").await.unwrap(), None);
}

/// A row as KCL 3.x writes it, with attributes that no version has.
#[tokio::test]
async fn attributes_of_others_survive_every_write() {
    let table = Table::new().await;
    let store = &table.store;
    let foreign = HashMap::from([
        ("leaseKey".to_owned(), text("s")),
        ("leaseCounter".into(), number(41)),
        ("leaseOwner".into(), text("kcl")),
        ("checkpoint".into(), text(SEQUENCE)),
        ("checkpointSubSequenceNumber".into(), number(7)),
        ("ownerSwitchesSinceCheckpoint".into(), number(2)),
        ("entityType".into(), text("LEASE")),
        ("throughputKBps".into(), AttributeValue::N("12.5".into())),
        ("startingHashKey".into(), text("0")),
        (
            "endingHashKey".into(),
            text("340282366920938463463374607431768211455"),
        ),
        ("ofAVersionToCome".into(), AttributeValue::Bool(true)),
    ]);
    table.put(foreign.clone()).await;
    let seen = table.lease("s").await;
    assert_eq!(seen.checkpoint, at(SEQUENCE, 7));
    let taken = store.take(&seen, "alluvium:a").await.unwrap();
    assert_eq!(taken.owner_switches, 3);
    store.renew(&claim(&taken)).await.unwrap();
    let plan = |pending| Write {
        checkpoint: Some(at(SEQUENCE, 8)),
        pending,
    };
    let pending = Pending {
        position: at(SEQUENCE, 9),
        state: vec![1, 2, 3],
    };
    let claimed = claim(&table.lease("s").await);
    store
        .checkpoint(&claimed, &plan(Some(pending)))
        .await
        .unwrap();
    let claimed = claim(&table.lease("s").await);
    store.checkpoint(&claimed, &plan(None)).await.unwrap();
    store
        .set_children("s", &["c".to_owned()].into())
        .await
        .unwrap();
    store.evict(&claim(&table.lease("s").await)).await.unwrap();
    let row = table.row("s").await;
    for name in [
        "entityType",
        "throughputKBps",
        "startingHashKey",
        "endingHashKey",
        "ofAVersionToCome",
    ] {
        assert_eq!(row.get(name), foreign.get(name), "{name}");
    }
    assert_eq!(row.get("leaseOwner"), None);
}

/// A hand-off of 3.x changes the owner and not the counter: the old owner's writes must stop all the same.
#[tokio::test]
async fn a_hand_off_stops_who_writes() {
    let table = Table::new().await;
    let store = &table.store;
    store
        .create(&Lease::new("s", LeasePosition::Latest))
        .await
        .unwrap();
    let taken = store
        .take(&table.lease("s").await, "alluvium:a")
        .await
        .unwrap();
    let mut row = table.row("s").await;
    row.insert("leaseOwner".into(), text("kcl"));
    row.insert("checkpointOwner".into(), text("alluvium:a"));
    table.put(row).await;
    let nothing = Write {
        checkpoint: None,
        pending: None,
    };
    assert_eq!(
        store.checkpoint(&claim(&taken), &nothing).await,
        Err(LeaseError::Refused)
    );
    assert_eq!(store.renew(&claim(&taken)).await, Err(LeaseError::Refused));
    let seen = table.lease("s").await;
    assert_eq!(seen.checkpoint_owner.as_deref(), Some("alluvium:a"));
    let back = store.take(&seen, "alluvium:a").await.unwrap();
    assert_eq!((back.checkpoint_owner, back.owner_switches), (None, 1));
}

#[tokio::test]
async fn a_large_table_is_seen_whole_and_broken_rows_are_told_of() {
    let table = Table::new().await;
    let pending = Pending {
        position: LeasePosition::Latest,
        state: vec![7; 9000],
    };
    for n in 0..250 {
        let lease = Lease {
            pending: Some(pending.clone()),
            ..Lease::new(format!("s{n}"), LeasePosition::TrimHorizon)
        };
        table.store.create(&lease).await.unwrap();
    }
    table
        .put(HashMap::from([("leaseKey".to_owned(), text("broken"))]))
        .await;
    let listing = table.store.scan().await.unwrap();
    assert_eq!(listing.leases.len(), 250);
    assert_eq!(listing.unreadable[0].0, "broken");
}

/// What 3.x leaves in the lease table (3.5 on) and in a table of its own.
#[tokio::test]
async fn a_fleet_of_3_x_is_recognised() {
    let table = Table::new().await;
    let version = |version: &str| {
        HashMap::from([
            ("leaseKey".to_owned(), text("Migration3.0")),
            ("entityType".into(), text("CLIENT_VERSION_MIGRATION")),
            ("cv".into(), text(version)),
        ])
    };
    table.put(version("CLIENT_VERSION_UPGRADE_FROM_2X")).await;
    let upgrading = table.store.scan().await.unwrap().coordinator.unwrap();
    assert!(!upgrading.assigns, "workers of 3.x in the ways of 2.x");
    table.put(version("CLIENT_VERSION_3X")).await;
    let native = table.store.scan().await.unwrap();
    assert!(native.leases.is_empty() && native.unreadable.is_empty());
    let native = native.coordinator.unwrap();
    assert!(native.assigns && native.print != upgrading.print);

    let beside = Table::new().await;
    let name = format!("{}-CoordinatorState", beside.name);
    let client = &beside.client;
    create_table(client, &name, "key").await;
    let state = HashMap::from([
        ("key".to_owned(), text("Migration3.0")),
        ("cv".into(), text("CLIENT_VERSION_3X_WITH_ROLLBACK")),
    ]);
    client
        .put_item()
        .table_name(&name)
        .set_item(Some(state))
        .send()
        .await
        .unwrap();
    assert!(
        beside
            .store
            .scan()
            .await
            .unwrap()
            .coordinator
            .unwrap()
            .assigns
    );
}

/// A process as far as leases go: it dies with its runtime, and gives nothing back.
struct Process {
    runtime: Runtime,
    holder: Holder,
}

impl Process {
    fn start(table: &Table, name: &str) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let settings = Settings::new(format!("alluvium:{name}"), FAILOVER);
        let store = table.store.clone();
        let holder = start(settings, Arc::new(store), None, 7, runtime.handle());
        Self { runtime, holder }
    }

    fn die(self) {
        self.runtime.shutdown_background();
    }
}

async fn owners(table: &Table) -> HashMap<String, usize> {
    let mut owners = HashMap::new();
    for lease in table.store.scan().await.unwrap().leases {
        *owners.entry(lease.owner.unwrap_or_default()).or_insert(0) += 1;
    }
    owners
}

async fn until(table: &Table, wanted: &[(&str, usize)]) {
    let wanted = wanted
        .iter()
        .map(|(owner, count)| (format!("alluvium:{owner}"), *count));
    let wanted: HashMap<String, usize> = wanted.collect();
    let began = std::time::Instant::now();
    loop {
        let found = owners(table).await;
        if found == wanted {
            return;
        }
        assert!(began.elapsed() < LIMIT, "{found:?} instead of {wanted:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn two_processes_share_and_one_takes_over_when_the_other_dies() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let table = runtime.block_on(Table::new());
    for n in 0..6 {
        let lease = Lease::new(format!("s{n}"), LeasePosition::TrimHorizon);
        runtime.block_on(table.store.create(&lease)).unwrap();
    }
    let mut first = Process::start(&table, "a");
    runtime.block_on(until(&table, &[("a", 6)]));
    let second = Process::start(&table, "b");
    runtime.block_on(until(&table, &[("a", 3), ("b", 3)]));
    // What was stolen is lost, at the latest when it cannot be renewed.
    let mut lost = 0;
    while lost < 3 {
        let event = async { tokio::time::timeout(LIMIT, first.holder.events().recv()).await };
        let event = runtime.block_on(event);
        lost += usize::from(matches!(event.unwrap(), Some(Event::Lost { .. })));
    }
    second.die();
    // Seen at the next look, and taken when nothing was renewed for the failover time since.
    runtime.block_on(until(&table, &[("a", 6)]));
    let Process {
        runtime: own,
        holder,
    } = first;
    holder.close();
    own.shutdown_background();
    let owners = runtime.block_on(owners(&table));
    assert_eq!(owners, HashMap::from([(String::new(), 6)]), "given back");
}
