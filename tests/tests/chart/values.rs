//! The schema of the values: what is refused, and that it says where.

use kexec_tests::helm::render;

#[test]
fn a_value_that_does_not_exist_or_cannot_be_is_refused_by_its_place() {
    let cases = [
        ("controler.replicas=3", "'controler' not allowed"),
        ("controller.replica=3", "'replica' not allowed"),
        ("controller.replicas=0", "'/controller/replicas'"),
        (
            "controller.maxConcurrent=70000",
            "'/controller/maxConcurrent'",
        ),
        ("controller.podDisruptionBudget.min=1", "'min' not allowed"),
        ("image.digest=latest", "'/image/digest'"),
        ("image.pullPolicy=always", "'/image/pullPolicy'"),
        ("runner.image.pullPolicy=Always", "'pullPolicy' not allowed"),
        ("namespaces={A}", "'/namespaces/0'"),
        ("protectedNamespaces={}", "'/protectedNamespaces/0'"),
        (
            "actions.scale_deploymnet.resources.limits.cpu=1",
            "'scale_deploymnet'",
        ),
        ("actions.restart_pod.limits.cpu=1", "'limits' not allowed"),
        (
            "actions.restart_pod.resources.limits.cpu=lots",
            "'/actions/restart_pod/resources/limits/cpu'",
        ),
        (
            "extraReadRules[0].verbs={delete}",
            "'/extraReadRules/0/verbs/0'",
        ),
        (
            "extraReadRules[0].resources={secrets}",
            "'/extraReadRules/0/resources/0'",
        ),
        (
            "extraReadRules[0].resources={*}",
            "'/extraReadRules/0/resources/0'",
        ),
        (
            "extraReadRules[0].apiGroups={*}",
            "'/extraReadRules/0/apiGroups/0'",
        ),
        ("apiServer.cidrs={10.0.0.1}", "'/apiServer/cidrs/0'"),
        ("quota.jobs=9", "'jobs' not allowed"),
        ("policies.enable=false", "'enable' not allowed"),
        ("crds.keep=false", "'keep' not allowed"),
        ("prePuller.images={a}", "'images' not allowed"),
        (
            "metrics.serviceMonitor.interval=often",
            "'/metrics/serviceMonitor/interval'",
        ),
    ];
    for (value, place) in cases {
        let refusal = render(&["--set", value]).expect_err(value);
        assert!(refusal.contains(place), "{value}: {refusal}");
    }
}
