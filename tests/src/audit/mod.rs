//! The judge: reads the API server's audit log and says who called what, with which outcome. What a test makes of it
//! is the test's matter. The log must be written in blocking mode, one JSON event per line (`audit.k8s.io/v1`), so
//! that a call is in it once its response was seen whole.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, ErrorKind, Read, Seek, SeekFrom},
    ops::Deref,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde_json::Value;

mod event;
#[cfg(test)]
mod tests;

/// The actions whose ServiceAccount does not begin with [`RUNNER_PREFIX`] name it so (ADR-18, ADR-19, ADR-20).
const NAMED_RUNNERS: [&str; 3] = ["configmap-patcher", "deployment-restarter", "git-operator"];
/// What the ServiceAccount of every other action begins with.
const RUNNER_PREFIX: &str = "kexec-";
const SERVICE_ACCOUNT_PREFIX: &str = "system:serviceaccount:";
const WRITE_VERBS: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

/// What keeps the log from being read.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file.
    #[error("failed to read the audit log '{path}'")]
    ReadLog {
        /// The log.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A whole line that is no audit event.
    #[error("failed to understand an event of the audit log: '{line}'")]
    ParseEvent {
        /// The line.
        line: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// A place between two events of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark(u64);

impl Mark {
    /// Before the first event.
    pub const START: Self = Self(0);
}

/// The API server's audit log. A file that is not there yet counts as empty.
#[derive(Clone, Debug)]
pub struct AuditLog {
    path: PathBuf,
}

impl AuditLog {
    /// The log in the file `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The end of the log as it is now. An event that is only half written belongs to what comes after.
    pub fn mark(&self) -> Result<Mark, AuditError> {
        let read = |source| self.unreadable(source);
        let Some(mut file) = self.open().map_err(read)? else {
            return Ok(Mark::START);
        };
        let mut end = file.seek(SeekFrom::End(0)).map_err(read)?;
        let mut chunk = Vec::new();
        while end > 0 {
            let start = end.saturating_sub(64 * 1024);
            file.seek(SeekFrom::Start(start)).map_err(read)?;
            chunk.clear();
            file.by_ref()
                .take(end - start)
                .read_to_end(&mut chunk)
                .map_err(read)?;
            if let Some(newline) = chunk.iter().rposition(|byte| *byte == b'\n') {
                return Ok(Mark(start + as_offset(newline + 1)));
            }
            end = start;
        }
        Ok(Mark::START)
    }

    /// The calls after `mark`, in the order the server finished them.
    pub fn since(&self, mark: Mark) -> Result<Calls, AuditError> {
        let mut mark = mark;
        self.advance(&mut mark)
    }

    /// The calls after `mark`, which moves behind the last of them.
    pub fn advance(&self, mark: &mut Mark) -> Result<Calls, AuditError> {
        let text = self
            .read_from(*mark)
            .map_err(|source| self.unreadable(source))?;
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .and_then(|newline| text.get(..=newline))
            .unwrap_or_default();
        let mut calls = Vec::new();
        for line in whole.split(|byte| *byte == b'\n') {
            if !line.is_empty() {
                calls.extend(event::parse(line)?);
            }
        }
        mark.0 += as_offset(whole.len());
        Ok(Calls(calls))
    }

    fn read_from(&self, mark: Mark) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        if let Some(mut file) = self.open()? {
            if file.metadata()?.len() < mark.0 {
                let problem = "it is shorter than it was: it was rotated or replaced";
                return Err(io::Error::new(ErrorKind::UnexpectedEof, problem));
            }
            file.seek(SeekFrom::Start(mark.0))?;
            file.read_to_end(&mut text)?;
        }
        Ok(text)
    }

    fn open(&self) -> io::Result<Option<File>> {
        match File::open(&self.path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn unreadable(&self, source: io::Error) -> AuditError {
        AuditError::ReadLog {
            path: self.path.clone(),
            source,
        }
    }
}

fn as_offset(length: usize) -> u64 {
    // No supported machine has a wider usize.
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// One call the API server has finished. Strings are empty where the call has no such part.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Who called; the impersonated user where there is one.
    pub user: String,
    /// What tells the token apart that was shown from the user's other ones.
    pub credential: String,
    /// The groups of `user`.
    pub groups: Vec<String>,
    /// Kubernetes verb.
    pub verb: String,
    /// API group; empty for the core group.
    pub group: String,
    /// Plural resource; empty for a path that names none.
    pub resource: String,
    /// Subresource.
    pub subresource: String,
    /// Namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The object's UID, where the server logged it.
    pub object_uid: String,
    /// The answer's code; 0 where the server logged none.
    pub code: u16,
    /// Whether the server was asked to change nothing. Where the policy leaves bodies out, a dry run asked for in
    /// `DeleteOptions` is not seen.
    pub dry_run: bool,
    /// Whether RBAC refused it; a 403 by admission is not meant.
    pub rbac_denied: bool,
    /// Path and query.
    pub request_uri: String,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// When the server got it.
    pub received: Timestamp,
    /// The request's body, where the policy keeps it.
    pub request_object: Option<Value>,
}

/// What an RBAC rule grants and a call needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// API group; empty for the core group.
    pub group: String,
    /// `resource`, or `resource/subresource`.
    pub resource: String,
    /// Kubernetes verb.
    pub verb: String,
}

impl Rule {
    /// A rule.
    pub fn new(
        group: impl Into<String>,
        resource: impl Into<String>,
        verb: impl Into<String>,
    ) -> Self {
        Self {
            group: group.into(),
            resource: resource.into(),
            verb: verb.into(),
        }
    }
}

/// An object that actions work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Plural resource, without a subresource.
    pub resource: &'a str,
    /// Namespace; empty for a cluster-scoped object.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
}

impl Call {
    /// Whether it may change an object: not the reads, and not the reviews, which are reads sent by POST. Dry runs
    /// are writes too; [`Self::dry_run`] tells them apart.
    #[must_use]
    pub fn is_write(&self) -> bool {
        WRITE_VERBS.contains(&self.verb.as_str()) && !is_review(&self.group, &self.resource)
    }

    /// Whether the server did it.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Whether it changed an object, or could have: a successful write that is no dry run.
    #[must_use]
    pub fn is_effect(&self) -> bool {
        self.is_write() && self.succeeded() && !self.dry_run
    }

    /// Whether a runner's ServiceAccount called.
    #[must_use]
    pub fn is_by_runner(&self) -> bool {
        is_runner(&self.user)
    }

    /// Whether it is on `target` or one of its subresources.
    #[must_use]
    pub fn is_on(&self, target: &Target<'_>) -> bool {
        self.resource == target.resource
            && self.namespace == target.namespace
            && self.name == target.name
    }

    /// Whether it is on a Lease; for a runner that is its claim.
    #[must_use]
    pub fn is_on_lease(&self) -> bool {
        self.group == "coordination.k8s.io" && self.resource == "leases"
    }

    /// The rule it needs; `None` for a path that names no resource.
    #[must_use]
    pub fn rule(&self) -> Option<Rule> {
        let resource = match (self.resource.as_str(), self.subresource.as_str()) {
            ("", _) => return None,
            (resource, "") => resource.to_owned(),
            (resource, subresource) => format!("{resource}/{subresource}"),
        };
        Some(Rule::new(&self.group, resource, &self.verb))
    }
}

/// Calls in the order the server finished them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calls(Vec<Call>);

/// What a user's calls need, to be compared with what it was granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needed {
    /// All but the calls on Leases; refused calls and dry runs too.
    pub rules: BTreeSet<Rule>,
    /// The calls on Leases: the claim.
    pub claim: BTreeSet<Rule>,
    /// Paths that name no resource, such as those of discovery.
    pub paths: BTreeSet<String>,
}

