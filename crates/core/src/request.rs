//! What can be said of an execution before the cluster is asked: the action, its target's kind, its parameters, and
//! what this version cannot do. The result is a [`Request`]; everything after takes only that.

use jiff::{SignedDuration, Timestamp};
use kexec_actions::facts::Need;
use kexec_actions::metadata::{Metadata, TargetKind};
use kexec_actions::parameters::CommonParameters;
use kexec_actions::{Lookup, Planner, Registry};
use kexec_api::condition::Reason;
use kexec_api::execution::spec::{ActionMetadata, SafetyCheckType, TargetResource};
use kexec_api::execution::{KubernetesExecution, KubernetesExecutionSpec};

use crate::checks;
use crate::settings::{MAX_PARAMETER_BYTES, Settings};

/// Why an execution is not run: a reason and one sentence on what is wrong, where, and what to write instead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The reason.
    pub reason: Reason,
    /// The sentence.
    pub message: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

/// An execution that makes sense by itself.
#[derive(Clone)]
pub struct Request<'a> {
    /// The action's planner.
    pub planner: &'a Planner,
    /// Kind of the target.
    pub kind: TargetKind,
    /// Namespace of the target; `None` for cluster-scoped kinds.
    pub namespace: Option<&'a str>,
    /// Name of the target.
    pub name: &'a str,
    /// When the execution was created.
    pub asked_at: Timestamp,
    /// The execution's spec.
    pub spec: &'a KubernetesExecutionSpec,
    /// The parameters every action has.
    pub common: CommonParameters,
}

impl Request<'_> {
    /// What the action says of itself.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        self.planner.metadata()
    }

    /// The need for the target itself.
    #[must_use]
    pub fn target_need(&self) -> Need {
        Need::Object {
            kind: self.kind.to_kind(),
            namespace: self.namespace.map(str::to_owned),
            name: self.name.to_owned(),
        }
    }

    /// Time the whole executing phase may take (BR-EXEC-022).
    #[must_use]
    pub fn timeout(&self) -> SignedDuration {
        timeout(self.spec)
    }

    /// Name of the container that ends the Job's work.
    #[must_use]
    pub fn container(&self) -> &'static str {
        container(self.common.dry_run)
    }
}

/// Name of the container whose end is the attempt's end: a dry run has no other than its own.
#[must_use]
pub fn container(dry_run: bool) -> &'static str {
    if dry_run {
        kexec_api::names::CONTAINER_DRY_RUN
    } else {
        kexec_api::names::CONTAINER_EXECUTE
    }
}

/// `executionConfig.timeout` of a spec.
#[must_use]
pub fn timeout(spec: &KubernetesExecutionSpec) -> SignedDuration {
    SignedDuration::try_from(spec.execution_config.timeout()).unwrap_or(SignedDuration::MAX)
}

/// `validationConfig.healthCheckTimeout` of a spec.
#[must_use]
pub fn health_check_timeout(spec: &KubernetesExecutionSpec) -> SignedDuration {
    SignedDuration::try_from(
        spec.execution_config
            .validation_config
            .health_check_timeout(),
    )
    .unwrap_or(SignedDuration::MAX)
}

/// `rollbackConfig.rollbackTimeout` of a spec (SP-81).
#[must_use]
pub fn rollback_timeout(spec: &KubernetesExecutionSpec) -> SignedDuration {
    let config = &spec.execution_config.safety_config.rollback_config;
    SignedDuration::try_from(config.rollback_timeout()).unwrap_or(SignedDuration::MAX)
}

/// Whether the execution asks for a dry run (BR-EXEC-011).
#[must_use]
pub fn is_dry_run(spec: &KubernetesExecutionSpec) -> bool {
    spec.action_definition
        .parameters
        .get("dryRun")
        .and_then(serde_json::Value::as_bool)
        == Some(true)
}

/// The request an execution makes, or why it makes none.
pub fn validate<'a>(
    execution: &'a KubernetesExecution,
    registry: &'a Registry,
    settings: &Settings,
) -> Result<Request<'a>, Refusal> {
    let spec = &execution.spec;
    let definition = &spec.action_definition;
    let planner = find_action(registry, &definition.action_type)?;
    check_version(planner.metadata(), definition.action_metadata.as_ref())?;
    refuse_what_is_not_built(spec)?;
    let (kind, namespace, name) = find_target(planner.metadata(), &definition.target_resource)?;
    if let Some(namespace) = namespace.filter(|namespace| settings.protects(namespace)) {
        return Err(Refusal::new(
            Reason::ProtectedNamespace,
            format!(
                "spec.actionDefinition.targetResource.namespace is \"{namespace}\", which no execution may touch: \
                 name a target in another namespace"
            ),
        ));
    }
    check_parameter_size(spec)?;
    let common = planner
        .check(&definition.parameters)
        .map_err(|error| Refusal::new(Reason::InvalidParameter, error.to_string()))?;
    Ok(Request {
        planner,
        kind,
        namespace,
        name,
        asked_at: asked_at(execution),
        spec,
        common,
    })
}

/// When the API server took the execution; it gives every object a time of creation.
fn asked_at(execution: &KubernetesExecution) -> Timestamp {
    let created = &execution.metadata.creation_timestamp;
    created
        .as_ref()
        .map_or(Timestamp::UNIX_EPOCH, |created| created.0)
}

