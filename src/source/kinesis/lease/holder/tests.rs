use std::sync::Mutex;

use super::*;
use crate::source::kinesis::lease::{Fault, LeasePosition, MemoryLeases};

const FAILOVER: Duration = Duration::from_secs(10);

fn settings(name: &str) -> Settings {
    Settings::new(format!("alluvium:{name}"), FAILOVER)
}

fn hold(table: &MemoryLeases, name: &str) -> Holder {
    let store = Arc::new(table.clone());
    start(settings(name), store, None, 1, &Handle::current())
}

fn owners(table: &MemoryLeases) -> Vec<Option<String>> {
    table.rows().into_iter().map(|row| row.owner).collect()
}

async fn until_gained(holder: &mut Holder) -> Lease {
    loop {
        match holder.events().recv().await.unwrap() {
            Event::Gained { lease, .. } => return *lease,
            Event::Looked => {}
            event => panic!("{event:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn leases_are_kept_for_a_day_and_given_back_when_the_worker_goes() {
    let table = MemoryLeases::default();
    table.put(Lease::new("s", LeasePosition::Latest));
    let mut holder = hold(&table, "a");
    until_gained(&mut holder).await;
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    assert_eq!(owners(&table), [Some("alluvium:a".into())]);
    let renewals = table.rows()[0].counter;
    assert!((26_000..27_000).contains(&renewals), "{renewals}");
    drop(holder);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(owners(&table), [None]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_has_ended_by_itself_is_noticed() {
    let table = MemoryLeases::default();
    let mut holder = hold(&table, "a");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!holder.has_ended());
    table.trouble(|_| panic!("a mistake of the program, which the test has asked for"));
    tokio::time::sleep(Duration::from_secs(60)).await;
    while holder.next_event().is_some() {}
    assert!(holder.has_ended());
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_hears_nothing_keeps_its_leases() {
    let table = MemoryLeases::default();
    for n in 0..200 {
        table.put(Lease::new(format!("s{n}"), LeasePosition::Latest));
    }
    let holder = hold(&table, "a");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(owners(&table).iter().all(Option::is_some));
    drop(holder);
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_off_says_so_before_another_takes_over() {
    let table = MemoryLeases::default();
    table.put(Lease::new("s", LeasePosition::Latest));
    let mut first = hold(&table, "a");
    until_gained(&mut first).await;
    let mut second = hold(&table, "b");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let cut_off = |ask: &Ask| match ask {
        Ask::Renew(_) => Some(Fault::Slow(Duration::from_secs(100))),
        _ => None,
    };
    table.trouble(cut_off);
    let (lost, gained) = tokio::join!(
        async {
            loop {
                if let Event::Lost { .. } = first.events().recv().await.unwrap() {
                    return Instant::now();
                }
            }
        },
        async {
            until_gained(&mut second).await;
            Instant::now()
        }
    );
    assert!(lost < gained, "{:?}", gained - lost);
    assert!(gained - lost < FAILOVER * 3);
}

#[derive(Debug, Default)]
struct Splitter {
    rounds: Mutex<usize>,
    table: MemoryLeases,
}

#[async_trait]
impl Topology for Splitter {
    async fn look(&self, leases: &[Lease]) -> bool {
        *self.rounds.lock().unwrap() += 1;
        if leases.is_empty() {
            self.table.put(Lease::new("s", LeasePosition::Latest));
        }
        leases.is_empty()
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_worker_sees_to_the_shards_and_has_them_at_once() {
    let table = MemoryLeases::default();
    let topology = Arc::new(Splitter {
        table: table.clone(),
        ..Splitter::default()
    });
    let began = Instant::now();
    let mut first = start(
        settings("a"),
        Arc::new(table.clone()),
        Some(Arc::clone(&topology) as _),
        1,
        &Handle::current(),
    );
    until_gained(&mut first).await;
    assert!(began.elapsed() < Duration::from_secs(1));
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(*topology.rounds.lock().unwrap() >= 5);
}

#[test]
fn closing_waits_until_everything_is_given_back() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let table = MemoryLeases::default();
    table.put(Lease::new("s", LeasePosition::Latest));
    let store = Arc::new(table.clone());
    let mut holder = start(settings("a"), store, None, 1, runtime.handle());
    while !matches!(holder.events().blocking_recv(), Some(Event::Looked)) {}
    holder.close();
    assert_eq!(owners(&table), [None]);
}
