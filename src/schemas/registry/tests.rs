use std::sync::Mutex;
use std::sync::atomic::Ordering;

use super::super::client::tests::{client, serve};
use super::*;
use crate::awaited::WAITING;

async fn until<T>(mut ready: impl FnMut() -> Option<T>) -> T {
    for _ in 0..6000 {
        if let Some(value) = ready() {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within a minute");
}

#[tokio::test]
async fn many_who_want_a_schema_ask_once() {
    let (url, asked) = serve(|path, _| match path {
        "/schemas/ids/1" => (200, r#"{"schema":"\"int\""}"#.into()),
        "/schemas/ids/2" => (404, r#"{"error_code":40403}"#.into()),
        _ => (200, r#"{"schema":"nonsense"}"#.into()),
    })
    .await;
    let registry = Arc::new(Registry::new(client(&[&url]), &Handle::current()));
    for _ in 0..100 {
        assert!(matches!(
            registry.find(SchemaId::Number(1)),
            Found::NotYet(NotYet::Asked)
        ));
    }
    until(|| matches!(registry.find(SchemaId::Number(1)), Found::Schema(_)).then_some(())).await;
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    until(|| matches!(registry.find(SchemaId::Number(2)), Found::Unknown(_)).then_some(())).await;
    until(|| matches!(registry.find(SchemaId::Number(3)), Found::Unusable(_)).then_some(())).await;
    for _ in 0..100 {
        registry.find(SchemaId::Number(1));
        registry.find(SchemaId::Number(2));
        registry.find(SchemaId::Number(3));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

/// A registry that is down is never taken for one that knows nothing.
#[tokio::test]
async fn what_failed_is_asked_again() {
    let status = Arc::new(Mutex::new(500));
    let now = status.clone();
    let (url, _) =
        serve(move |_, _| (*now.lock().unwrap(), r#"{"schema":"\"int\""}"#.into())).await;
    let registry = Registry::new(client(&[&url]), &Handle::current());
    let id = SchemaId::Number(1);
    let why = until(|| match registry.find(id) {
        Found::NotYet(NotYet::Failed(why)) => Some(why),
        Found::NotYet(NotYet::Asked) => None,
        other => panic!("{other:?}"),
    })
    .await;
    assert!(
        why.contains("500") && why.contains("not available"),
        "{why}"
    );
    *status.lock().unwrap() = 200;
    until(|| matches!(registry.find(id), Found::Schema(_)).then_some(())).await;
    *status.lock().unwrap() = 403;
    let refused = until(|| match registry.find(SchemaId::Number(2)) {
        Found::NotYet(NotYet::Refused(why)) => Some(why),
        _ => None,
    })
    .await;
    assert!(refused.contains("403"), "{refused}");
}

#[tokio::test]
async fn more_questions_than_may_wait_are_asked_later() {
    let (url, _) = serve(|_, _| (200, r#"{"schema":"\"int\""}"#.into())).await;
    let registry = Registry::new(client(&[&url]), &Handle::current());
    let ids = || (0..4 * WAITING as u32).map(SchemaId::Number);
    until(|| {
        let known = ids().filter(|id| matches!(registry.find(*id), Found::Schema(_)));
        (known.count() == 4 * WAITING).then_some(())
    })
    .await;
}
