//! Kubeconfig files: one cluster, one user, everything embedded, so that a file works wherever it is copied. Who the
//! user is and where the file goes is the caller's.

use k8s_openapi::ByteString;
use serde_json::{Value, json};
use std::{
    fs::{OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::certificates::Identity;

/// How the user of a kubeconfig proves who they are.
#[derive(Clone, Debug)]
pub enum Credential<'a> {
    /// A client certificate.
    Certificate(&'a Identity),
    /// A bearer token.
    Token(&'a str),
    /// A file that always holds a valid bearer token.
    TokenFile(&'a Path),
}

/// What kept a kubeconfig from being written.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// It could not be turned into YAML.
    #[error("failed to write a kubeconfig as YAML")]
    Serialize(#[source] serde_yaml::Error),
    /// The file cannot be written.
    #[error("failed to write '{}'", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A kubeconfig as YAML for the API server at `url`, which proves itself by `authority` (PEM).
pub fn render(
    url: &str,
    authority: &str,
    credential: &Credential<'_>,
) -> Result<String, KubeconfigError> {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "devcluster",
            "cluster": {"server": url, "certificate-authority-data": encoded(authority)},
        }],
        "users": [{"name": "devcluster", "user": user(credential)}],
        "contexts": [{"name": "devcluster", "context": {"cluster": "devcluster", "user": "devcluster"}}],
        "current-context": "devcluster",
    });
    serde_yaml::to_string(&config).map_err(KubeconfigError::Serialize)
}

/// Writes `content` to `path`, readable by the owner only.
pub fn write_private(path: &Path, content: &str) -> Result<(), KubeconfigError> {
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(content.as_bytes())
    };
    write().map_err(|source| KubeconfigError::Write {
        path: path.to_owned(),
        source,
    })
}

fn user(credential: &Credential<'_>) -> Value {
    match credential {
        Credential::Certificate(identity) => json!({
            "client-certificate-data": encoded(&identity.certificate),
            "client-key-data": encoded(&identity.key),
        }),
        Credential::Token(token) => json!({"token": token}),
        Credential::TokenFile(path) => json!({"tokenFile": path}),
    }
}

/// Kubernetes' own byte string serialises as base64, which is what a kubeconfig's `-data` fields are.
fn encoded(pem: &str) -> ByteString {
    ByteString(pem.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::config::Kubeconfig;

    #[test]
    fn a_rendered_kubeconfig_is_read_by_the_client_library() {
        let yaml = render(
            "https://127.0.0.1:1",
            "ca",
            &Credential::TokenFile(Path::new("/t")),
        )
        .unwrap();
        let read = Kubeconfig::from_yaml(&yaml).unwrap();
        assert_eq!(
            read.clusters[0]
                .cluster
                .as_ref()
                .unwrap()
                .certificate_authority_data
                .as_deref(),
            Some("Y2E=")
        );
        assert_eq!(
            read.auth_infos[0]
                .auth_info
                .as_ref()
                .unwrap()
                .token_file
                .as_deref(),
            Some("/t")
        );
    }
}
