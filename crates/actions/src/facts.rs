//! What an action may know about the cluster: it names its needs, and gets the facts that somebody read for it.
//! How they are read must not go in here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use kexec_api::plan::ObjectRef;
use serde_json::Value;

/// A kind, with all the names a request for it takes.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Kind {
    /// API version, such as `apps/v1`.
    pub api_version: String,
    /// Kind, such as `Deployment`.
    pub kind: String,
    /// Plural resource name, such as `deployments`.
    pub resource: String,
}

impl Kind {
    /// A kind by its names.
    #[must_use]
    pub fn new(api_version: &str, kind: &str, resource: &str) -> Self {
        Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            resource: resource.to_owned(),
        }
    }

    /// The kind of a known object.
    #[must_use]
    pub fn of(object: &ObjectRef) -> Self {
        Self::new(&object.api_version, &object.kind, &object.resource)
    }
}

/// One thing to be read.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum Need {
    /// One object by name.
    Object {
        /// Its kind.
        kind: Kind,
        /// Its namespace; `None` for cluster-scoped kinds.
        namespace: Option<String>,
        /// Its name.
        name: String,
    },
    /// All objects of a kind in a namespace that match a label selector.
    List {
        /// Their kind.
        kind: Kind,
        /// Their namespace; `None` for cluster-scoped kinds.
        namespace: Option<String>,
        /// Label selector in its string form; empty selects all.
        selector: String,
    },
    /// All objects of a kind that are placed on a node (`spec.nodeName`), of all namespaces.
    OnNode {
        /// Their kind.
        kind: Kind,
        /// Name of the node.
        node: String,
    },
}

impl Need {
    /// The need for a known object.
    #[must_use]
    pub fn object(reference: &ObjectRef) -> Self {
        Self::Object {
            kind: Kind::of(reference),
            namespace: reference.namespace.clone(),
            name: reference.name.clone(),
        }
    }

    /// The need for the pods that a selector picks in a namespace.
    #[must_use]
    pub fn pods(namespace: Option<&str>, selector: &str) -> Self {
        Self::List {
            kind: Kind::new("v1", "Pod", "pods"),
            namespace: namespace.map(str::to_owned),
            selector: selector.to_owned(),
        }
    }

    /// The need for all objects of a kind in a namespace.
    #[must_use]
    pub fn all(kind: Kind, namespace: Option<&str>) -> Self {
        Self::List {
            kind,
            namespace: namespace.map(str::to_owned),
            selector: String::new(),
        }
    }

    /// The need for the pods on a node.
    #[must_use]
    pub fn pods_on(node: &str) -> Self {
        Self::OnNode {
            kind: Kind::new("v1", "Pod", "pods"),
            node: node.to_owned(),
        }
    }

    /// The kind the need is about.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        match self {
            Self::Object { kind, .. } | Self::List { kind, .. } | Self::OnNode { kind, .. } => kind,
        }
    }
}

/// `ReplicaSet/web/shop-7d9c`, or `pods in "web" matching app=shop`.
impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object {
                kind,
                namespace,
                name,
            } => match namespace {
                Some(namespace) => write!(f, "{}/{namespace}/{name}", kind.kind),
                None => write!(f, "{}/{name}", kind.kind),
            },
            Self::List {
                kind,
                namespace,
                selector,
            } => {
                f.write_str(&kind.resource)?;
                if let Some(namespace) = namespace {
                    write!(f, " in \"{namespace}\"")?;
                }
                if !selector.is_empty() {
                    write!(f, " matching {selector}")?;
                }
                Ok(())
            }
            Self::OnNode { kind, node } => write!(f, "{} on node \"{node}\"", kind.resource),
        }
    }
}

/// What came back for one need.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// The object.
    Object(Value),
    /// The objects of a list.
    List(Vec<Value>),
    /// No such object.
    Absent,
    /// The API server serves no such kind.
    NotServed,
    /// The controller may not read it; the text names the missing rule.
    NotReadable(String),
}

/// Why a fact that a plan depends on cannot be used. An unknown is never taken for "there is none".
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FactError {
    /// The fact was not read, or something else came back than was asked for.
    #[error("failed to use {need}: it was not read")]
    UseUnread {
        /// What was asked for, for people.
        need: String,
    },
    /// There is no such object.
    #[error("{need} does not exist: create the execution again when it does")]
    FindObject {
        /// What was asked for, for people.
        need: String,
    },
    /// The API server serves no such kind.
    #[error(
        "{need} is of API version \"{api_version}\", which the cluster does not serve: install what serves it"
    )]
    FindApi {
        /// What was asked for, for people.
        need: String,
        /// API version of its kind.
        api_version: String,
    },
    /// The controller may not read it.
    #[error("the controller may not read {need}: {rule}")]
    ReadForbidden {
        /// What was asked for, for people.
        need: String,
        /// The missing rule.
        rule: String,
    },
}

