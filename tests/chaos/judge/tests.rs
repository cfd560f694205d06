//! The judge is judged: it finds nothing wrong where nothing is, and every way to be wrong.

use super::*;

const TOPIC: &str = "a-topic";
const COUNT: u64 = 1_000;
const RECORDS: Records = Records { seed: 7 };

/// The text of every object, by key.
type Objects = BTreeMap<String, Vec<String>>;

fn line(partition: usize, sequence: u64) -> String {
    let mut payload = Vec::new();
    RECORDS.payload(partition, sequence, &mut payload);
    match RECORDS.class(partition, sequence) {
        Class::Row { table } => format!(
            "{{\"_time\":1,\"$schema\":\"chaos\",\"$table\":\"t{table}\",\"_user\":\"u\",\"properties\":{{\"id\":\
             \"r{partition}-{sequence}\",\"v\":{}}}}}\n",
            RECORDS.value(partition, sequence)
        ),
        Class::Dead => format!(
            "{{\"topic\":\"{TOPIC}\",\"partition\":{partition},\"offset\":{sequence},\"payload\":\"{}\"}}\n",
            BASE64.encode(payload)
        ),
    }
}

fn key(partition: usize, sequence: u64, from: u64, to: u64) -> String {
    match RECORDS.class(partition, sequence) {
        Class::Row { table } => {
            format!("chaos/t{table}/{TOPIC}-{partition}-{from}-{to}.ndjson.gz")
        }
        Class::Dead => format!("_dead_letters/{TOPIC}-{partition}-{from}-{to}.ndjson.gz"),
    }
}

/// Two partitions, in spans of 100 records.
fn objects() -> Objects {
    let mut objects = Objects::new();
    for partition in 0..2 {
        for sequence in 0..COUNT {
            let from = sequence / 100 * 100;
            let key = key(partition, sequence, from, from + 100);
            objects
                .entry(key)
                .or_default()
                .push(line(partition, sequence));
        }
    }
    objects
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
