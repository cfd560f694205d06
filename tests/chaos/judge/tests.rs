//! The judge is judged: it finds nothing wrong where nothing is, and every way to be wrong.

use super::*;

const TOPIC: &str = "a-topic";
const COUNT: u64 = 1_000;
const RECORDS: Records = Records {
    seed: 7,
    late: false,
    repeats: false,
};
const ALL: Records = Records {
    late: true,
    repeats: true,
    ..RECORDS
};

/// The text of every object, by key.
type Objects = BTreeMap<String, Vec<String>>;

fn line(partition: usize, sequence: u64) -> String {
    line_of(RECORDS, partition, sequence)
}

fn line_of(records: Records, partition: usize, sequence: u64) -> String {
    let mut payload = Vec::new();
    records.payload(partition, sequence, &mut payload);
    match records.class(partition, sequence) {
        Class::Late => unreachable!("not of the bucket"),
        Class::Row { table } => format!(
            "{{\"_time\":1,\"$schema\":\"chaos\",\"$table\":\"t{table}\",\"_user\":\"u\",\"properties\":{{\"id\":\
             \"r{partition}-{sequence}\",\"v\":{}}}}}\n",
            records.value(partition, sequence)
        ),
        Class::Dead => format!(
            "{{\"topic\":\"{TOPIC}\",\"partition\":{partition},\"offset\":{sequence},\"payload\":\"{}\"}}\n",
            BASE64.encode(payload)
        ),
    }
}

fn key(records: Records, partition: usize, sequence: u64) -> String {
    let (from, to) = (sequence / 100 * 100, sequence / 100 * 100 + 100);
    match records.class(partition, sequence) {
        Class::Late => unreachable!("not of the bucket"),
        Class::Row { table } => {
            format!("chaos/t{table}/{TOPIC}-{partition}-{from}-{to}.ndjson.gz")
        }
        Class::Dead => format!("_dead_letters/{TOPIC}-{partition}-{from}-{to}.ndjson.gz"),
    }
}

/// Two partitions, in spans of 100 records.
fn objects() -> Objects {
    objects_of(RECORDS, |_, _| true)
}

/// Those that `are` there.
fn objects_of(records: Records, are: impl Fn(usize, u64) -> bool) -> Objects {
    let mut objects = Objects::new();
    for partition in 0..2 {
        for sequence in (0..COUNT).filter(|at| are(partition, *at)) {
            objects
                .entry(key(records, partition, sequence))
                .or_default()
                .push(line_of(records, partition, sequence));
        }
    }
    objects
}

fn late(partition: usize, sequence: u64) -> Kept {
    let mut payload = Vec::new();
    ALL.payload(partition, sequence, &mut payload);
    let headers = [
        ("alluvium.topic", TOPIC.to_owned()),
        ("alluvium.partition", partition.to_string()),
        ("alluvium.offset", sequence.to_string()),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.into_bytes()));
    Kept {
        partition: 0,
        offset: 0,
        key: None,
        payload: Some(payload),
        timestamp: None,
        headers: headers.into(),
    }
}

/// All records, those of the historical topic apart. With `dropping`, repeats are left out.
fn all(dropping: bool) -> (Objects, Vec<Kept>) {
    let is_late = |partition, sequence| ALL.class(partition, sequence) == Class::Late;
    let itself = |partition, sequence| ALL.event(partition, sequence) == (partition, sequence);
    let objects = objects_of(ALL, |partition, sequence| {
        !is_late(partition, sequence) && (!dropping || itself(partition, sequence))
    });
    let ids = (0..2).flat_map(|partition| (0..COUNT).map(move |sequence| (partition, sequence)));
    let ids = ids.filter(|(partition, sequence)| is_late(*partition, *sequence));
    (
        objects,
        ids.map(|(partition, sequence)| late(partition, sequence))
            .collect(),
    )
}

/// The verdict on all records, and how many were late and dropped.
fn judged_all(objects: &Objects, kept: &[Kept]) -> (Result<(u64, u64), Verdict>, (u64, u64)) {
    let sent = Sent {
        count: COUNT,
        ..Sent::default()
    };
    let judge = Judge::new(ALL, TOPIC, vec![sent.clone(), sent]);
    for (key, lines) in objects {
        judge.lines(key, lines.concat().as_bytes());
    }
    for kept in kept {
        judge.late(kept);
    }
    let verdict = judge.verdict(&objects.keys().cloned().collect::<Vec<_>>());
    (verdict, judge.late_and_dropped())
}

#[track_caller]
fn only(verdict: Result<(u64, u64), Verdict>) -> (&'static str, u64) {
    let counts = verdict.unwrap_err().counts;
    assert_eq!(counts.len(), 1, "{counts:?}");
    counts.into_iter().next().unwrap()
}

