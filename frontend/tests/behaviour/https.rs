//! Over a real TLS socket: header rules, statuses, limits, who may connect, keep-alive, HTTP/2, shedding, draining.

use std::time::Duration;

use bytes::Bytes;
use frontend::config::{AdmissionLimits, Connections};
use http_body_util::Full;
use hyper::header::HeaderValue;
use hyper::{Method, Request, Version};
use ledger_model::Decision;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::certificates::{Authority, Identity};
use crate::client::{ALLOWED, ALLOWED_SERIAL, Caller, House, Settings, read, request, resumed};
use crate::messages::{framed, in_one_line, payment, query, refund};
use crate::stand_ins::{StandInBooks, StandInSigner, decided};

const H1: Version = Version::HTTP_11;
const H2: Version = Version::HTTP_2;
const POSTED: &str = "206 12 00000000 00 00000000 202603020000000000000017 by 4000000201";
const DEADLINE: Duration = Duration::from_secs(10);

async fn wait_for(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "the condition did not come true in time");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn messages_on_one_connection_that_is_kept_alive() {
    let house = House::usual().await;
    let mut sender = Caller::network(&house).http1().await;
    for _ in 0..3 {
        let mut request = request(H1, 201, &payment());
        request
            .headers_mut()
            .insert("ReservedField", HeaderValue::from_static("later"));
        request
            .headers_mut()
            .insert("PyerAcctTp", HeaderValue::from_static("00"));
        sender.ready().await.unwrap();
        let (status, headers, body) = read(sender.send_request(request).await.unwrap()).await;
        assert_eq!(status, 200);
        assert_eq!(in_one_line(&body), POSTED);
        assert_eq!(headers["Content-Type"], "application/xml;charset=utf-8");
        assert_eq!(headers["MsgTp"], "epcc.206.001.01");
        assert_eq!(headers["OriIssrId"], "C1030131001234");
        assert_eq!(headers["ReservedField"], "later");
        assert_eq!(headers["PyerAcctTp"], "00");
        assert!(!headers.contains_key("PyeeAcctTp"));
    }
    assert_eq!(house.posted(), 3);
}

#[tokio::test]
async fn many_messages_at_once_over_http_2() {
    let house = House::usual().await;
    let caller = Caller::new(&house, Some(&house.network()), "h2", rustls::ALL_VERSIONS);
    let sender = caller.http2().await;
    let mut answers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let mut sender = sender.clone();
        answers.spawn(async move { read(sender.send_request(request(H2, 201, &payment())).await.unwrap()).await });
    }
    while let Some(answer) = answers.join_next().await {
        let (status, headers, body) = answer.unwrap();
        assert_eq!((status, headers["MsgTp"].to_str().unwrap()), (200, "epcc.206.001.01"));
        assert_eq!(in_one_line(&body), POSTED);
    }
    assert_eq!(house.posted(), 50);
}

#[tokio::test]
async fn both_versions_of_tls_and_resumption() {
    let house = House::usual().await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let caller = Caller::new(&house, Some(&house.network()), "http/1.1", &[version]);
        for again in [false, true] {
            let mut stream = caller.connect().await.unwrap();
            assert_eq!(resumed(&stream), again, "{version:?}");
            // the tickets for it come with the first bytes of an answer
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                .await
                .unwrap();
            let mut heard = String::new();
            stream.read_to_string(&mut heard).await.unwrap();
            assert!(heard.starts_with("HTTP/1.1 404"), "{heard}");
        }
    }
}

#[tokio::test]
async fn what_is_refused_before_a_message_is_read() {
    let house = House::usual().await;
    let caller = Caller::network(&house);
    let mut sender = caller.http1().await;
    let mut check = async |method: Method, path: &str, content_type: Option<&str>, body: Bytes, expected: u16| {
        let mut request = request(H1, 201, "");
        *request.body_mut() = body.into();
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap();
        match content_type {
            Some(text) => drop(
                request
                    .headers_mut()
                    .insert("Content-Type", HeaderValue::from_str(text).unwrap()),
            ),
            None => drop(request.headers_mut().remove("Content-Type")),
        }
        sender.ready().await.unwrap();
        let (status, headers, body) = read(sender.send_request(request).await.unwrap()).await;
        assert_eq!(status, expected);
        assert_eq!(headers["Content-Type"], "text/plain;charset=utf-8");
        assert!(body.ends_with(b"\n") && body.len() < 100, "{body:?}");
        headers
    };
    let xml = Some("application/xml;charset=utf-8");
    let good = || Bytes::from(framed(&payment()));
    let headers = check(Method::GET, "/preSvr", xml, Bytes::new(), 405).await;
    assert_eq!(headers["Allow"], "POST");
    check(Method::PUT, "/preSvr", xml, good(), 405).await;
    check(Method::POST, "/", xml, good(), 404).await;
    check(Method::POST, "/preSvr/", xml, good(), 404).await;
    check(Method::POST, "/preSvr", Some("text/xml"), good(), 415).await;
    check(
        Method::POST,
        "/preSvr",
        Some("application/xml;charset=gbk"),
        good(),
        415,
    )
    .await;
    check(Method::POST, "/preSvr", None, good(), 415).await;
    check(Method::POST, "/preSvr", xml, Bytes::from_static(b"PAY"), 400).await;
    check(Method::POST, "/preSvr", xml, Bytes::new(), 400).await;
    assert_eq!(house.posted(), 0);
}

