use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};

use super::{JOBS, Setup, soon};
use crate::fault_proxy::{WatchEvent, WatchFault};

fn event(event_type: &str, name: &str) -> String {
    format!(
        r#"{{"type":"{event_type}","object":{{"metadata":{{"name":"{name}","namespace":"a","resourceVersion":"7"}}}}}}"#
    ) + "\n"
}

async fn open(setup: &Setup) -> Incoming {
    let answer = soon(setup.send("GET", &format!("{JOBS}?watch=true"), ""))
        .await
        .unwrap();
    answer.into_body()
}

/// All that is left of the watch once the server has ended it.
async fn rest(watch: Incoming) -> String {
    let bytes = soon(watch.collect()).await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn next(watch: &mut Incoming) -> Bytes {
    let frame = soon(watch.frame()).await.unwrap().unwrap();
    frame.into_data().unwrap()
}

#[tokio::test]
async fn events_pass_as_they_are_with_what_is_no_event() {
    let setup = Setup::new().await;
    let text = event("ADDED", "a") + "no event\n" + &event("DELETED", "a") + "half a li";
    setup.server.send(&text);
    setup.server.end_watch();
    assert_eq!(rest(open(&setup).await).await, text);
}

#[tokio::test]
async fn events_are_dropped_and_duplicated_by_resource_type_and_name() {
    let setup = Setup::new().await;
    setup.proxy.set_watch_script(|event: &WatchEvent| {
        match (
            event.resource.as_str(),
            event.event_type.as_str(),
            event.name.as_str(),
        ) {
            ("jobs", "MODIFIED", "a") => WatchFault::Drop,
            ("jobs", "ADDED", "b") => WatchFault::Duplicate,
            ("pods", _, _) => panic!("nobody watches pods"),
            _ => WatchFault::Pass,
        }
    });
    for (event_type, name) in [("ADDED", "a"), ("MODIFIED", "a"), ("ADDED", "b")] {
        setup.server.send(&event(event_type, name));
    }
    setup.server.end_watch();
    let expected = event("ADDED", "a") + &event("ADDED", "b") + &event("ADDED", "b");
    assert_eq!(rest(open(&setup).await).await, expected);
    let log = setup.proxy.watch_log();
    assert_eq!(log.len(), 3);
    assert_eq!(log[1].fault, WatchFault::Drop);
    assert_eq!(log[1].event.namespace, "a");
    assert_eq!(log[1].event.resource_version, "7");
}

#[tokio::test]
async fn a_watch_is_reset_in_place_of_an_event_that_is_cut() {
    let setup = Setup::new().await;
    setup
        .proxy
        .set_watch_script(|event| match event.name.as_str() {
            "b" => WatchFault::Cut,
            _ => WatchFault::Pass,
        });
    let mut watch = open(&setup).await;
    for name in ["a", "b", "c"] {
        setup.server.send(&event("ADDED", name));
    }
    assert_eq!(next(&mut watch).await, event("ADDED", "a"));
    assert!(soon(watch.frame()).await.unwrap().is_err());
}

#[tokio::test]
async fn an_event_cut_into_pieces_is_judged_whole() {
    let setup = Setup::new().await;
    setup.proxy.set_watch_script(|_| WatchFault::Duplicate);
    let line = event("ADDED", "a");
    let (head, tail) = line.split_at(20);
    setup.server.send(head);
    setup.server.send(tail);
    setup.server.end_watch();
    assert_eq!(rest(open(&setup).await).await, line.repeat(2));
}

#[tokio::test]
async fn a_held_event_and_those_behind_it_wait_for_the_release() {
    let setup = Setup::new().await;
    setup
        .proxy
        .set_watch_script(|event| match event.name.as_str() {
            "b" => WatchFault::Hold,
            _ => WatchFault::Pass,
        });
    let mut watch = open(&setup).await;
    for name in ["a", "b", "c"] {
        setup.server.send(&event("ADDED", name));
    }
    setup.server.end_watch();
    assert_eq!(next(&mut watch).await, event("ADDED", "a"));
    let held = async {
        soon(
            setup
                .proxy
                .wait_for_event(|seen| seen.fault == WatchFault::Hold),
        )
        .await;
        assert!(
            setup
                .proxy
                .watch_log()
                .iter()
                .all(|seen| seen.event.name != "c")
        );
        setup.proxy.release();
    };
    let (text, ()) = futures::future::join(rest(watch), held).await;
    assert_eq!(text, event("ADDED", "b") + &event("ADDED", "c"));
}

#[tokio::test]
async fn a_delayed_event_arrives_in_its_place() {
    let setup = Setup::new().await;
    setup
        .proxy
        .set_watch_script(|event| match event.name.as_str() {
            "a" => WatchFault::Delay(Duration::from_millis(1)),
            _ => WatchFault::Pass,
        });
    let text = event("ADDED", "a") + &event("ADDED", "b");
    setup.server.send(&text);
    setup.server.end_watch();
    assert_eq!(rest(open(&setup).await).await, text);
}

#[tokio::test]
async fn a_watch_asks_for_no_compression() {
    let setup = Setup::new().await;
    setup.server.end_watch();
    rest(open(&setup).await).await;
    let received = setup.server.received().remove(0);
    assert_eq!(received.headers.get("accept-encoding"), None);
}