#[test]
fn repeats_may_be_dropped_and_late_records_be_there_twice() {
    let (objects, kept) = all(false);
    let (verdict, (late, dropped)) = judged_all(&objects, &kept);
    let (rows, letters) = verdict.unwrap();
    assert_eq!((rows + letters + late, dropped), (2 * COUNT, 0));
    let (objects, mut kept) = all(true);
    kept.push(self::late_again(&kept[0]));
    let (verdict, (late, dropped)) = judged_all(&objects, &kept);
    let (rows, letters) = verdict.unwrap();
    assert!(late > 50 && dropped > 50, "{late} {dropped}");
    assert_eq!(rows + letters + late + dropped, 2 * COUNT + 1);
}

fn late_again(kept: &Kept) -> Kept {
    Kept {
        payload: kept.payload.clone(),
        key: None,
        headers: kept.headers.clone(),
        ..*kept
    }
}

#[test]
fn an_event_of_which_no_record_is_left_is_missing() {
    let (mut objects, kept) = all(true);
    let is_repeated = |id: (usize, u64)| {
        (0..2).any(|p| (0..COUNT).any(|s| (p, s) != id && ALL.event(p, s) == id))
    };
    let repeated = (0..COUNT).find(|&s| is_repeated((0, s))).unwrap();
    let lines = objects.get_mut(&key(ALL, 0, repeated)).unwrap();
    let before = lines.len();
    lines.retain(|line| !line.contains(&format!("\"r0-{repeated}\"")));
    assert_eq!(lines.len() + 1, before);
    let (kind, count) = only(judged_all(&objects, &kept).0);
    assert!(kind == "missing" && count >= 2, "{kind} {count}");
    // Nobody repeats it.
    let (mut objects, kept) = all(true);
    let alone = |s: &u64| matches!(ALL.class(0, *s), Class::Row { .. }) && !is_repeated((0, *s));
    let alone = (0..COUNT)
        .filter(|s| ALL.event(0, *s) == (0, *s))
        .find(alone)
        .unwrap();
    let lines = objects.get_mut(&key(ALL, 0, alone)).unwrap();
    lines.retain(|line| !line.contains(&format!("\"r0-{alone}\"")));
    assert_eq!(only(judged_all(&objects, &kept).0), ("missing", 1));
}

#[test]
fn a_late_record_that_is_not_where_it_belongs_is_found() {
    let (objects, mut kept) = all(true);
    let lost = kept.pop().unwrap();
    assert_eq!(only(judged_all(&objects, &kept).0), ("missing", 1));
    let mut changed = late_again(&lost);
    changed.payload.as_mut().unwrap().push(b' ');
    kept.push(changed);
    assert_eq!(only(judged_all(&objects, &kept).0), ("changed", 1));
    kept.pop();
    kept.push(lost);
    let sequence = (0..COUNT)
        .find(|s| ALL.class(0, *s) != Class::Late)
        .unwrap();
    kept.push(late(0, sequence));
    assert_eq!(only(judged_all(&objects, &kept).0), ("misplaced", 1));
    kept.pop();
    // In the bucket, it is misplaced, and there twice.
    let mut both = objects;
    let sequence = (0..COUNT)
        .find(|s| ALL.class(0, *s) == Class::Late)
        .unwrap();
    let row = format!("{{\"properties\":{{\"id\":\"r0-{sequence}\",\"v\":1}}}}\n");
    let name = format!("chaos/t1/{TOPIC}-0-{sequence}-{}.ndjson.gz", sequence + 1);
    both.insert(name, vec![row]);
    assert!(judged_all(&both, &kept).0.unwrap_err().counts["misplaced"] == 1);
}

fn judged(objects: &Objects, unacknowledged: &[u64]) -> Result<(u64, u64), Verdict> {
    let sent = |unacknowledged: &[u64]| Sent {
        count: COUNT,
        unacknowledged: unacknowledged.iter().copied().collect(),
    };
    let judge = Judge::new(RECORDS, TOPIC, vec![sent(unacknowledged), sent(&[])]);
    for (key, lines) in objects {
        judge.lines(key, lines.concat().as_bytes());
    }
    judge.verdict(&objects.keys().cloned().collect::<Vec<_>>())
}

/// The only kind of offence in `objects`, how often it was found, and the report.
#[track_caller]
fn offence(objects: &Objects) -> (&'static str, u64, String) {
    let verdict = judged(objects, &[]).unwrap_err();
    assert_eq!(verdict.counts.len(), 1, "{}", verdict.text);
    let (kind, count) = verdict.counts.first_key_value().unwrap();
    (kind, *count, verdict.text)
}

fn row_object(objects: &mut Objects) -> (&String, &mut Vec<String>) {
    objects
        .iter_mut()
        .find(|(key, _)| key.starts_with("chaos/t1/"))
        .unwrap()
}

#[test]
fn what_was_sent_is_right() {
    let (rows, letters) = judged(&objects(), &[]).unwrap();
    assert_eq!(rows + letters, 2 * COUNT);
    assert!(letters > 0);
}

#[test]
fn a_doubled_row_is_found_with_both_objects() {
    let mut objects = objects();
    let (key, lines) = row_object(&mut objects);
    let (first, key) = (lines[3].clone(), key.clone());
    let mut numbers = key.rsplit('-');
    let wider = key.replace(numbers.next().unwrap(), "150.ndjson.gz");
    objects.insert(wider.clone(), vec![first]);
    let (kind, count, text) = offence(&objects);
    assert_eq!((kind, count), ("doubled", 1));
    assert!(text.contains(&key) && text.contains(&wider), "{text}");
}

