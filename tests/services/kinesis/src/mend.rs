//! Where ferrokinesis 0.7.0 does other than the service's API reference says, for requests in JSON:
//! * SubscribeToShard forgets the sequence number it was told to begin at;
//! * ListShards knows no filter, and does not understand its own tokens;
//! * GetRecords does not tell at the end of a shard who goes on.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::Response;
use ferrokinesis::actions::subscribe_to_shard;
use ferrokinesis::shard_iterator::decode_shard_iterator;
use ferrokinesis::store::Store;
use serde_json::{Value, json};

const JSON: &str = "application/x-amz-json-1.1";
const LARGE: usize = 64 << 20;

pub async fn mend(State(store): State<Store>, request: Request, next: Next) -> Response {
    let (target, form) = (header(&request, "x-amz-target"), header(&request, "content-type"));
    let action = target.split('.').nth(1).unwrap_or_default().to_owned();
    let mended = ["SubscribeToShard", "ListShards", "GetRecords"].contains(&action.as_str());
    if !mended || form != JSON {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, LARGE).await.unwrap_or_default();
    let mut asked: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let mut again = Request::from_parts(parts, Body::from(bytes));
    match action.as_str() {
        "SubscribeToShard" => {
            match subscribe_to_shard::execute_streaming(&store, asked, JSON).await {
                Ok(body) => Response::builder()
                    .header(CONTENT_TYPE, "application/vnd.amazon.eventstream")
                    .body(body)
                    .unwrap(),
                // It is refused once more, in the right words.
                Err(_) => next.run(again).await,
            }
        }
        "ListShards" => {
            let (filter, stream) = begin_page(&mut asked);
            let asked = serde_json::to_vec(&asked).unwrap();
            again.headers_mut().remove("content-length");
            *again.body_mut() = Body::from(asked);
            change(next.run(again).await, |answer| {
                end_page(answer, &filter, &stream);
            })
            .await
        }
        _ => {
            let answer = next.run(again).await;
            let children = children(&store, &asked).await;
            change(answer, |answer| {
                let ended = answer["Records"].is_array() && answer["NextShardIterator"].is_null();
                if let (true, Some(children)) = (ended, children) {
                    answer["ChildShards"] = children;
                }
            })
            .await
        }
    }
}

fn header(request: &Request, name: &str) -> String {
    let header = request.headers().get(name);
    let text = header.and_then(|header| header.to_str().ok());
    text.unwrap_or_default().to_owned()
}

/// Changes an answer in JSON that is no error.
async fn change(answer: Response, with: impl FnOnce(&mut Value)) -> Response {
    let (mut parts, body) = answer.into_parts();
    let bytes = to_bytes(body, LARGE).await.unwrap_or_default();
    let Ok(mut value) = serde_json::from_slice(&bytes) else {
        return Response::from_parts(parts, Body::from(bytes));
    };
    if parts.status.is_success() {
        with(&mut value);
    }
    parts.headers.remove("content-length");
    Response::from_parts(parts, Body::from(serde_json::to_vec(&value).unwrap()))
}

/// Replaces a token by what it stands for. Returns the filter's type and the stream.
fn begin_page(asked: &mut Value) -> (String, String) {
    let token = asked["NextToken"].as_str().map(str::to_owned);
    if let Some([stream, last, filter]) = token
        .as_deref()
        .map(|token| token.split('/').collect::<Vec<_>>())
        .as_deref()
    {
        *asked = json!({"StreamName": stream, "ExclusiveStartShardId": last,
            "MaxResults": asked["MaxResults"], "ShardFilter": {"Type": filter}});
    }
    let filter = asked["ShardFilter"]["Type"].as_str().unwrap_or_default();
    let stream = asked["StreamName"].as_str().unwrap_or_default();
    (filter.to_owned(), stream.to_owned())
}

/// Leaves out shards that were not asked for. At the trim horizon those were open that came from none, since nothing is trimmed here; those that
/// were open at some other time are not told apart from others.
fn end_page(answer: &mut Value, filter: &str, stream: &str) {
    if let Some(last) = answer["NextToken"].as_str() {
        answer["NextToken"] = json!(format!("{stream}/{last}/{filter}"));
    }
    if let Some(shards) = answer["Shards"].as_array_mut() {
        shards.retain(|shard| match filter {
            "AT_LATEST" => shard["SequenceNumberRange"]["EndingSequenceNumber"].is_null(),
            "AT_TRIM_HORIZON" => shard["ParentShardId"].is_null(),
            _ => true,
        });
    }
}

/// The children of the shard that an iterator is of.
async fn children(store: &Store, asked: &Value) -> Option<Value> {
    let iterator = asked["ShardIterator"].as_str()?;
    let (_, stream, id, _) = decode_shard_iterator(iterator).ok()?;
    let stream = store.get_stream(&stream).await.ok()?;
    let children = stream.shards.iter().filter_map(|shard| {
        let parents = [&shard.parent_shard_id, &shard.adjacent_parent_shard_id];
        let parents: Vec<&String> = parents.into_iter().flatten().collect();
        parents.contains(&&id).then(|| {
            json!({"ShardId": shard.shard_id, "ParentShards": parents, "HashKeyRange": shard.hash_key_range})
        })
    });
    Some(Value::Array(children.collect()))
}
