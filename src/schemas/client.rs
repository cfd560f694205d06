//! Questions to a schema registry, and what its answers mean.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use http::StatusCode;
use serde_json::Value as Json;

use super::SchemaError;
use super::http::Http;
use crate::decode::avro::{Schema, SchemaId};

/// A schema that names more others than this is not fetched.
const MAX_REFERENCES: usize = 256;

/// How a registry is asked.
#[derive(Clone, Default)]
pub struct ClientSettings {
    /// URLs of registries that have the same schemas, without a slash at the end. The first one that answers counts.
    pub urls: Vec<String>,
    /// A name and a password.
    pub login: Option<(String, String)>,
    /// Certificates to trust, in PEM, instead of the system's.
    pub authorities: Option<PathBuf>,
}

/// A client of a registry.
#[derive(Debug)]
pub struct Client {
    urls: Vec<String>,
    http: Http,
}

/// A schema as the registry has it.
struct Answer {
    schema: String,
    references: Vec<(String, String)>,
}

impl Client {
    /// Asks nobody yet.
    ///
    /// # Errors
    /// [`SchemaError::Misconfigured`] if the settings cannot work.
    pub fn new(settings: &ClientSettings) -> Result<Self, SchemaError> {
        let login = settings.login.as_ref();
        let login = login.map(|(name, password)| (name.as_str(), password.as_str()));
        Ok(Self {
            urls: settings.urls.clone(),
            http: Http::new(login, settings.authorities.as_deref())?,
        })
    }

    /// Whether the registry answers and lets us ask.
    ///
    /// # Errors
    /// Why not.
    pub async fn check(&self) -> Result<(), SchemaError> {
        match self.get("/subjects").await {
            Err(SchemaError::NotFound(_)) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Fetches a schema and all it refers to.
    ///
    /// # Errors
    /// Why it is not had.
    pub async fn fetch(&self, id: SchemaId) -> Result<Schema, SchemaError> {
        let path = match id {
            SchemaId::Number(number) => format!("/schemas/ids/{number}"),
            SchemaId::Guid(_) => {
                let text = id.to_string();
                format!("/schemas/guids/{}", text.trim_start_matches("schema "))
            }
            SchemaId::Fingerprint(_) => {
                return Err(SchemaError::NotFound(
                    "a registry knows no fingerprints".into(),
                ));
            }
        };
        let root = self.schema(&path).await?;
        let texts = self.references(root.references).await?;
        Schema::parse(&root.schema, &texts)
            .map_err(|bad| SchemaError::Unusable(bad.to_string().into()))
    }

    /// The texts of what is referred to, directly and through others.
    async fn references(
        &self,
        mut open: Vec<(String, String)>,
    ) -> Result<Vec<String>, SchemaError> {
        let mut seen = HashSet::new();
        let mut texts = Vec::new();
        while let Some(reference) = open.pop() {
            if !seen.insert(reference.clone()) {
                continue;
            }
            let (subject, version) = reference;
            if texts.len() >= MAX_REFERENCES {
                return Err(SchemaError::Unusable(
                    format!("it refers to more than {MAX_REFERENCES} others").into(),
                ));
            }
            let path = format!("/subjects/{}/versions/{version}", encoded(&subject));
            let answer = self.schema(&path).await.map_err(|error| match error {
                SchemaError::NotFound(_) => {
                    let what = format!("it refers to version {version} of {subject}, which the registry does not have");
                    // It may be registered later, as the schema itself may.
                    SchemaError::NotFound(what.into())
                }
                error => error,
            })?;
            texts.push(answer.schema);
            open.extend(answer.references);
        }
        Ok(texts)
    }

    async fn schema(&self, path: &str) -> Result<Answer, SchemaError> {
        let json = self.get(path).await?;
        let kind = json
            .get("schemaType")
            .and_then(Json::as_str)
            .unwrap_or("AVRO");
        if kind != "AVRO" {
            return Err(SchemaError::Unusable(
                format!("it is of type {kind}, not AVRO").into(),
            ));
        }
        let strange =
            || SchemaError::Unavailable(format!("{path}: the answer has no schema in it").into());
        let schema = json
            .get("schema")
            .and_then(Json::as_str)
            .ok_or_else(strange)?;
        let references = json.get("references").and_then(Json::as_array);
        let references = references.into_iter().flatten().map(|reference| {
            let subject = reference.get("subject")?.as_str()?;
            let version = reference.get("version")?;
            Some((subject.to_owned(), version.to_string()))
        });
        Ok(Answer {
            schema: schema.to_owned(),
            references: references.collect::<Option<_>>().ok_or_else(strange)?,
        })
    }

    /// Asks one registry after the other until one knows; that there is no such thing is known when all that answer say so.
    async fn get(&self, path: &str) -> Result<Json, SchemaError> {
        let (mut unavailable, mut unknown): (Vec<Arc<str>>, _) = (Vec::new(), None);
        let mut refused =
            SchemaError::Misconfigured("schema-registry.url names no registry".into());
        for url in &self.urls {
            let url = format!("{url}{path}");
            let answered = match self.http.get(&url).await {
                Ok((status, body)) => meaning(&url, status, &body),
                Err(error) => Err(error),
            };
            match answered {
                Err(SchemaError::Unavailable(why)) => unavailable.push(why),
                Err(error @ SchemaError::Misconfigured(_)) => refused = error,
                // One that follows another may not have it yet.
                Err(error @ SchemaError::NotFound(_)) => unknown = Some(error),
                answered => return answered,
            }
        }
        // One that may answer later is reason to wait, even if another refuses us.
        match (unavailable.is_empty(), unknown) {
            // One that is down for good must not make an unknown number hold its partition for good.
            (_, Some(unknown)) => Err(unknown),
            (true, None) => Err(refused),
            (false, None) => Err(SchemaError::Unavailable(unavailable.join("; ").into())),
        }
    }
}

fn meaning(url: &str, status: StatusCode, body: &[u8]) -> Result<Json, SchemaError> {
    let json = serde_json::from_slice::<Json>(body);
    let code = json
        .as_ref()
        .ok()
        .and_then(|json| json.get("error_code")?.as_i64());
    match (status, json) {
        (StatusCode::OK, Ok(json)) => Ok(json),
        (StatusCode::OK, Err(_)) => Err(SchemaError::Unavailable(
            format!("{url}: the answer is no JSON").into(),
        )),
        // Only a registry says so: a proxy in front of one, or a wrong path, gives another 404.
        (StatusCode::NOT_FOUND, _) if matches!(code, Some(40_401..=40_403)) => Err(
            SchemaError::NotFound("the registry has none of that number".into()),
        ),
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
            let what = format!(
                "the schema registry refuses us ({status} at {url}): check schema-registry.username and schema-registry.password"
            );
            Err(SchemaError::Misconfigured(what.into()))
        }
        (StatusCode::NOT_FOUND, _) => {
            let what =
                format!("{url}: 404, but not from a registry: is schema-registry.url right?");
            Err(SchemaError::Unavailable(what.into()))
        }
        (status, _) => Err(SchemaError::Unavailable(format!("{url}: {status}").into())),
    }
}

/// Text as a part of a path.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let mut out = String::new();
    for byte in text.bytes() {
        match plain(byte) {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
pub(super) mod tests;