#[test]
fn a_doubled_dead_letter_is_found() {
    let mut objects = objects();
    let (key, lines) = objects.first_key_value().unwrap();
    assert!(key.starts_with("_dead_letters/"));
    let (name, again) = (key.replace("-0-0-100.", "-0-0-101."), lines[0].clone());
    assert_ne!(&name, key);
    objects.insert(name, vec![again]);
    assert_eq!(offence(&objects).0, "doubled");
}

#[test]
fn missing_rows_are_found_one_by_one() {
    let mut objects = objects();
    let (_, lines) = row_object(&mut objects);
    let wanted = lines.len() as u64 - 1;
    lines.truncate(1);
    let (kind, count, _) = offence(&objects);
    assert_eq!((kind, count), ("missing", wanted));
}

#[test]
fn a_missing_object_is_found_and_what_was_not_acknowledged_may_be_missing() {
    let mut objects = objects();
    let (key, lines) = objects.pop_first().unwrap();
    let (kind, count, text) = offence(&objects);
    assert_eq!((kind, count), ("missing", lines.len() as u64));
    assert!(
        text.contains("objects whose span holds") && !text.contains(&key),
        "{text}"
    );
    let mut excused = Vec::new();
    for line in &lines {
        let letter: Value = serde_json::from_str(line).unwrap();
        excused.push(letter["offset"].as_u64().unwrap());
    }
    judged(&objects, &excused).unwrap();
}

#[test]
fn rows_out_of_order_are_found() {
    let mut objects = objects();
    row_object(&mut objects).1.swap(4, 5);
    let (kind, count, _) = offence(&objects);
    assert_eq!((kind, count), ("reordered", 1));
}

#[test]
fn what_nobody_sent_is_found() {
    let mut beyond = objects();
    row_object(&mut beyond).1.push(line(0, COUNT));
    assert_eq!(offence(&beyond).0, "foreign");

    let mut nameless = objects();
    row_object(&mut nameless)
        .1
        .push("{\"properties\":{}}\n".into());
    assert_eq!(offence(&nameless).0, "foreign");

    for name in [
        "chaos/t1/another-0-0-100.ndjson.gz",
        "chaos/t1/.tmp",
        "x",
        "chaos/t1/a-topic-0-9-9.ndjson.gz",
    ] {
        let mut stray = objects();
        stray.insert(name.into(), vec![line(0, 0)]);
        assert_eq!(offence(&stray).0, "foreign", "{name}");
    }
}

#[test]
fn what_lies_in_the_wrong_place_is_found() {
    for wrong in [
        "t2/a-topic-0-0-200",
        "t1/a-topic-1-0-200",
        "t1/a-topic-0-201-300",
    ] {
        let mut objects = objects();
        let (key, lines) = row_object(&mut objects);
        assert!(key.starts_with("chaos/t1/a-topic-0-0-100."));
        let line = lines.pop().unwrap();
        objects.insert(format!("chaos/{wrong}.ndjson.gz"), vec![line]);
        let (kind, count, _) = offence(&objects);
        assert_eq!((kind, count), ("misplaced", 1), "{wrong}");
    }
}

#[test]
fn a_broken_record_that_became_a_row_is_found() {
    let mut objects = objects();
    let sequence = (0..COUNT)
        .find(|&at| RECORDS.class(0, at) == Class::Dead)
        .unwrap();
    let letters: Vec<_> = objects
        .keys()
        .filter(|key| key.starts_with("_dead_letters/a-topic-0-"))
        .cloned()
        .collect();
    for key in letters {
        let lines = objects.get_mut(&key).unwrap();
        lines.retain(|line| !line.contains(&format!("\"offset\":{sequence},")));
        if lines.is_empty() {
            objects.remove(&key);
        }
    }
    let row = format!("{{\"properties\":{{\"id\":\"r0-{sequence}\",\"v\":1}}}}\n");
    objects.insert(
        format!("chaos/t1/a-topic-0-{sequence}-{}.ndjson.gz", sequence + 1),
        vec![row],
    );
    assert_eq!(offence(&objects).0, "misplaced");
}

#[test]
fn a_dead_letter_with_other_bytes_is_found() {
    let mut objects = objects();
    let lines = objects.values_mut().next().unwrap();
    let mut letter: Value = serde_json::from_str(&lines[0]).unwrap();
    let mut payload = BASE64.decode(letter["payload"].as_str().unwrap()).unwrap();
    let last = payload.len() - 1;
    payload[last] ^= 1;
    letter["payload"] = BASE64.encode(payload).into();
    lines[0] = format!("{letter}\n");
    assert_eq!(offence(&objects).0, "changed");
}

#[test]
fn half_a_line_is_found() {
    let mut objects = objects();
    row_object(&mut objects).1.last_mut().unwrap().truncate(20);
    let verdict = judged(&objects, &[]).unwrap_err();
    assert!(
        verdict.counts.contains_key("unreadable"),
        "{}",
        verdict.text
    );
}
