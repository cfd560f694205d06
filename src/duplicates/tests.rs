//! What counts as a repeat, and what is forgotten.

use super::*;

const T: i64 = 1_763_771_724_123;
const MEMORY: u64 = 16 << 20;

fn opened() -> (tempfile::TempDir, Arc<Duplicates>) {
    let directory = tempfile::tempdir().unwrap();
    let duplicates = Duplicates::open(directory.path(), MEMORY).unwrap();
    (directory, duplicates)
}

fn key(user: &str) -> Key {
    Key::of("p", "c", 5, user)
}

fn span(duplicates: &Arc<Duplicates>, number: i32, opened_ms: i64) -> Gathering {
    Gathering::new(
        duplicates.clone(),
        Partition::new("t", number),
        opened_ms,
        true,
    )
}

fn again(duplicates: &Arc<Duplicates>, number: i32, opened_ms: i64) -> Gathering {
    Gathering::new(
        duplicates.clone(),
        Partition::new("t", number),
        opened_ms,
        false,
    )
}

fn repeats(span: &mut Gathering, user: &str, offset: i64) -> bool {
    span.repeats(key(user), Position::at(offset)).unwrap()
}

#[test]
fn every_part_of_a_key_tells_events_apart() {
    let keys = [
        Key::of("p", "c", 5, "u"),
        Key::of("q", "c", 5, "u"),
        Key::of("p", "d", 5, "u"),
        Key::of("p", "c", 6, "u"),
        Key::of("p", "c", -5, "u"),
        Key::of("p", "c", 5, "v"),
        Key::of("pc", "", 5, "u"),
        Key::of("p", "cu", 5, ""),
    ];
    let distinct: HashSet<_> = keys.iter().collect();
    assert_eq!(distinct.len(), keys.len());
    assert!(keys[4].0 < keys[0].0 && keys[0].0 < keys[3].0);
}

#[test]
fn expectation_12_ten_thousand_events_are_known_again_and_no_others() {
    let (directory, duplicates) = opened();
    let mut first = span(&duplicates, 0, T);
    for n in 0..10_000 {
        assert!(!repeats(&mut first, &n.to_string(), n), "{n}");
    }
    first.remember().unwrap();
    drop((first, duplicates));
    let duplicates = Duplicates::open(directory.path(), MEMORY).unwrap();
    let mut second = span(&duplicates, 0, T + 60_000);
    for n in 0..10_000 {
        let at = 10_000 + 2 * n;
        assert!(repeats(&mut second, &n.to_string(), at), "{n}");
        assert!(
            !repeats(&mut second, &(n + 10_000).to_string(), at + 1),
            "{n}"
        );
    }
}

#[test]
fn a_span_that_does_not_become_durable_leaves_nothing_behind() {
    let (_directory, duplicates) = opened();
    let mut first = span(&duplicates, 0, T);
    assert!(!repeats(&mut first, "u", 7));
    let mut other = span(&duplicates, 1, T + 1);
    // On its way, the first one counts.
    assert!(repeats(&mut other, "u", 3));
    drop(first);
    assert!(!repeats(&mut other, "u", 4));
    assert!(repeats(&mut other, "u", 5));
}

#[test]
fn a_record_that_is_read_again_does_not_repeat_itself() {
    let (_directory, duplicates) = opened();
    let mut first = span(&duplicates, 0, T);
    assert!(!repeats(&mut first, "u", 7));
    assert!(repeats(&mut first, "u", 8));
    first.remember().unwrap();
    drop(first);
    // Durable, but not committed: the same comes out, under the plan and without one.
    for mut second in [again(&duplicates, 0, T), span(&duplicates, 0, T)] {
        assert!(!repeats(&mut second, "u", 7));
        assert!(repeats(&mut second, "u", 8));
    }
    // Other coordinates, each in one part.
    assert!(repeats(&mut span(&duplicates, 1, T), "u", 7));
    let other = Partition::new("other", 0);
    let mut other = Gathering::new(duplicates, other, T, true);
    assert!(repeats(&mut other, "u", 7));
}

