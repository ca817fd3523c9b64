//! What is reported and recorded while an action runs (SP-90…SP-96).

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::execution::duration::DurationText;
use crate::execution::schema;

/// What is reported and recorded along the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MonitoringConfig {
    /// Whether progress is reported in the status, true by default. Not performed by this version: no progress is
    /// reported.
    pub enable_progress_reporting: bool,
    /// Shortest time between two reports of progress: a whole number and one unit (s or m), at most 1440m, 10s by
    /// default. Not applied by this version: no progress is reported.
    #[schemars(transform = schema::short_duration)]
    pub progress_interval: DurationText,
    /// Whether the runner's API calls are measured, true by default.
    pub enable_metrics_collection: bool,
    /// Whether the execution is recorded for audit, true by default. In this version the API server's audit log is the
    /// audit, and the switch changes nothing.
    pub enable_audit_logging: bool,
    /// Which resources of the runner are measured.
    pub resource_monitoring: ResourceMonitoring,
}

impl Default for MonitoringConfig {
    fn default() -> Self {
        Self {
            enable_progress_reporting: true,
            progress_interval: DurationText::from_seconds(10),
            enable_metrics_collection: true,
            enable_audit_logging: true,
            resource_monitoring: ResourceMonitoring::default(),
        }
    }
}

impl MonitoringConfig {
    /// The shortest time between two reports of progress.
    #[must_use]
    pub fn progress_interval(&self) -> Duration {
        self.progress_interval.value()
    }
}

/// Which resources of the runner are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceMonitoring {
    /// Whether the runner's CPU is measured, true by default.
    pub enable_cpu_monitoring: bool,
    /// Whether the runner's memory is measured, true by default.
    pub enable_memory_monitoring: bool,
    /// Whether the runner's network traffic is measured, false by default.
    pub enable_network_monitoring: bool,
}

impl Default for ResourceMonitoring {
    fn default() -> Self {
        Self {
            enable_cpu_monitoring: true,
            enable_memory_monitoring: true,
            enable_network_monitoring: false,
        }
    }
}
