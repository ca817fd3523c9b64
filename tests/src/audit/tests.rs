use std::{fs::OpenOptions, io::Write};

use tempfile::TempDir;

use super::*;

const LINES: &str = include_str!("fixture.jsonl");
const RUNNER: &str = "system:serviceaccount:shop:kexec-scale-deployment";
const CHECKOUT: Target<'_> = Target {
    resource: "deployments",
    namespace: "shop",
    name: "checkout",
};

/// A log file of this test's own.
struct Scratch {
    log: AuditLog,
    _folder: TempDir,
}

impl Scratch {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        Self {
            log: AuditLog::new(folder.path().join("audit.log")),
            _folder: folder,
        }
    }

    fn append(&self, text: &str) {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log.path())
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    fn names(&self, mark: Mark) -> Vec<String> {
        let calls = self.log.since(mark).unwrap();
        calls.iter().map(|call| call.name.clone()).collect()
    }
}

fn calls() -> Calls {
    let scratch = Scratch::new();
    scratch.append(LINES);
    scratch.log.since(Mark::START).unwrap()
}

/// A whole line about the Deployment `name`.
fn line(name: &str) -> String {
    LINES.lines().next().unwrap().replace("checkout", name) + "\n"
}

#[test]
fn a_call_is_read_with_all_its_parts() {
    let calls = calls();
    let patch = calls.iter().find(|call| call.is_effect()).unwrap();
    assert_eq!(patch.user, RUNNER);
    assert_eq!(patch.credential, "JTI=7e01cac9-1946-4379-80d7-4b10843de2c5");
    assert!(
        patch
            .groups
            .contains(&"system:serviceaccounts:shop".to_owned())
    );
    assert_eq!(patch.verb, "patch");
    assert_eq!(
        (
            patch.group.as_str(),
            patch.resource.as_str(),
            patch.subresource.as_str()
        ),
        ("apps", "deployments", "scale")
    );
    assert_eq!(
        (patch.namespace.as_str(), patch.name.as_str()),
        ("shop", "checkout")
    );
    assert_eq!(patch.code, 200);
    assert!(patch.request_uri.ends_with("/deployments/checkout/scale?"));
    assert_eq!(
        patch.request_object,
        Some(serde_json::json!({"spec": {"replicas": 3}}))
    );
    assert!(patch.received > Timestamp::UNIX_EPOCH);
}

#[test]
fn a_call_counts_once_however_many_stages_are_logged() {
    let stages = LINES
        .lines()
        .filter(|line| line.contains("RequestReceived"));
    assert_eq!(stages.count(), 1);
    assert_eq!(calls().len(), LINES.lines().count() - 1);
}

#[test]
fn the_effects_on_a_target_are_the_runners_writes_that_happened() {
    let calls = calls();
    let effects = calls.effects_on(&CHECKOUT);
    assert_eq!(effects.len(), 1);
    assert_eq!(effects[0].user, RUNNER);
    let other = Target {
        namespace: "other",
        ..CHECKOUT
    };
    assert!(calls.effects_on(&other).is_empty());
}

#[test]
fn dry_runs_are_seen_in_the_query_and_in_delete_options() {
    let calls = calls();
    let dry: Vec<_> = calls
        .iter()
        .filter(|call| call.dry_run)
        .map(|call| (call.verb.as_str(), call.succeeded(), call.is_effect()))
        .collect();
    assert_eq!(dry, [("patch", true, false), ("delete", true, false)]);
}

#[test]
fn the_answer_to_a_deletion_names_the_uid() {
    let calls = calls();
    let delete = calls.iter().find(|call| call.verb == "delete").unwrap();
    assert_eq!(delete.object_uid, "7592d60f-5098-4c55-9851-9d0a228f96c4");
}

#[test]
fn a_refusal_by_rbac_is_told_from_one_by_admission() {
    let calls = calls();
    let refused = calls.iter().filter(|call| call.code == 403).count();
    let denials = calls.rbac_denials_of(RUNNER);
    assert_eq!(refused, 2);
    assert_eq!(denials.len(), 1);
    assert_eq!(denials[0].resource, "secrets");
}

#[test]
fn the_writes_of_a_user_are_those_it_tried_and_no_reviews() {
    let calls = calls();
    let writes: Vec<_> = calls
        .writes_by(RUNNER)
        .iter()
        .map(|call| format!("{} {} {}", call.verb, call.resource, call.code))
        .collect();
    assert_eq!(
        writes,
        [
            "patch deployments 200",
            "patch deployments 200",
            "create leases 201",
            "delete configmaps 200",
            "create configmaps 403",
        ]
    );
}