#[test]
fn what_is_read_again_under_a_plan_is_no_reason_to_drop_anything_elsewhere() {
    let (_directory, duplicates) = opened();
    let mut planned = again(&duplicates, 0, T);
    assert!(!repeats(&mut planned, "u", 7));
    assert!(repeats(&mut planned, "u", 8));
    assert!(!repeats(&mut span(&duplicates, 1, T), "u", 3));
    planned.remember().unwrap();
    drop(planned);
    assert!(!repeats(&mut span(&duplicates, 1, T), "u", 3));
}

#[test]
fn events_are_forgotten_after_their_time_by_the_spans_and_not_the_clock() {
    let (_directory, duplicates) = opened();
    let mut first = span(&duplicates, 0, T);
    assert!(!repeats(&mut first, "u", 7));
    first.remember().unwrap();
    drop(first);
    for (apart, is_repeat) in [
        (REMEMBERED_MS, true),
        (-REMEMBERED_MS, true),
        (REMEMBERED_MS + 1, false),
        (-REMEMBERED_MS - 1, false),
    ] {
        let mut later = span(&duplicates, 1, T + apart);
        assert_eq!(repeats(&mut later, "u", 3), is_repeat, "{apart}");
    }
}

#[test]
fn what_is_too_old_is_taken_from_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(directory.path(), MEMORY).unwrap());
    let duplicates = Duplicates::kept_in(store.clone());
    let spans = [T, T + REMEMBERED_MS, T + 2 * REMEMBERED_MS];
    for (number, opened_ms) in spans.into_iter().enumerate() {
        let mut span = span(&duplicates, 0, opened_ms);
        for n in 0..100 {
            let user = format!("{number} {n}");
            assert!(!repeats(&mut span, &user, n));
        }
        span.remember().unwrap();
    }
    assert_eq!(store.merged(), 200);
    assert!(repeats(&mut span(&duplicates, 1, spans[1]), "1 5", 0));
}

#[test]
fn a_directory_that_is_in_use_says_so() {
    let (directory, _duplicates) = opened();
    let error = Duplicates::open(directory.path(), MEMORY)
        .unwrap_err()
        .to_string();
    let path = directory.path().display().to_string();
    assert!(error.contains("another process uses it"), "{error}");
    assert!(error.contains(&path), "{error}");
}

impl EventStore for Arc<Store> {
    fn get(&self, key: &Key) -> Result<Option<Seen>, DuplicatesError> {
        (**self).get(key)
    }

    fn put(
        &self,
        opened_ms: i64,
        events: &mut dyn Iterator<Item = (Key, Seen)>,
    ) -> Result<(), DuplicatesError> {
        (**self).put(opened_ms, events)
    }

    fn blocks(&self) -> bool {
        true
    }
}

/// For people: what the store takes, in `ALLUVIUM_STORE_MB`, with `ALLUVIUM_EVENTS` events in spans of 50,000.
#[test]
#[ignore = "takes minutes, and measures the whole process"]
fn resident_memory_of_many_events() {
    let number = |name: &str, otherwise: u64| {
        let text = std::env::var(name).ok();
        text.map_or(otherwise, |text| text.parse().unwrap())
    };
    let (memory, events) = (
        number("ALLUVIUM_STORE_MB", 16),
        number("ALLUVIUM_EVENTS", 3_000_000),
    );
    let resident = |name: &str| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        let kilobytes = line.split_whitespace().nth(1).unwrap();
        kilobytes.parse::<u64>().unwrap() >> 10
    };
    let directory = tempfile::tempdir().unwrap();
    let before = resident("VmRSS:");
    let duplicates = Duplicates::open(directory.path(), memory << 20).unwrap();
    let started = std::time::Instant::now();
    for number in 0..events.div_ceil(50_000) {
        let mut span = span(&duplicates, 0, T + number as i64);
        for n in number * 50_000..(number + 1) * 50_000 {
            let key = Key::of("p", "c", T + (n % 86_400_000) as i64, &n.to_string());
            assert!(!span.repeats(key, Position::at(n as i64)).unwrap());
        }
        span.remember().unwrap();
    }
    println!(
        "{events} events in {:.0} s, a store of {memory} MB: resident {before} MB before, {} MB now, {} MB at most",
        started.elapsed().as_secs_f64(),
        resident("VmRSS:"),
        resident("VmHWM:"),
    );
}
