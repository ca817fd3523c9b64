//! What the operator remembers of an execution from one reconcile to the next. All of it can be lost: status, Jobs and
//! claims tell the rest.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kexec_api::execution::KubernetesExecution;
use kexec_api::plan::PlanContent;
use kexec_core::access::{Answer, Question};
use kexec_core::attempt::Claim;
use kexec_core::planning::Planned;
use kexec_core::view::CreateProblem;
use kube::ResourceExt;

/// How long an answer to who may do what is believed.
const ANSWER_TTL: Duration = Duration::from_secs(30);
/// How long a look at the API server's readiness is believed.
const PROBE_TTL: Duration = Duration::from_secs(2);

/// What is remembered of one execution.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// The execution as it was when we last wrote it: the watch tells later.
    pub written: Option<Box<KubernetesExecution>>,
    /// The plan whose intent we recorded and whose Job we have not seen.
    pub intended: Option<Box<Planned>>,
    /// The plan of the recorded intent.
    pub stored_plan: Option<Box<PlanContent>>,
    /// Who holds the claims of its attempts, by the names of their Jobs.
    pub claims: BTreeMap<String, Claim>,
    /// Why the API server refused the Job each time it was asked for; `None` once an answer is missing.
    pub refused_job: Option<CreateProblem>,
}

/// What is remembered of all executions, by UID.
#[derive(Debug, Default)]
pub struct Memory {
    executions: Mutex<HashMap<String, Remembered>>,
    answers: Mutex<HashMap<Question, (Answer, Instant)>>,
    probe: Mutex<Option<(kexec_core::view::Connectivity, Instant)>>,
    plans: Mutex<HashSet<String>>,
}

impl Memory {
    /// What is remembered of an execution.
    #[must_use]
    pub fn recall(&self, uid: &str) -> Remembered {
        self.executions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(uid)
            .cloned()
            .unwrap_or_default()
    }

    /// Changes what is remembered.
    pub fn update(&self, uid: &str, change: impl FnOnce(&mut Remembered)) {
        let mut executions = self
            .executions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        change(executions.entry(uid.to_owned()).or_default());
    }

    /// Forgets an execution.
    pub fn forget(&self, uid: &str) {
        self.executions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
    }

    /// Whether anything is remembered of an execution.
    #[must_use]
    pub fn knows(&self, uid: &str) -> bool {
        self.executions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(uid)
    }

    /// A plan of this execution is, or may be, kept in a ConfigMap.
    pub fn plan_kept(&self, uid: &str) {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.insert(uid.to_owned());
    }

    /// Whether one may be; from now on none is known of.
    #[must_use]
    pub fn forget_plan(&self, uid: &str) -> bool {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.remove(uid)
    }

    /// Answers that are still believed.
    #[must_use]
    pub fn answers(&self, questions: &[Question]) -> BTreeMap<Question, Answer> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let believed = questions.iter().filter_map(|question| {
            let (answer, at) = answers.get(question)?;
            (at.elapsed() < ANSWER_TTL).then(|| (question.clone(), answer.clone()))
        });
        believed.collect()
    }

    /// Keeps an answer. A failure to ask is not one, and a denial is asked again: rights are granted because of it.
    pub fn keep_answer(&self, question: &Question, answer: &Answer) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|_, (_, at)| at.elapsed() < ANSWER_TTL);
        if *answer == Answer::Allowed {
            answers.insert(question.clone(), (answer.clone(), Instant::now()));
        }
    }

    /// The last look at the API server, if it is fresh and was good.
    #[must_use]
    pub fn probe(&self) -> Option<kexec_core::view::Connectivity> {
        let probe = self.probe.lock().unwrap_or_else(PoisonError::into_inner);
        probe
            .as_ref()
            .filter(|(seen, at)| at.elapsed() < PROBE_TTL && seen.problem.is_none())
            .map(|(seen, _)| seen.clone())
    }

    /// Keeps a look at the API server.
    pub fn keep_probe(&self, seen: &kexec_core::view::Connectivity) {
        *self.probe.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((seen.clone(), Instant::now()));
    }
}

/// The newer of what the watch shows and what we wrote. Resource versions of one kind can be compared (KEP-5504).
#[must_use]
pub fn newer(
    seen: &KubernetesExecution,
    written: Option<&KubernetesExecution>,
) -> KubernetesExecution {
    let version = |execution: &KubernetesExecution| {
        execution
            .resource_version()
            .and_then(|text| text.parse::<u128>().ok())
    };
    match written {
        Some(written) if written.uid() == seen.uid() && version(written) > version(seen) => {
            written.clone()
        }
        Some(_) | None => seen.clone(),
    }
}
