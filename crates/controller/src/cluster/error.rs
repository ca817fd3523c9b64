//! Why a call failed, and what may be done about it.

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The configuration is not usable.
    #[error("failed to build a client of the API server")]
    BuildClient(#[source] kube::Error),
}

/// Why one call failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No answer in time: it may or may not have had an effect.
    #[error("failed to {what}: no answer in time")]
    TimeOut {
        /// What was called for.
        what: &'static str,
    },
    /// The API server refused, or could not be reached.
    #[error("failed to {what}: {cause}")]
    Call {
        /// What was called for.
        what: &'static str,
        /// The cause.
        #[source]
        cause: Box<kube::Error>,
    },
    /// The answer could not be read.
    #[error("failed to {what}: the answer cannot be read: {cause}")]
    ReadAnswer {
        /// What was called for.
        what: &'static str,
        /// The cause.
        #[source]
        cause: serde_json::Error,
    },
}

/// What may be done about an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// Try again later; the call may have had its effect.
    Transient,
    /// The object changed, or exists already: look at it.
    Conflict,
    /// The object is not there.
    Absent,
    /// We may not.
    Denied,
    /// What was sent is not acceptable.
    Invalid,
    /// It should not happen.
    Bug,
}

impl CallError {
    /// What may be done about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::TimeOut { .. } => Class::Transient,
            Self::ReadAnswer { .. } => Class::Bug,
            Self::Call { cause, .. } => match cause.as_ref() {
                kube::Error::Api(status) => match status.code {
                    404 => Class::Absent,
                    409 => Class::Conflict,
                    401 | 403 => Class::Denied,
                    400 | 413 | 415 | 422 => Class::Invalid,
                    _ => Class::Transient,
                },
                kube::Error::SerdeError(_) | kube::Error::BuildRequest(_) => Class::Bug,
                _ => Class::Transient,
            },
        }
    }

    /// Whether the API server serves no such kind at all.
    #[must_use]
    pub fn is_not_served(&self) -> bool {
        self.class() == Class::Absent && self.said().contains("page not found")
    }

    /// What the API server said, or the error itself.
    #[must_use]
    pub fn said(&self) -> String {
        match self {
            Self::Call { cause, .. } => match cause.as_ref() {
                kube::Error::Api(status) => status.message.clone(),
                other => other.to_string(),
            },
            Self::TimeOut { .. } | Self::ReadAnswer { .. } => self.to_string(),
        }
    }
}