#[tokio::test]
async fn a_body_is_never_read_beyond_its_limit() {
    let house = House::usual().await;
    let caller = Caller::network(&house);
    let head = "POST /preSvr HTTP/1.1\r\nHost: x\r\nContent-Type: application/xml\r\n";
    let announced = format!("{head}Content-Length: 65537\r\n\r\n");
    assert!(
        caller.say(announced.as_bytes()).await.starts_with("HTTP/1.1 413"),
        "though not a byte of it comes"
    );
    let absurd = format!("{head}Content-Length: 18446744073709551615\r\n\r\n");
    assert!(caller.say(absurd.as_bytes()).await.starts_with("HTTP/1.1 4"));
    let chunked = |bytes: usize| {
        let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
        let rest = bytes - 0x10000;
        let last = if rest > 0 {
            format!("{rest:x}\r\n{}\r\n", "x".repeat(rest))
        } else {
            String::new()
        };
        format!("{head}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{chunk}{last}")
    };
    let too_large = caller.say(chunked(65_537).as_bytes()).await;
    assert!(too_large.starts_with("HTTP/1.1 413"), "{too_large}");
    let just_fits = caller.say(format!("{}0\r\n\r\n", chunked(65_536)).as_bytes()).await;
    assert!(just_fits.starts_with("HTTP/1.1 400"), "{just_fits}");
}

/// A refusal that is sent while the body is still coming must not be overtaken by a reset.
#[tokio::test]
async fn a_refusal_arrives_however_much_was_sent_with_it() {
    let house = House::usual().await;
    for protocol in ["h2", "http/1.1"] {
        for (content_type, expected) in [("application/xml", 413), ("text/plain", 415)] {
            for _ in 0..10 {
                let caller = Caller::new(&house, Some(&house.network()), protocol, rustls::ALL_VERSIONS);
                let request = Request::post("https://front.end/preSvr").header("Content-Type", content_type);
                let request = request.body(Full::new(Bytes::from(vec![b'x'; 300_000]))).unwrap();
                let answer = if protocol == "h2" {
                    caller.http2().await.send_request(request).await
                } else {
                    caller.http1().await.send_request(request).await
                };
                assert_eq!(answer.unwrap().status().as_u16(), expected, "{protocol}");
            }
        }
    }
}

#[tokio::test]
async fn a_body_and_a_head_must_come_in_time_and_a_head_must_be_small() {
    let connections = Connections {
        header_read_ms: 100,
        ..Connections::default()
    };
    let settings = Settings {
        body_read: Duration::from_millis(100),
        connections,
        ..Settings::default()
    };
    let house = House::open(StandInSigner::default(), StandInBooks::default(), settings).await;
    let caller = Caller::network(&house);
    let head = "POST /preSvr HTTP/1.1\r\nHost: x\r\nContent-Type: application/xml\r\n";
    let slow_body = caller
        .say(format!("{head}Content-Length: 10\r\n\r\nabc").as_bytes())
        .await;
    assert!(slow_body.starts_with("HTTP/1.1 408"), "{slow_body}");
    let slow_head = caller.say(head.as_bytes()).await;
    assert!(!slow_head.starts_with("HTTP/1.1 2"), "{slow_head}");
    let large_head = caller
        .say(format!("{head}X: {}\r\n\r\n", "x".repeat(20_000)).as_bytes())
        .await;
    assert!(large_head.starts_with("HTTP/1.1 431"), "{large_head}");
}

#[tokio::test]
async fn who_may_connect() {
    let house = House::usual().await;
    let stranger = Authority::new();
    let check = async |identity: Option<Identity>, expected: bool| {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            for protocol in ["h2", "http/1.1"] {
                let caller = Caller::new(&house, identity.as_ref(), protocol, &[version]);
                let spoke = async {
                    let mut stream = caller.connect().await?;
                    stream
                        .write_all(b"GET /preSvr HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                        .await?;
                    let mut heard = Vec::new();
                    stream.read_to_end(&mut heard).await?;
                    std::io::Result::Ok(heard)
                };
                let answered = spoke.await.is_ok_and(|heard| !heard.is_empty());
                assert_eq!(answered, expected, "{version:?} {protocol}");
            }
        }
    };
    check(Some(house.authority.issue(ALLOWED, 8)), true).await;
    check(Some(house.authority.issue("by serial", ALLOWED_SERIAL)), true).await;
    check(Some(house.authority.issue("somebody else", 9)), false).await;
    check(Some(stranger.issue(ALLOWED, 7)), false).await;
    check(None, false).await;
    assert!(house.metric("frontend_tls_failures_total{cause=\"not_allowed\"} 4"));
    assert!(house.metric("frontend_tls_failures_total{cause=\"handshake\"} 8"));
}

