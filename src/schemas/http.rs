//! One question over HTTP or HTTPS: the answer's status and bytes, or why there is none.

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alluvium_target::causes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::SchemaError;

/// How long one answer may take, with the connection it needs.
const PATIENCE: Duration = Duration::from_secs(10);
/// An answer of more bytes is none.
const MAX_ANSWER: usize = 16 << 20;

/// Asks with `GET`. Keeps connections.
pub(super) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    authorization: Option<header::HeaderValue>,
}

/// The name and the password are secrets.
impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}

impl Http {
    /// With a name and a password, if there are any; whom to trust is in the file `authorities`, else what the system trusts.
    pub(super) fn new(
        login: Option<(&str, &str)>,
        authorities: Option<&Path>,
    ) -> Result<Self, SchemaError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| misconfigured(&error))?;
        let config = match authorities {
            Some(path) => config.with_root_certificates(authorities_in(path)?),
            None => config
                .with_native_roots()
                .map_err(|error| misconfigured(&error))?,
        };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config.with_no_client_auth())
            .https_or_http()
            .enable_http1()
            .build();
        let authorization = match login {
            None => None,
            Some((name, password)) => {
                let text = format!("Basic {}", BASE64.encode(format!("{name}:{password}")));
                let mut value =
                    header::HeaderValue::try_from(text).map_err(|error| misconfigured(&error))?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            authorization,
        })
    }

    /// # Errors
    /// [`SchemaError::Misconfigured`] if the other side is not one to trust, [`SchemaError::Unavailable`] if there is no answer.
    pub(super) async fn get(&self, url: &str) -> Result<(StatusCode, Bytes), SchemaError> {
        match tokio::time::timeout(PATIENCE, self.ask(url)).await {
            Ok(answered) => answered,
            Err(_) => Err(SchemaError::Unavailable(
                format!("{url}: no answer within {PATIENCE:?}").into(),
            )),
        }
    }

    async fn ask(&self, url: &str) -> Result<(StatusCode, Bytes), SchemaError> {
        let mut request = Request::get(url).header(
            header::ACCEPT,
            "application/vnd.schemaregistry.v1+json, application/json",
        );
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request
            .body(Empty::new())
            .map_err(|error| misconfigured(&error))?;
        let answer = self
            .client
            .request(request)
            .await
            .map_err(|error| failed(url, &error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|error| failed(url, &*error))?;
        Ok((status, body.to_bytes()))
    }
}

fn misconfigured(error: &dyn Error) -> SchemaError {
    SchemaError::Misconfigured(format!("schema-registry: {error}").into())
}

fn authorities_in(path: &Path) -> Result<RootCertStore, SchemaError> {
    let bad = |what: &dyn fmt::Display| {
        SchemaError::Misconfigured(
            format!("schema-registry.ca-file: {}: {what}", path.display()).into(),
        )
    };
    let text = std::fs::read(path).map_err(|error| bad(&error))?;
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| bad(&error))?;
        store.add(certificate).map_err(|error| bad(&error))?;
    }
    if store.is_empty() {
        return Err(bad(&"it has no certificate in PEM"));
    }
    Ok(store)
}

/// Why there is no answer, with all that is behind it.
fn failed(url: &str, error: &(dyn Error + 'static)) -> SchemaError {
    let text = format!("{url}: {}", causes::line(error));
    match causes::chain(error).any(is_untrusted) {
        true => SchemaError::Misconfigured(
            format!("the schema registry cannot be trusted: {text}").into(),
        ),
        false => SchemaError::Unavailable(text.into()),
    }
}

/// Whether the other side's certificate is refused: asking again does not help.
fn is_untrusted(cause: &(dyn Error + 'static)) -> bool {
    let tls = cause.downcast_ref::<rustls::Error>().or_else(|| {
        let inner = cause.downcast_ref::<std::io::Error>()?.get_ref()?;
        inner.downcast_ref::<rustls::Error>()
    });
    matches!(
        tls,
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)
    )
}
