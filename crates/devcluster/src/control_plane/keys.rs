//! The keys, certificates and kubeconfigs of one control plane, made and written before its programs start. Which
//! program gets which file is [`super::arguments`]'s.

use super::folder::Folder;
use crate::{
    certificates::{self, Authority, CertificateError, Identity},
    kubeconfig::{self, Credential, KubeconfigError, write_private},
};

/// User name of the administrator.
pub(super) const ADMIN: &str = "kubernetes-admin";

/// The group that may do everything.
pub(crate) const MASTERS: &str = "system:masters";

/// What kept the keys from being made.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A certificate.
    #[error("failed to make the cluster's certificates")]
    Certificate(#[source] CertificateError),
    /// A file.
    #[error("failed to write the cluster's keys")]
    Write(#[source] KubeconfigError),
}

/// Makes and writes everything; gives back the administrator's identity.
pub(super) fn write(
    folder: &Folder,
    authority: &Authority,
    url: &str,
) -> Result<Identity, KeysError> {
    let ca = authority.identity();
    write_pair(folder, "ca", &ca)?;
    let local = ["127.0.0.1", "localhost"];
    let apiserver = [
        "127.0.0.1",
        "localhost",
        "10.96.0.1",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
    ];
    server(folder, authority, "etcd", &local)?;
    server(folder, authority, "kube-apiserver", &apiserver)?;
    for (file, user, groups) in [
        ("etcd-client", "etcd-client", &[][..]),
        (
            "kubelet-client",
            "kube-apiserver-kubelet-client",
            &[MASTERS],
        ),
    ] {
        let identity = client(authority, user, groups)?;
        write_pair(folder, file, &identity)?;
    }
    for program in ["kube-controller-manager", "kube-scheduler"] {
        let identity = client(authority, &format!("system:{program}"), &[])?;
        kubeconfig(folder, url, &ca, (program, &identity))?;
    }
    let tokens = certificates::token_key().map_err(KeysError::Certificate)?;
    write_file(folder, "service-accounts.key", &tokens.private)?;
    write_file(folder, "service-accounts.pub", &tokens.public)?;
    let policy = include_str!("audit-policy.yaml");
    write_file(folder, "audit-policy.yaml", policy)?;
    client(authority, ADMIN, &[MASTERS])
}

fn client(authority: &Authority, user: &str, groups: &[&str]) -> Result<Identity, KeysError> {
    authority
        .client(user, groups)
        .map_err(KeysError::Certificate)
}

fn server(
    folder: &Folder,
    authority: &Authority,
    name: &str,
    names: &[&str],
) -> Result<(), KeysError> {
    let identity = authority
        .server(name, names)
        .map_err(KeysError::Certificate)?;
    write_pair(folder, name, &identity)
}

fn kubeconfig(
    folder: &Folder,
    url: &str,
    ca: &Identity,
    (name, identity): (&str, &Identity),
) -> Result<(), KeysError> {
    let credential = Credential::Certificate(identity);
    let yaml = kubeconfig::render(url, &ca.certificate, &credential).map_err(KeysError::Write)?;
    write_file(folder, &format!("{name}.kubeconfig"), &yaml)
}

fn write_pair(folder: &Folder, name: &str, identity: &Identity) -> Result<(), KeysError> {
    write_file(folder, &format!("{name}.crt"), &identity.certificate)?;
    write_file(folder, &format!("{name}.key"), &identity.key)
}

fn write_file(folder: &Folder, name: &str, content: &str) -> Result<(), KeysError> {
    write_private(&folder.key_file(name), content).map_err(KeysError::Write)
}