#[tokio::test]
async fn new_debits_are_shed_first_and_unread() {
    let admission = AdmissionLimits {
        in_flight_max: 3,
        transfers_max: 2,
        payments_max: 1,
    };
    let books = StandInBooks {
        slow: true,
        ..StandInBooks::default()
    };
    let house = House::open(
        StandInSigner::default(),
        books,
        Settings {
            admission,
            ..Settings::default()
        },
    )
    .await;
    let caller = Caller::new(&house, Some(&house.network()), "h2", rustls::ALL_VERSIONS);
    let sender = caller.http2().await;
    let send = |number: u16, root: String| {
        let mut sender = sender.clone();
        async move { read(sender.send_request(request(H2, number, &root)).await.unwrap()).await }
    };
    let first = tokio::spawn(send(201, payment()));
    wait_for(|| !house.desk.signer.opened.lock().unwrap().is_empty()).await;
    let (status, headers, _) = send(201, payment()).await;
    assert_eq!((status, headers["Retry-After"].to_str().unwrap()), (503, "1"));
    let (status, _, body) = send(301, query()).await;
    assert_eq!(
        (status, &in_one_line(&body)[..3]),
        (200, "302"),
        "a query still goes through"
    );
    let second = tokio::spawn(send(205, refund()));
    let (status, _, body) = first.await.unwrap();
    assert_eq!(
        (status, in_one_line(&body).as_str()),
        (200, POSTED),
        "what was let in is answered"
    );
    assert_eq!(second.await.unwrap().0, 200, "so does a refund");
    assert!(house.metric("frontend_shed_total{class=\"payment\"} 1"));
}

#[tokio::test]
async fn a_peer_that_hangs_up_leaves_no_payment_half_way() {
    let books = StandInBooks {
        slow: true,
        ..StandInBooks::default()
    };
    let house = House::open(StandInSigner::default(), books, Settings::default()).await;
    let mut sender = Caller::network(&house).http1().await;
    let sending = tokio::spawn(async move { sender.send_request(request(H1, 201, &payment())).await.is_ok() });
    wait_for(|| !house.desk.signer.opened.lock().unwrap().is_empty()).await;
    sending.abort();
    wait_for(|| house.posted() == 1).await;
    wait_for(|| house.metric("frontend_answers_total{message=\"201\",outcome=\"posted\"} 1")).await;
}

#[tokio::test]
async fn at_the_stop_what_was_read_is_answered_and_nothing_new_is_taken() {
    let books = StandInBooks {
        slow: true,
        ..StandInBooks::posting(|asked| decided(asked, Decision::Posted))
    };
    let house = House::open(StandInSigner::default(), books, Settings::default()).await;
    let caller = Caller::network(&house);
    let _idle = caller.http1().await;
    let mut sender = caller.http1().await;
    let answer =
        tokio::spawn(async move { read(sender.send_request(request(H1, 201, &payment())).await.unwrap()).await });
    wait_for(|| !house.desk.signer.opened.lock().unwrap().is_empty()).await;
    house.switch.pull();
    let (status, _, body) = answer.await.unwrap();
    assert_eq!((status, in_one_line(&body).as_str()), (200, POSTED));
    tokio::time::timeout(DEADLINE, house.serving)
        .await
        .expect("the idle connection does not hold it up")
        .unwrap();
    assert!(caller.connect().await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn the_drain_ends_at_its_limit() {
    let books = StandInBooks {
        slow: true,
        ..StandInBooks::default()
    };
    let settings = Settings {
        drain: Duration::from_millis(50),
        ..Settings::default()
    };
    let house = House::open(StandInSigner::default(), books, settings).await;
    let mut sender = Caller::network(&house).http1().await;
    let answer = tokio::spawn(async move { sender.send_request(request(H1, 201, &payment())).await.is_ok() });
    wait_for(|| !house.desk.signer.opened.lock().unwrap().is_empty()).await;
    let pulled = Instant::now();
    house.switch.pull();
    tokio::time::timeout(DEADLINE, house.serving).await.unwrap().unwrap();
    assert!(
        pulled.elapsed() < house.desk.rules.answer_within,
        "sooner than the message would have ended"
    );
    assert!(!answer.await.unwrap(), "cut off, not answered");
}

#[tokio::test]
async fn idle_connections_end() {
    for protocol in ["h2", "http/1.1"] {
        let connections = Connections {
            idle_ms: 50,
            ..Connections::default()
        };
        let settings = Settings {
            connections,
            ..Settings::default()
        };
        let house = House::open(StandInSigner::default(), StandInBooks::default(), settings).await;
        let caller = Caller::new(&house, Some(&house.network()), protocol, rustls::ALL_VERSIONS);
        if protocol == "h2" {
            let sender = caller.http2().await;
            wait_for(|| sender.is_closed()).await;
        } else {
            let sender = caller.http1().await;
            wait_for(|| sender.is_closed()).await;
        }
    }
}
