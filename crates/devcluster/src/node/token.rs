//! ServiceAccount tokens bound to a pod, kept valid in a file for as long as the pod's worker lives.

use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::{
    authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec},
    core::v1::{ServiceAccount, ServiceAccountTokenProjection},
};
use kube::{Api, api::PostParams};
use tokio::{task::AbortHandle, time::sleep};

use super::{host::Host, live::Key};

/// Lifetime when the pod names none, seconds.
const DEFAULT_LIFETIME: i64 = 3600;

/// Before a refresh that failed is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// What keeps a token from being there.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokenError {
    #[error("failed to request a token for ServiceAccount '{account}'")]
    Request {
        account: String,
        source: Box<kube::Error>,
    },
    #[error("the API server answered a token request without a token")]
    NoToken,
    #[error("failed to write the token to '{}'", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// A token that is wanted in a file.
#[derive(Clone, Debug)]
pub(super) struct TokenFile {
    pub(super) pod: Key,
    pub(super) account: String,
    pub(super) projection: ServiceAccountTokenProjection,
    pub(super) path: PathBuf,
}

/// Keeps a token file valid until dropped.
#[derive(Debug)]
pub(super) struct KeptToken(AbortHandle);

impl Drop for KeptToken {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl TokenFile {
    /// Writes the first token, and a new one after four fifths of each one's life.
    pub(super) async fn keep(self, host: &Arc<Host>) -> Result<KeptToken, TokenError> {
        let mut life = self.renew(host).await?;
        let host = Arc::clone(host);
        let task = tokio::spawn(async move {
            loop {
                sleep(life.mul_f64(0.8)).await;
                host.linked().await;
                life = match self.renew(&host).await {
                    Ok(life) => life,
                    Err(error) => {
                        tracing::debug!(%error, pod = self.pod.name, "token not renewed");
                        RETRY
                    }
                };
            }
        });
        Ok(KeptToken(task.abort_handle()))
    }

    /// Writes a new token and gives back how long it lives.
    async fn renew(&self, host: &Host) -> Result<Duration, TokenError> {
        let api = Api::<ServiceAccount>::namespaced(host.client.clone(), &self.pod.namespace);
        let answer = api
            .create_token_request(&self.account, &PostParams::default(), &self.request())
            .await
            .map_err(|source| TokenError::Request {
                account: self.account.clone(),
                source: Box::new(source),
            })?;
        let status = answer.status.ok_or(TokenError::NoToken)?;
        self.write(&status.token)
            .map_err(|source| TokenError::Write {
                path: self.path.clone(),
                source,
            })?;
        let life = status
            .expiration_timestamp
            .0
            .duration_since(Timestamp::now());
        Ok(Duration::try_from(life).unwrap_or_default())
    }

    fn request(&self) -> TokenRequest {
        TokenRequest {
            spec: TokenRequestSpec {
                audiences: self.projection.audience.iter().cloned().collect(),
                expiration_seconds: self
                    .projection
                    .expiration_seconds
                    .or(Some(DEFAULT_LIFETIME)),
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".to_owned()),
                    kind: Some("Pod".to_owned()),
                    name: Some(self.pod.name.clone()),
                    uid: Some(self.pod.uid.clone()),
                }),
            },
            ..TokenRequest::default()
        }
    }

    /// A reader sees the old token or the new one, never a part of one.
    fn write(&self, token: &str) -> io::Result<()> {
        let new = self.path.with_extension("new");
        fs::write(&new, token)?;
        fs::rename(&new, &self.path)
    }
}
