//! Reloads: all or nothing, by call and by signal.

use signer_crypto::Suite;
use signer_protocol::{OpenVerdict, Rejection};

use crate::making::{NETWORK, Pair, plain_message};
use crate::running::{Running, index, soon, verdict_of};

/// The line of the configuration that the network's SM certificate stands on.
fn without_network_sm(text: &str) -> String {
    let tables: Vec<&str> = text.split("[[peer]]").collect();
    let kept = tables
        .into_iter()
        .filter(|table| !table.contains("4000000101.cert.pem"));
    kept.collect::<Vec<_>>().join("[[peer]]")
}

async fn verdict(running: &Running, by: &Pair) -> Result<(), Rejection> {
    verdict_of(&running.client, plain_message(by)).await
}

#[tokio::test]
async fn a_reload_takes_everything_the_file_now_says() {
    let running = Running::start().await;
    let network = &running.keys.network_sign[index(Suite::Sm)];
    assert_eq!(verdict(&running, network).await, Ok(()));
    let metrics = running.ask("/metrics").await;
    assert!(metrics.contains("serial=\"4000000101\""), "{metrics}");

    running.written.change(|text| without_network_sm(&text));
    let reloaded = running.reloader.reload().await.unwrap();
    assert_eq!((reloaded.generation, reloaded.keys, reloaded.certificates), (2, 6, 6));
    assert_eq!(reloaded.needs_restart, [""; 0]);
    assert_eq!(verdict(&running, network).await, Err(Rejection::SigningSerialUnknown));
    let metrics = running.ask("/metrics").await;
    assert!(
        !metrics.contains("serial=\"4000000101\""),
        "its series went with it: {metrics}"
    );

    running.written.change(|text| {
        let certificate = running.written.directory.path().join("4000000101.cert.pem");
        format!("{text}\n[[peer]]\ninstitution = \"{NETWORK}\"\nuse = \"verify\"\ncertificate = {certificate:?}\n")
    });
    assert_eq!(running.reloader.reload().await.unwrap().generation, 3);
    assert_eq!(verdict(&running, network).await, Ok(()));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_revocation_counts_from_the_reload_on() {
    let running = Running::start().await;
    let network = &running.keys.network_sign[index(Suite::Sm)];
    assert_eq!(verdict(&running, network).await, Ok(()));
    running
        .written
        .change(|text| text.replace("revoked = [", "revoked = [\"4000000101\", "));
    running.reloader.reload().await.unwrap();
    assert_eq!(verdict(&running, network).await, Err(Rejection::CertificateRevoked));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_taken_leaves_everything_as_it_was() {
    let running = Running::start().await;
    let network = &running.keys.network_sign[index(Suite::Sm)];
    let good = std::fs::read_to_string(&running.written.config).unwrap();
    let directory = running.written.directory.path();
    let check = async |text: &str, expected: &str| {
        std::fs::write(&running.written.config, text).unwrap();
        let refused = running.reloader.reload().await.unwrap_err();
        assert!(refused.reason().contains(expected), "{}", refused.reason());
        assert_eq!(verdict(&running, network).await, Ok(()));
    };
    let good_without = without_network_sm(&good);
    check(&format!("{good_without}\n[[["), "the configuration is refused").await;
    check(&format!("workers = 0\n{good_without}"), "workers must lie in 1..=64").await;
    let missing = good_without.replace("4000000102.cert.pem", "nowhere.pem");
    check(&missing, "nowhere.pem cannot be read").await;
    let exchanged = good_without.replace("4000000113.key.pem", "4000000111.key.pem");
    check(&exchanged, "4000000111.key.pem is not the one of certificate").await;
    std::fs::write(directory.join("empty.pem"), b"").unwrap();
    let empty = good_without.replace("4000000102.cert.pem", "empty.pem");
    check(&empty, "not a certificate in PEM").await;

    let metrics = running.ask("/metrics").await;
    for line in ["signer_reload_total{outcome=\"refused\"} 5", "signer_key_generation 1"] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    std::fs::write(&running.written.config, good).unwrap();
    assert_eq!(running.reloader.reload().await.unwrap().generation, 2);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn settings_that_take_a_restart_are_named() {
    let running = Running::start().await;
    running.written.change(|text| {
        let text = text
            .replace("signer.sock", "another.sock")
            .replace("127.0.0.1:0", "127.0.0.1:1");
        format!("workers = 1\nqueue_max = 7\nqueue_bytes_max = 5000000\n{text}")
    });
    assert_eq!(
        running.reloader.reload().await.unwrap().needs_restart,
        [
            "listen",
            "workers",
            "queue_max",
            "queue_bytes_max",
            "operations.address"
        ]
    );
    running.stop().await.unwrap();
}

/// Work that is under way while keys are exchanged, again and again, fails nowhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_under_load_lose_nothing() {
    let running = Running::start().await;
    let network = &running.keys.network_sign[index(Suite::Sm)];
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (client, open) = (running.client.clone(), plain_message(network));
        callers.spawn(async move {
            for _ in 0..200 {
                let verdict = client.open(open.clone(), soon()).await.unwrap();
                assert!(matches!(verdict, OpenVerdict::Opened { .. }), "{verdict:?}");
            }
        });
    }
    for generation in 2..=6 {
        assert_eq!(running.reloader.reload().await.unwrap().generation, generation);
    }
    callers.join_all().await;
    running.stop().await.unwrap();
}