impl Calls {
    /// What runners did to `target`: writes that succeeded and were no dry runs.
    #[must_use]
    pub fn effects_on(&self, target: &Target<'_>) -> Vec<&Call> {
        self.iter()
            .filter(|call| call.is_effect() && call.is_by_runner() && call.is_on(target))
            .collect()
    }

    /// The writes of `user`, refused ones and dry runs too.
    #[must_use]
    pub fn writes_by(&self, user: &str) -> Vec<&Call> {
        self.iter()
            .filter(|call| call.user == user && call.is_write())
            .collect()
    }

    /// What RBAC refused to `user`.
    #[must_use]
    pub fn rbac_denials_of(&self, user: &str) -> Vec<&Call> {
        self.iter()
            .filter(|call| call.user == user && call.rbac_denied)
            .collect()
    }

    /// What the calls of `user` need. A watch is a finished call, and so among them, only when it has ended.
    #[must_use]
    pub fn calls_of(&self, user: &str) -> Needed {
        let mut needed = Needed::default();
        for call in self.iter().filter(|call| call.user == user) {
            match call.rule() {
                Some(rule) if call.is_on_lease() => needed.claim.insert(rule),
                Some(rule) => needed.rules.insert(rule),
                None => {
                    let path = call.request_uri.split('?').next().unwrap_or_default();
                    needed.paths.insert(path.to_owned())
                }
            };
        }
        needed
    }

    /// The calls themselves.
    #[must_use]
    pub fn into_vec(self) -> Vec<Call> {
        self.0
    }
}

impl Deref for Calls {
    type Target = [Call];

    fn deref(&self) -> &[Call] {
        &self.0
    }
}

/// The user name of a ServiceAccount.
#[must_use]
pub fn service_account(namespace: &str, name: &str) -> String {
    format!("{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}")
}

/// Whether `user` is an action's ServiceAccount, in whatever namespace.
#[must_use]
pub fn is_runner(user: &str) -> bool {
    user.strip_prefix(SERVICE_ACCOUNT_PREFIX)
        .and_then(|account| account.split_once(':'))
        .is_some_and(|(_, name)| name.starts_with(RUNNER_PREFIX) || NAMED_RUNNERS.contains(&name))
}

/// Whether the resource only asks who someone is or what they may do, though asking is a POST.
pub(crate) fn is_review(group: &str, resource: &str) -> bool {
    match group {
        "authorization.k8s.io" => matches!(
            resource,
            "subjectaccessreviews"
                | "localsubjectaccessreviews"
                | "selfsubjectaccessreviews"
                | "selfsubjectrulesreviews"
        ),
        "authentication.k8s.io" => matches!(resource, "tokenreviews" | "selfsubjectreviews"),
        _ => false,
    }
}

/// Whether a request asks for a dry run: in its query, or in the `DeleteOptions` that are its body or, for an
/// eviction, part of it.
pub(crate) fn is_dry_run(query: &str, body: Option<&Value>) -> bool {
    let in_query = form_urlencoded::parse(query.as_bytes())
        .any(|(key, value)| key == "dryRun" && !value.is_empty());
    let in_body = |pointer| {
        body.and_then(|body| body.pointer(pointer)?.as_array())
            .is_some_and(|stages| !stages.is_empty())
    };
    in_query || in_body("/dryRun") || in_body("/deleteOptions/dryRun")
}
