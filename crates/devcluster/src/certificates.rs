//! The cluster's own certificate authority and what it signs: serving certificates and client certificates (a
//! client's name and groups are its Kubernetes identity). No file is written here.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};

/// X.509 attribute type of an organization, which Kubernetes reads as a group. The certificate library keeps one
/// value per attribute name, so a second group goes in under the number of the same attribute.
const ORGANIZATION: [u64; 4] = [2, 5, 4, 10];

/// Groups that fit into one client certificate.
const MAX_GROUPS: usize = 2;

/// A certificate and its private key, both PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// The private key, PKCS#8.
    pub key: String,
}

/// What kept a certificate from being made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Key generation failed.
    #[error("failed to generate a private key")]
    GenerateKey(#[source] rcgen::Error),
    /// The host name or address is not valid in a certificate.
    #[error("failed to name '{name}' in a certificate")]
    Name {
        /// The name.
        name: String,
        /// Why.
        source: rcgen::Error,
    },
    /// Signing failed.
    #[error("failed to sign the certificate of '{subject}'")]
    Sign {
        /// Whose certificate.
        subject: String,
        /// Why.
        source: rcgen::Error,
    },
    /// More groups than a certificate can hold here.
    #[error(
        "failed to put {count} groups into the certificate of '{user}': write at most {MAX_GROUPS}, or impersonate \
         them from the admin"
    )]
    TooManyGroups {
        /// The user.
        user: String,
        /// Groups asked for.
        count: usize,
    },
}

/// The certificate authority of one cluster. Its key exists in memory and, for the controller manager, in a file.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority with a new key.
    pub fn generate() -> Result<Self, CertificateError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "devcluster");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let issuer = CertifiedIssuer::self_signed(params, generate_key()?).map_err(|source| {
            CertificateError::Sign {
                subject: "devcluster".to_owned(),
                source,
            }
        })?;
        Ok(Self { issuer })
    }

    /// The authority's own certificate and key.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity {
            certificate: self.issuer.pem(),
            key: self.issuer.key().serialize_pem(),
        }
    }

    /// A certificate for a server reached under `names` (host names or addresses); also good as a client's.
    pub fn server(&self, subject: &str, names: &[&str]) -> Result<Identity, CertificateError> {
        let mut params = parameters(subject);
        params.subject_alt_names = names
            .iter()
            .map(|name| alternative_name(name))
            .collect::<Result<_, _>>()?;
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        self.sign(subject, &params)
    }

    /// A certificate that makes its holder the user `user` in `groups` (at most two).
    pub fn client(&self, user: &str, groups: &[&str]) -> Result<Identity, CertificateError> {
        if groups.len() > MAX_GROUPS {
            return Err(CertificateError::TooManyGroups {
                user: user.to_owned(),
                count: groups.len(),
            });
        }
        let attributes = [
            DnType::OrganizationName,
            DnType::CustomDnType(ORGANIZATION.to_vec()),
        ];
        let mut params = parameters(user);
        for (attribute, group) in attributes.into_iter().zip(groups) {
            params.distinguished_name.push(attribute, *group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(user, &params)
    }

    fn sign(
        &self,
        subject: &str,
        params: &CertificateParams,
    ) -> Result<Identity, CertificateError> {
        let key = generate_key()?;
        let certificate =
            params
                .signed_by(&key, &self.issuer)
                .map_err(|source| CertificateError::Sign {
                    subject: subject.to_owned(),
                    source,
                })?;
        Ok(Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

/// A key pair for ServiceAccount tokens, PEM.
#[derive(Clone, Debug)]
pub struct TokenKey {
    /// Signs tokens (PKCS#8).
    pub private: String,
    /// Verifies them. The API server reads no public key out of a PKCS#8 private key.
    pub public: String,
}

/// A new key pair for ServiceAccount tokens.
pub fn token_key() -> Result<TokenKey, CertificateError> {
    let key = generate_key()?;
    Ok(TokenKey {
        private: key.serialize_pem(),
        public: key.public_key_pem(),
    })
}

fn generate_key() -> Result<KeyPair, CertificateError> {
    KeyPair::generate().map_err(CertificateError::GenerateKey)
}

fn parameters(subject: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
    ];
    params
}

fn alternative_name(name: &str) -> Result<SanType, CertificateError> {
    if let Ok(address) = name.parse() {
        return Ok(SanType::IpAddress(address));
    }
    name.try_into()
        .map(SanType::DnsName)
        .map_err(|source| CertificateError::Name {
            name: name.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_certificate_holds_two_groups_and_no_more() {
        let authority = Authority::generate().unwrap();
        assert!(authority.client("alice", &["a", "b"]).is_ok());
        let refused = authority.client("alice", &["a", "b", "c"]).unwrap_err();
        assert!(refused.to_string().contains("at most 2"), "{refused}");
    }

    #[test]
    fn a_server_name_that_cannot_stand_in_a_certificate_is_named() {
        let authority = Authority::generate().unwrap();
        let refused = authority.server("etcd", &["größe"]).unwrap_err();
        assert!(refused.to_string().contains("größe"), "{refused}");
    }
}
