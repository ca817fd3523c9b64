//! What the attempt cost (ST-66…ST-77), from the runner's own figures; what the spec does not want is left out.

use std::time::Duration;

use kexec_api::execution::KubernetesExecutionSpec;
use kexec_api::execution::duration;
use kexec_api::execution::status::{KubernetesApiCalls, PerformanceMetrics, ResourceUtilization};
use kexec_api::work::RunnerMetrics;

/// The figures; none when the spec switches them off (SP-92).
pub(super) fn metrics(
    metrics: &RunnerMetrics,
    spec: &KubernetesExecutionSpec,
) -> Option<PerformanceMetrics> {
    let is_wanted = spec
        .execution_config
        .monitoring_config
        .enable_metrics_collection;
    is_wanted.then(|| performance(metrics, spec))
}

fn performance(metrics: &RunnerMetrics, spec: &KubernetesExecutionSpec) -> PerformanceMetrics {
    let config = &spec.execution_config.monitoring_config.resource_monitoring;
    let average = metrics.total_millis.checked_div(u64::from(metrics.calls));
    let cpu = metrics
        .cpu_millis
        .zip(metrics.wall_millis)
        .filter(|(_, wall)| *wall > 0);
    PerformanceMetrics {
        execution_time: metrics.wall_millis.map(millis),
        kubernetes_api_calls: Some(KubernetesApiCalls {
            total_calls: Some(metrics.calls),
            average_response_time: average.map(millis),
            slowest_call: (metrics.calls > 0).then(|| millis(metrics.slowest_millis)),
            fastest_call: (metrics.calls > 0).then(|| millis(metrics.fastest_millis)),
            failed_calls: Some(metrics.failed_calls),
            timeout_calls: Some(metrics.timed_out_calls),
        }),
        resource_utilization: Some(ResourceUtilization {
            average_cpu_usage: cpu
                .filter(|_| config.enable_cpu_monitoring)
                .map(|(cpu, wall)| format!("{}m", cpu.saturating_mul(1000) / wall)),
            peak_memory_usage: metrics
                .peak_memory_bytes
                .filter(|_| config.enable_memory_monitoring)
                .map(|bytes| format!("{}Ki", bytes / 1024)),
            network_bytes_transferred: metrics
                .network_bytes
                .filter(|_| config.enable_network_monitoring)
                .map(|bytes| bytes.to_string()),
            ..ResourceUtilization::default()
        }),
        effectiveness_score: None,
        performance_score: None,
    }
}

fn millis(millis: u64) -> String {
    duration::format(Duration::from_millis(millis))
}
