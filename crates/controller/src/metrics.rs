//! The figures the operator shows to Prometheus. Labels come from closed sets only: phases, reasons, classes,
//! registered actions and the names of our own calls, never from what a user wrote.

use std::time::Duration;

use kexec_api::condition::Reason;
use kexec_api::phase::Phase;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry, TextEncoder,
};

/// Seconds that calls and reconciles are sorted into.
const BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// How a call ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CallResult {
    /// Answered.
    Ok,
    /// Refused, or not reached.
    Failed,
    /// No answer in time.
    TimedOut,
}

impl CallResult {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
        }
    }
}

/// Why the figures could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// A figure is not acceptable to the library.
    #[error("failed to register a metric")]
    Register(#[source] prometheus::Error),
    /// The figures could not be written as text.
    #[error("failed to write the metrics as text")]
    Encode(#[source] prometheus::Error),
}

/// All figures.
pub struct Metrics {
    registry: Registry,
    calls: IntCounterVec,
    call_seconds: HistogramVec,
    reconcile_seconds: Histogram,
    reconcile_errors: IntCounter,
    panics: IntCounter,
    undecodable: IntCounter,
    dropped_events: IntCounter,
    finished: IntCounterVec,
    /// Executions at work.
    pub working: IntGauge,
    /// Executions that wait for their turn.
    pub waiting: IntGauge,
    /// 1 when the admission policies are as they must be.
    pub policies_in_force: IntGauge,
    /// 1 when all watches have been read once and none is failing.
    pub watches_synced: IntGauge,
    /// 1 when this replica may act.
    pub leader: IntGauge,
}

impl Metrics {
    /// The figures, all at zero.
    pub fn new() -> Result<Self, MetricsError> {
        let opts = |name: &str, help: &str| Opts::new(format!("kexec_{name}"), help);
        let seconds = |name: &str, help: &str| {
            HistogramOpts::new(format!("kexec_{name}"), help).buckets(BUCKETS.to_vec())
        };
        let counter = |name: &str, help: &str| {
            IntCounter::with_opts(opts(name, help)).map_err(MetricsError::Register)
        };
        let gauge = |name: &str, help: &str| {
            IntGauge::with_opts(opts(name, help)).map_err(MetricsError::Register)
        };
        let metrics = Self {
            registry: Registry::new(),
            calls: IntCounterVec::new(
                opts("api_calls_total", "Calls to the API server."),
                &["call", "result"],
            )
            .map_err(MetricsError::Register)?,
            call_seconds: HistogramVec::new(
                seconds("api_call_seconds", "Time of calls to the API server."),
                &["call"],
            )
            .map_err(MetricsError::Register)?,
            reconcile_seconds: Histogram::with_opts(seconds(
                "reconcile_seconds",
                "Time of reconciles.",
            ))
            .map_err(MetricsError::Register)?,
            reconcile_errors: counter(
                "reconcile_errors_total",
                "Reconciles that ended with an error.",
            )?,
            panics: counter("reconcile_panics_total", "Reconciles that panicked.")?,
            undecodable: counter(
                "undecodable_executions_total",
                "Executions that could not be decoded.",
            )?,
            dropped_events: counter(
                "events_dropped_total",
                "Events not published because too many were waiting.",
            )?,
            finished: IntCounterVec::new(
                opts("executions_finished_total", "Executions that ended."),
                &["action", "phase", "reason"],
            )
            .map_err(MetricsError::Register)?,
            working: gauge("executions_working", "Executions at work.")?,
            waiting: gauge("executions_waiting", "Executions that wait for their turn.")?,
            policies_in_force: gauge(
                "policies_in_force",
                "1 when the admission policies are as shipped.",
            )?,
            watches_synced: gauge(
                "watches_synced",
                "1 when every watch was read and none is failing.",
            )?,
            leader: gauge(
                "leader",
                "1 when this replica leads, or there is no leader election.",
            )?,
        };
        metrics.register()?;
        Ok(metrics)
    }

    fn register(&self) -> Result<(), MetricsError> {
        let all: [Box<dyn prometheus::core::Collector>; 13] = [
            Box::new(self.calls.clone()),
            Box::new(self.call_seconds.clone()),
            Box::new(self.reconcile_seconds.clone()),
            Box::new(self.reconcile_errors.clone()),
            Box::new(self.panics.clone()),
            Box::new(self.undecodable.clone()),
            Box::new(self.dropped_events.clone()),
            Box::new(self.finished.clone()),
            Box::new(self.working.clone()),
            Box::new(self.waiting.clone()),
            Box::new(self.policies_in_force.clone()),
            Box::new(self.watches_synced.clone()),
            Box::new(self.leader.clone()),
        ];
        all.into_iter()
            .try_for_each(|collector| self.registry.register(collector))
            .map_err(MetricsError::Register)
    }

    /// Counts a call.
    pub fn call(&self, what: &'static str, result: CallResult, took: Duration) {
        self.calls.with_label_values(&[what, result.as_str()]).inc();
        self.call_seconds
            .with_label_values(&[what])
            .observe(took.as_secs_f64());
    }

    /// Counts a reconcile.
    pub fn reconciled(&self, took: Duration, failed: bool) {
        self.reconcile_seconds.observe(took.as_secs_f64());
        if failed {
            self.reconcile_errors.inc();
        }
    }

    /// Counts a reconcile that panicked.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// Counts an execution that could not be decoded.
    pub fn undecodable(&self) {
        self.undecodable.inc();
    }

    /// Counts an event that was not published.
    pub fn dropped_event(&self) {
        self.dropped_events.inc();
    }

    /// Counts an execution that ended; `action` is a registered one, or `unknown`.
    pub fn finished(&self, action: &str, phase: Phase, reason: Reason) {
        self.finished
            .with_label_values(&[action, phase.as_str(), reason.as_str()])
            .inc();
    }

    /// All figures in Prometheus' text format.
    pub fn text(&self) -> Result<Vec<u8>, MetricsError> {
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .map_err(MetricsError::Encode)?;
        Ok(text)
    }
}