#[test]
fn what_calls_need_is_compared_with_rules_the_claim_apart() {
    let needed = calls().calls_of(RUNNER);
    let rules = [
        ("", "configmaps", "create"),
        ("", "configmaps", "delete"),
        ("", "secrets", "get"),
        ("apps", "deployments", "get"),
        ("apps", "deployments/scale", "patch"),
        ("authorization.k8s.io", "selfsubjectaccessreviews", "create"),
    ];
    assert_eq!(
        needed.rules,
        rules
            .map(|(group, resource, verb)| Rule::new(group, resource, verb))
            .into()
    );
    assert_eq!(
        needed.claim,
        [Rule::new("coordination.k8s.io", "leases", "create")].into()
    );
    assert_eq!(needed.paths, ["/apis/apps/v1".to_owned()].into());
}

#[test]
fn an_impersonated_user_is_the_one_who_calls() {
    let calls = calls();
    let jane = calls.iter().find(|call| call.user == "jane").unwrap();
    assert_eq!(jane.groups, ["developers", "system:authenticated"]);
}

#[test]
fn runners_are_known_by_their_names() {
    assert_eq!(service_account("shop", "kexec-scale-deployment"), RUNNER);
    for name in [
        "kexec-drain-node",
        "configmap-patcher",
        "deployment-restarter",
        "git-operator",
    ] {
        assert!(
            is_runner(&service_account("kubernaut-system", name)),
            "{name}"
        );
    }
    for user in [
        &service_account("kubernaut-system", "kubernaut-executor"),
        "kexec-drain-node",
        "system:node:kexec-node",
    ] {
        assert!(!is_runner(user), "{user}");
    }
}

#[test]
fn a_line_half_written_is_read_once_it_is_whole() {
    let scratch = Scratch::new();
    let second = line("b");
    let (head, tail) = second.split_at(300);
    scratch.append(&(line("a") + head));
    let mut mark = Mark::START;
    assert_eq!(scratch.log.advance(&mut mark).unwrap().len(), 1);
    assert!(scratch.log.advance(&mut mark).unwrap().is_empty());
    scratch.append(tail);
    let calls = scratch.log.advance(&mut mark).unwrap().into_vec();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].name, "b");
    assert_eq!(mark, scratch.log.mark().unwrap());
}

#[test]
fn a_mark_divides_what_was_from_what_comes() {
    let scratch = Scratch::new();
    scratch.append(&line("a"));
    let mark = scratch.log.mark().unwrap();
    scratch.append(&line("b"));
    assert_eq!(scratch.names(mark), ["b"]);
    assert_eq!(scratch.names(Mark::START), ["a", "b"]);
}

#[test]
fn a_mark_in_the_midst_of_a_line_leaves_that_line_to_what_comes() {
    let scratch = Scratch::new();
    let long = line(&"b".repeat(200 * 1024));
    let (head, tail) = long.split_at(100 * 1024);
    scratch.append(&(line("a") + head));
    let mark = scratch.log.mark().unwrap();
    scratch.append(&(tail.to_owned() + &line("c")));
    assert_eq!(scratch.names(mark), ["b".repeat(200 * 1024).as_str(), "c"]);
}

#[test]
fn a_log_that_is_not_there_yet_is_empty() {
    let scratch = Scratch::new();
    let mark = scratch.log.mark().unwrap();
    assert_eq!(mark, Mark::START);
    assert!(scratch.log.since(mark).unwrap().is_empty());
    scratch.append(&line("a"));
    assert_eq!(scratch.names(mark), ["a"]);
}

#[test]
fn a_log_that_shrank_is_an_error() {
    let scratch = Scratch::new();
    scratch.append(&line("a"));
    let mark = scratch.log.mark().unwrap();
    std::fs::write(scratch.log.path(), "").unwrap();
    let error = scratch.log.since(mark).unwrap_err();
    assert!(matches!(error, AuditError::ReadLog { .. }), "{error}");
}

#[test]
fn a_whole_line_that_is_no_event_is_an_error() {
    let scratch = Scratch::new();
    scratch.append("not an event\n");
    let error = scratch.log.since(Mark::START).unwrap_err();
    assert!(
        matches!(&error, AuditError::ParseEvent { line, .. } if line == "not an event"),
        "{error}"
    );
}

#[test]
fn a_body_that_is_nested_too_deeply_is_left_out_and_the_call_is_told() {
    let scratch = Scratch::new();
    let deep = format!(
        "\"requestObject\":{}1{},",
        "{\"a\":".repeat(500),
        "}".repeat(500)
    );
    let event: Value = serde_json::from_str(&line("a")).unwrap();
    let mut event = event.as_object().unwrap().clone();
    event.remove("requestObject");
    let text = Value::from(event)
        .to_string()
        .replacen('{', &format!("{{{deep}"), 1);
    scratch.append(&(text + "\n"));
    let calls = scratch.log.since(Mark::START).unwrap();
    assert_eq!(
        (calls[0].name.as_str(), &calls[0].request_object),
        ("a", &None)
    );
}
