use std::{io::ErrorKind, time::Duration};

use http::StatusCode;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, api::PostParams};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{JOBS, Setup, server::GATED, soon};
use crate::fault_proxy::{Fault, FaultProxy, at_write, lose_answer_of_write};

#[tokio::test]
async fn a_request_passes_with_its_credentials_and_its_answer_comes_back() {
    let setup = Setup::new().await;
    let path = format!("{JOBS}?dryRun=All");
    let (code, body) = setup
        .call("POST", &path, r#"{"metadata":{"name":"a"}}"#)
        .await
        .unwrap();
    assert_eq!(
        (code, body.as_ref()),
        (StatusCode::CREATED, path.as_bytes())
    );
    let received = setup.server.received().remove(0);
    assert_eq!(received.path, path);
    assert_eq!(received.body.as_ref(), br#"{"metadata":{"name":"a"}}"#);
    assert_eq!(
        received.headers["authorization"],
        "Bearer token-of-the-controller"
    );
    assert_eq!(received.headers["accept-encoding"], "gzip");
}

#[tokio::test]
async fn the_log_tells_what_each_request_was_and_what_became_of_it() {
    let setup = Setup::new().await;
    setup.call("GET", &format!("{JOBS}/b"), "").await.unwrap();
    setup.create_job("a").await.unwrap();
    let log = setup.proxy.log();
    let ordinals: Vec<u64> = log.iter().map(|seen| seen.request.ordinal).collect();
    assert_eq!(ordinals, [1, 2]);
    let write = setup.proxy.writes().remove(0);
    assert_eq!(write.request.write, Some(1));
    assert_eq!(write.request.attributes.verb, "create");
    assert_eq!(write.request.attributes.resource, "jobs");
    assert_eq!(write.request.object_name(), "a");
    assert_eq!(write.request.user_agent, "controller");
    assert!(!write.request.dry_run);
    assert_eq!((write.code, write.answered), (Some(201), Some(201)));
    assert_eq!(setup.proxy.writes().len(), 1);
}

#[tokio::test]
async fn reads_and_reviews_get_no_number() {
    let setup = Setup::new().await;
    let review = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    setup.call("GET", JOBS, "").await.unwrap();
    setup.call("POST", review, "{}").await.unwrap();
    setup.create_job("a").await.unwrap();
    setup
        .call("DELETE", &format!("{JOBS}/a"), "")
        .await
        .unwrap();
    let numbers: Vec<_> = setup
        .proxy
        .log()
        .iter()
        .map(|seen| seen.request.write)
        .collect();
    assert_eq!(numbers, [None, None, Some(1), Some(2)]);
}

#[tokio::test]
async fn writes_that_a_test_leaves_out_get_no_number() {
    let setup = Setup::new().await;
    setup
        .proxy
        .number_writes(|request| request.attributes.resource != "leases");
    let lease = "/apis/coordination.k8s.io/v1/namespaces/a/leases/leader";
    setup.call("PUT", lease, "{}").await.unwrap();
    setup.create_job("a").await.unwrap();
    let numbers: Vec<_> = setup
        .proxy
        .writes()
        .iter()
        .map(|seen| seen.request.write)
        .collect();
    assert_eq!(numbers, [None, Some(1)]);
}

#[tokio::test]
async fn a_lost_request_resets_the_client_and_never_reaches_the_server() {
    let setup = Setup::new().await;
    setup.proxy.set_script(at_write(2, Fault::LoseRequest));
    assert_eq!(setup.create_job("a").await, Some(201));
    assert_eq!(setup.create_job("b").await, None);
    assert_eq!(setup.create_job("c").await, Some(201));
    assert_eq!(setup.server.created(), ["a", "c"]);
    let lost = &setup.proxy.writes()[1];
    assert_eq!((lost.code, lost.answered), (None, None));
}

#[tokio::test]
async fn a_client_without_an_answer_sees_a_reset_and_no_orderly_end() {
    let setup = Setup::new().await;
    setup.proxy.set_script(|_| Fault::LoseRequest);
    let mut stream = TcpStream::connect(setup.proxy.address()).await.unwrap();
    let request = "GET /readyz HTTP/1.1\r\nhost: a\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let error = soon(stream.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_lost_answer_resets_the_client_after_the_server_did_it() {
    let setup = Setup::new().await;
    setup.proxy.set_script(lose_answer_of_write(2));
    assert_eq!(setup.create_job("a").await, Some(201));
    assert_eq!(setup.create_job("b").await, None);
    assert_eq!(setup.create_job("c").await, Some(201));
    assert_eq!(setup.server.created(), ["a", "b", "c"]);
    let lost = &setup.proxy.writes()[1];
    assert_eq!((lost.code, lost.answered), (Some(201), None));
}

#[tokio::test]
async fn a_scripted_answer_is_a_status_as_the_server_sends_it_and_asks_no_server() {
    let setup = Setup::new().await;
    for (code, reason) in [
        (409, "Conflict"),
        (410, "Expired"),
        (422, "Invalid"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (503, "ServiceUnavailable"),
        (504, "Timeout"),
    ] {
        let code = StatusCode::from_u16(code).unwrap();
        setup.proxy.set_script(move |_| Fault::answer(code));
        let mut config = kube::Config::new(setup.proxy.url());
        config.default_retry = false;
        let client = kube::Client::try_from(config).unwrap();
        let config_maps: Api<ConfigMap> = Api::namespaced(client, "a");
        let error = soon(config_maps.create(&PostParams::default(), &ConfigMap::default()))
            .await
            .unwrap_err();
        let kube::Error::Api(status) = error else {
            panic!("not an answer: {error}");
        };
        assert_eq!(
            (status.code, status.reason.as_str()),
            (code.as_u16(), reason)
        );
    }
    assert!(setup.server.received().is_empty());
    let seen = &setup.proxy.writes()[0];
    assert_eq!((seen.code, seen.answered), (None, Some(409)));
}

#[tokio::test]
async fn a_hanging_request_is_forwarded_once_it_is_released() {
    let setup = Setup::new().await;
    setup.proxy.set_script(at_write(1, Fault::Hang));
    let hanging = setup.create_job("a");
    let release = async {
        setup
            .proxy
            .wait_for_request(|seen| seen.request.write == Some(1))
            .await;
        assert_eq!(setup.create_job("b").await, Some(201));
        setup.proxy.release();
    };
    let (answer, ()) = soon(futures::future::join(hanging, release)).await;
    assert_eq!(answer, Some(201));
    assert_eq!(setup.server.created(), ["b", "a"]);
}

#[tokio::test]
async fn a_hanging_request_whose_client_has_gone_is_never_forwarded() {
    let setup = Setup::new().await;
    setup.proxy.set_script(at_write(1, Fault::Hang));
    let hanging = tokio::spawn(setup.send("POST", JOBS, "{}"));
    soon(
        setup
            .proxy
            .wait_for_request(|seen| seen.fault == Fault::Hang),
    )
    .await;
    hanging.abort();
    soon(setup.proxy.wait_for_request(|seen| seen.abandoned)).await;
    setup.proxy.release();
    assert_eq!(setup.create_job("b").await, Some(201));
    assert_eq!(setup.server.created(), ["b"]);
}

#[tokio::test]
async fn a_delayed_request_is_forwarded_in_the_end() {
    let setup = Setup::new().await;
    setup
        .proxy
        .set_script(at_write(1, Fault::Delay(Duration::from_millis(1))));
    assert_eq!(setup.create_job("a").await, Some(201));
    assert_eq!(setup.server.created(), ["a"]);
}

#[tokio::test]
async fn a_write_under_way_is_finished_though_its_client_has_gone() {
    let setup = Setup::new().await;
    let call = tokio::spawn(setup.send("POST", GATED, r#"{"metadata":{"name":"a"}}"#));
    setup.server.wait_until_it_received(1).await;
    call.abort();
    soon(setup.proxy.wait_for_request(|seen| seen.abandoned)).await;
    setup.server.open_gate();
    let seen = soon(setup.proxy.wait_for_request(|seen| seen.code.is_some())).await;
    assert_eq!((seen.code, seen.answered), (Some(201), None));
}

#[tokio::test]
async fn a_server_that_is_not_there_resets_the_client_and_is_named_in_the_log() {
    let mut setup = Setup::new().await;
    let free = {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap()
    };
    let nowhere = kube::Config::new(format!("http://{free}").parse().unwrap());
    setup.proxy = FaultProxy::start(nowhere).await.unwrap();
    assert_eq!(setup.create_job("a").await, None);
    let error = setup.proxy.log().remove(0).error.unwrap();
    assert!(error.contains("failed to get an answer"), "{error}");
}
