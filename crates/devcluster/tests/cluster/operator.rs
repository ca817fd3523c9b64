//! The operator as a process beside the cluster.

use std::{collections::BTreeMap, fs, time::Duration};

use kexec_devcluster::{
    cli::instance::lives,
    operator::{Operator, OperatorOptions},
};
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Space, cluster, stand_in, until};

#[tokio::test]
async fn an_operator_is_its_service_account_and_is_started_again_when_it_dies() {
    let plane = &cluster().await.plane;
    let space = Space::new("operator").await;
    let who = plane.folder().join("who");
    let kubectl = plane.kubectl();
    let script = format!(
        "#!/bin/sh\nHOME=/nonexistent {} auth whoami -o 'jsonpath={{.status.userInfo.username}}' > {}\n\
         while :; do sleep 0.05; done\n",
        kubectl.get_program().display(),
        who.display()
    );
    let options = OperatorOptions {
        binary: stand_in(plane.folder(), "operator.sh", &script),
        arguments: Vec::new(),
        environment: BTreeMap::new(),
        namespace: space.name.clone(),
        service_account: "default".to_owned(),
    };
    let operator = Operator::start(plane, options).await.unwrap();
    let is_known = || async {
        fs::read_to_string(&who).is_ok_and(|who| who == "system:serviceaccount:operator:default")
    };
    until("the operator's name", is_known).await;
    let first = operator.pid();
    kill_process(
        Pid::from_raw(first.try_into().unwrap()).unwrap(),
        Signal::KILL,
    )
    .unwrap();
    until("another operator", || async { operator.pid() != first }).await;
    let second = operator.pid();
    operator.stop(Duration::from_secs(10)).await;
    assert!(!lives(first) && !lives(second));
}
