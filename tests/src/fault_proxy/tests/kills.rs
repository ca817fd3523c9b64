use futures::future::join_all;
use http_body_util::BodyExt;

use super::{JOBS, Setup, server::GATED, soon};
use crate::fault_proxy::{Fault, at_write, kill_after_write, kill_before_write};

#[tokio::test]
async fn killed_before_a_write_neither_it_nor_anything_later_reaches_the_server() {
    let setup = Setup::new().await;
    setup.proxy.set_script(kill_before_write(2));
    assert_eq!(setup.create_job("a").await, Some(201));
    assert_eq!(setup.create_job("b").await, None);
    soon(setup.proxy.killed()).await;
    assert_eq!(setup.create_job("c").await, None);
    assert_eq!(setup.call("GET", JOBS, "").await, None);
    assert_eq!(setup.server.created(), ["a"]);
    assert_eq!(setup.server.received().len(), 1);
    assert_eq!(setup.proxy.log().len(), 2);
}

#[tokio::test]
async fn killed_after_a_write_it_is_done_and_its_answer_never_delivered() {
    let setup = Setup::new().await;
    setup.proxy.set_script(kill_after_write(1));
    assert_eq!(setup.create_job("a").await, None);
    soon(setup.proxy.killed()).await;
    assert_eq!(setup.create_job("b").await, None);
    assert_eq!(setup.server.created(), ["a"]);
    let seen = setup.proxy.writes().remove(0);
    assert_eq!((seen.code, seen.answered), (Some(201), None));
}

#[tokio::test]
async fn killed_after_delivery_the_answer_arrives_and_nothing_later_gets_through() {
    let setup = Setup::new().await;
    setup
        .proxy
        .set_script(at_write(1, Fault::KillAfterDelivery));
    assert_eq!(setup.create_job("a").await, Some(201));
    assert_eq!(setup.create_job("b").await, None);
    soon(setup.proxy.killed()).await;
    assert_eq!(setup.create_job("c").await, None);
    assert_eq!(setup.server.created(), ["a"]);
}

#[tokio::test]
async fn killed_after_delivery_to_a_client_that_has_gone_is_killed_all_the_same() {
    let setup = Setup::new().await;
    setup
        .proxy
        .set_script(at_write(1, Fault::KillAfterDelivery));
    let call = tokio::spawn(setup.send("POST", GATED, r#"{"metadata":{"name":"a"}}"#));
    setup.server.wait_until_it_received(1).await;
    call.abort();
    soon(setup.proxy.killed()).await;
    setup.server.open_gate();
    soon(setup.proxy.revive()).await;
    assert_eq!(setup.proxy.log()[0].code, Some(201));
}

#[tokio::test]
async fn the_next_controller_gets_through_and_the_numbers_go_on() {
    let setup = Setup::new().await;
    setup.proxy.set_script(kill_before_write(1));
    assert_eq!(setup.create_job("a").await, None);
    soon(setup.proxy.killed()).await;
    soon(setup.proxy.revive()).await;
    assert_eq!(
        futures::poll!(std::pin::pin!(setup.proxy.killed())),
        std::task::Poll::Pending
    );
    assert_eq!(setup.create_job("a").await, Some(201));
    let seen = setup.proxy.writes().remove(1);
    assert_eq!((seen.request.write, seen.request.generation), (Some(2), 1));
}

#[tokio::test]
async fn of_writes_at_once_exactly_those_before_the_kill_reach_the_server() {
    let setup = Setup::new().await;
    setup.proxy.set_script(kill_before_write(5));
    let names: Vec<String> = (0..20).map(|number| format!("job-{number}")).collect();
    join_all(names.iter().map(|name| setup.create_job(name))).await;
    soon(setup.proxy.killed()).await;
    soon(setup.proxy.revive()).await;
    let let_through: Vec<String> = setup
        .proxy
        .writes()
        .iter()
        .filter(|seen| seen.fault == Fault::Pass)
        .map(|seen| seen.request.object_name())
        .collect();
    let mut created = setup.server.created();
    created.sort();
    let mut expected = let_through.clone();
    expected.sort();
    assert_eq!(let_through.len(), 4);
    assert_eq!(created, expected);
}

#[tokio::test]
async fn the_next_controller_waits_for_the_writes_of_the_dead_one() {
    let setup = Setup::new().await;
    let call = tokio::spawn(setup.send("POST", GATED, r#"{"metadata":{"name":"a"}}"#));
    setup.server.wait_until_it_received(1).await;
    setup.proxy.kill();
    assert!(soon(call).await.unwrap().is_err());
    let mut revival = std::pin::pin!(setup.proxy.revive());
    assert!(futures::poll!(revival.as_mut()).is_pending());
    setup.server.open_gate();
    soon(revival).await;
    assert_eq!(setup.proxy.log()[0].code, Some(201));
}

#[tokio::test]
async fn a_held_back_request_of_a_dead_controller_is_never_forwarded() {
    let setup = Setup::new().await;
    setup.proxy.set_script(at_write(1, Fault::Hang));
    let hanging = tokio::spawn(setup.send("POST", JOBS, "{}"));
    soon(
        setup
            .proxy
            .wait_for_request(|seen| seen.fault == Fault::Hang),
    )
    .await;
    setup.proxy.kill();
    assert!(soon(hanging).await.unwrap().is_err());
    soon(setup.proxy.revive()).await;
    setup.proxy.release();
    assert_eq!(setup.create_job("b").await, Some(201));
    assert_eq!(setup.server.created(), ["b"]);
}

#[tokio::test]
async fn a_kill_breaks_open_watches() {
    let setup = Setup::new().await;
    let watch = soon(setup.send("GET", &format!("{JOBS}?watch=true"), ""))
        .await
        .unwrap();
    setup.proxy.kill();
    assert!(soon(watch.into_body().collect()).await.is_err());
}

#[tokio::test]
async fn reviving_a_controller_that_lives_changes_nothing() {
    let setup = Setup::new().await;
    soon(setup.proxy.revive()).await;
    setup.create_job("a").await.unwrap();
    assert_eq!(setup.proxy.log()[0].request.generation, 0);
}

#[tokio::test]
async fn a_dropped_proxy_breaks_its_connections() {
    let setup = Setup::new().await;
    let watch = soon(setup.send("GET", &format!("{JOBS}?watch=true"), ""))
        .await
        .unwrap();
    drop(setup.proxy);
    assert!(soon(watch.into_body().collect()).await.is_err());
}