fn find_action<'a>(registry: &'a Registry, name: &str) -> Result<&'a Planner, Refusal> {
    match registry.lookup(name) {
        Lookup::Found(planner) => Ok(planner),
        Lookup::NotSupported => Err(Refusal::new(
            Reason::NotSupported,
            format!(
                "spec.actionDefinition.actionType \"{name}\" is not built into this version: use one of {}",
                those_there_are(registry)
            ),
        )),
        Lookup::Unknown(nearest) => Err(Refusal::new(
            Reason::UnknownAction,
            match nearest {
                Some(near) => {
                    format!(
                        "spec.actionDefinition.actionType \"{name}\" is not an action: did you mean \"{near}\"?"
                    )
                }
                None => format!(
                    "spec.actionDefinition.actionType \"{name}\" is not an action: use one of {}",
                    those_there_are(registry)
                ),
            },
        )),
    }
}

/// Where all actions are listed, and the first of them: together they would not fit into a message.
fn those_there_are(registry: &Registry) -> String {
    let first: Vec<&str> = registry.action_types().into_iter().take(3).collect();
    format!(
        "status.actionRegistry.supportedActions, such as {}",
        first.join(", ")
    )
}

/// BR-EXEC-019: a version asked for fits when it has the same major number and is not newer than ours.
fn check_version(metadata: &Metadata, asked: Option<&ActionMetadata>) -> Result<(), Refusal> {
    let Some(asked) = asked.and_then(|asked| asked.version.as_deref()) else {
        return Ok(());
    };
    let fits = match (parse_version(asked), parse_version(metadata.version)) {
        (Some((major, minor)), Some((our_major, our_minor))) => {
            major == our_major && minor <= our_minor
        }
        (None, _) | (_, None) => false,
    };
    if fits {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::NotSupported,
        format!(
            "spec.actionDefinition.actionMetadata.version is {asked}, but {} is here in {}: write that version, or \
             leave the field out",
            metadata.action_type, metadata.version
        ),
    ))
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.strip_prefix('v')?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// What a spec may ask for and this version does not do is refused, never ignored.
fn refuse_what_is_not_built(spec: &KubernetesExecutionSpec) -> Result<(), Refusal> {
    let config = &spec.execution_config;
    if config.safety_config.require_approval {
        return Err(Refusal::new(
            Reason::ApprovalUnavailable,
            "spec.executionConfig.safetyConfig.requireApproval is true, but this version takes no approvals: leave it \
             out, or wait for a version that does",
        ));
    }
    if !spec.action_definition.parameters_from.is_empty() {
        return Err(Refusal::new(
            Reason::NotSupported,
            "spec.actionDefinition.parametersFrom is not built into this version: leave it out",
        ));
    }
    let validation = &config.validation_config;
    let conditions = [
        ("preConditions", &validation.pre_conditions),
        ("postConditions", &validation.post_conditions),
    ];
    for (field, checks) in conditions {
        if let Some(check) = checks.iter().find(|check| check.required) {
            return Err(Refusal::new(
                Reason::CheckUnavailable,
                format!(
                    "spec.executionConfig.validationConfig.{field} asks for \"{}\", which this version cannot run: \
                     leave it out, or set its required to false",
                    check.name
                ),
            ));
        }
    }
    Ok(())
}

/// The checks asked for that this version cannot run; each of them blocks.
pub fn unavailable_checks(
    spec: &KubernetesExecutionSpec,
) -> impl Iterator<Item = SafetyCheckType> + '_ {
    let asked = checks::requested(spec).into_iter();
    asked.filter(|check| match check {
        SafetyCheckType::ClusterConnectivity
        | SafetyCheckType::ResourceExistence
        | SafetyCheckType::PermissionCheck
        | SafetyCheckType::ResourceLock
        | SafetyCheckType::DependencyValidation
        | SafetyCheckType::VersionCompatibility
        | SafetyCheckType::ResourceOwnership => false,
        SafetyCheckType::BusinessRules | SafetyCheckType::ComplianceRules => true,
    })
}

type Aim<'a> = (TargetKind, Option<&'a str>, &'a str);

fn find_target<'a>(metadata: &Metadata, target: &'a TargetResource) -> Result<Aim<'a>, Refusal> {
    let field = "spec.actionDefinition.targetResource";
    let kinds = || {
        let kinds: Vec<String> = metadata
            .targets
            .iter()
            .map(|kind| format!("{} {}", kind.api_version, kind.kind))
            .collect();
        kinds.join(", ")
    };
    let found = metadata
        .targets
        .iter()
        .find(|kind| kind.api_version == target.api_version && kind.kind == target.kind)
        .ok_or_else(|| {
            Refusal::new(
                Reason::TargetKindMismatch,
                format!(
                    "{field} is {} {}, which {} cannot be aimed at: name a target of kind {}",
                    target.api_version,
                    target.kind,
                    metadata.action_type,
                    kinds()
                ),
            )
        })?;
    let name = target.name().ok_or_else(|| {
        Refusal::new(
            Reason::NotSupported,
            format!("{field}.name is missing, and selecting targets is not built into this version: name one target"),
        )
    })?;
    match (found.namespaced, target.namespace()) {
        (true, None) => Err(Refusal::new(
            Reason::InvalidTarget,
            format!(
                "{field}.namespace is missing: a {} lives in a namespace, name it",
                found.kind
            ),
        )),
        (false, Some(namespace)) => Err(Refusal::new(
            Reason::InvalidTarget,
            format!(
                "{field}.namespace is \"{namespace}\", but a {} lives in no namespace: leave it out",
                found.kind
            ),
        )),
        (_, namespace) => Ok((*found, namespace, name)),
    }
}

fn check_parameter_size(spec: &KubernetesExecutionSpec) -> Result<(), Refusal> {
    let bytes = serde_json::to_vec(&spec.action_definition.parameters)
        .map_or(usize::MAX, |json| json.len());
    if bytes <= MAX_PARAMETER_BYTES {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::InvalidParameter,
        format!(
            "spec.actionDefinition.parameters has {bytes} bytes of JSON: write at most {MAX_PARAMETER_BYTES}"
        ),
    ))
}