/// All facts read so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts(BTreeMap<Need, Fact>);

impl Facts {
    /// Keeps what was read for `need`, in place of anything older.
    pub fn insert(&mut self, need: Need, fact: Fact) {
        self.0.insert(need, fact);
    }

    /// What is known for `need`; `None` when it was not read yet.
    #[must_use]
    pub fn get(&self, need: &Need) -> Option<&Fact> {
        self.0.get(need)
    }

    /// The object that `need` asks for, if it was read and exists.
    #[must_use]
    pub fn object(&self, need: &Need) -> Option<&Value> {
        match self.0.get(need)? {
            Fact::Object(object) => Some(object),
            Fact::List(_) | Fact::Absent | Fact::NotServed | Fact::NotReadable(_) => None,
        }
    }

    /// The objects that `need` asks for; empty when it was not read.
    #[must_use]
    pub fn list(&self, need: &Need) -> &[Value] {
        match self.0.get(need) {
            Some(Fact::List(objects)) => objects,
            Some(Fact::Object(_) | Fact::Absent | Fact::NotServed | Fact::NotReadable(_))
            | None => &[],
        }
    }

    /// The object that `need` asks for, which must exist.
    pub fn require_object(&self, need: &Need) -> Result<&Value, FactError> {
        match self.0.get(need) {
            Some(Fact::Object(object)) => Ok(object),
            other => Err(unusable(need, other)),
        }
    }

    /// The objects that `need` asks for, which must have been read.
    pub fn require_list(&self, need: &Need) -> Result<&[Value], FactError> {
        match self.0.get(need) {
            Some(Fact::List(objects)) => Ok(objects),
            other => Err(unusable(need, other)),
        }
    }

    /// Those of `needs` that were not read yet, each once.
    #[must_use]
    pub fn missing(&self, needs: impl IntoIterator<Item = Need>) -> Vec<Need> {
        let missing: BTreeSet<Need> = needs
            .into_iter()
            .filter(|need| !self.0.contains_key(need))
            .collect();
        missing.into_iter().collect()
    }
}

fn unusable(need: &Need, fact: Option<&Fact>) -> FactError {
    let shown = need.to_string();
    match fact {
        Some(Fact::Absent) => FactError::FindObject { need: shown },
        Some(Fact::NotServed) => FactError::FindApi {
            need: shown,
            api_version: need.kind().api_version.clone(),
        },
        Some(Fact::NotReadable(rule)) => FactError::ReadForbidden {
            need: shown,
            rule: rule.clone(),
        },
        Some(Fact::Object(_) | Fact::List(_)) | None => FactError::UseUnread { need: shown },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn need() -> Need {
        Need::pods(Some("web"), "app=shop")
    }

    fn required(fact: Option<Fact>) -> String {
        let mut facts = Facts::default();
        if let Some(fact) = fact {
            facts.insert(need(), fact);
        }
        facts
            .require_list(&need())
            .expect_err("no list")
            .to_string()
    }

    #[test]
    fn what_was_not_read_is_never_an_empty_list() {
        let shown = "pods in \"web\" matching app=shop";
        assert_eq!(
            required(None),
            format!("failed to use {shown}: it was not read")
        );
        assert_eq!(
            required(Some(Fact::Absent)),
            format!("{shown} does not exist: create the execution again when it does")
        );
        assert_eq!(
            required(Some(Fact::NotServed)),
            format!(
                "{shown} is of API version \"v1\", which the cluster does not serve: install what serves it"
            )
        );
        assert_eq!(
            required(Some(Fact::NotReadable("it lacks list on pods".into()))),
            format!("the controller may not read {shown}: it lacks list on pods")
        );
    }

    #[test]
    fn an_object_is_not_a_list_and_a_list_is_not_an_object() {
        let mut facts = Facts::default();
        facts.insert(need(), Fact::Object(json!({})));
        assert!(facts.require_list(&need()).is_err());
        facts.insert(need(), Fact::List(vec![json!({})]));
        assert!(facts.require_object(&need()).is_err());
        assert_eq!(facts.require_list(&need()).map(<[Value]>::len), Ok(1));
    }

    #[test]
    fn a_need_is_missing_once_and_until_it_was_read() {
        let mut facts = Facts::default();
        assert_eq!(facts.missing([need(), need()]), [need()]);
        facts.insert(need(), Fact::List(Vec::new()));
        assert_eq!(facts.missing([need()]), []);
    }
}
