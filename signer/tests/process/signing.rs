//! Signing, tokens, health, metrics.

use signer_crypto::{FieldKind as Kind, Suite};
use signer_protocol::FieldKind;

use crate::making::{NETWORK, message, plain_message};
use crate::running::{Running, contract_suite, index, operations, soon, token_key};

#[tokio::test]
async fn the_current_key_of_the_suite_signs() {
    let running = Running::start().await;
    for suite in Suite::ALL {
        let certificate = &running.keys.bank_sign[index(suite)].certificate;
        let serial = running
            .client
            .signing_serial(contract_suite(suite), soon())
            .await
            .unwrap();
        assert_eq!(serial, certificate.serial());
        let signed = b"<root>an answer</root>".to_vec();
        let signature = running
            .client
            .sign(contract_suite(suite), signed.clone(), soon())
            .await
            .unwrap();
        assert_eq!(signature.serial, certificate.serial());
        assert_eq!(certificate.verify(&signed, &signature.bytes), Ok(()));
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn tokens_however_many() {
    let running = Running::start().await;
    for count in [0usize, 1, 4096, 4097] {
        let plaintexts: Vec<String> = (0..count).map(|number| format!("62220212{number:08}")).collect();
        let expected: Vec<_> = plaintexts
            .iter()
            .map(|text| token_key().token(Kind::AccountNumber, text.as_bytes()))
            .collect();
        let tokens = running
            .client
            .tokenise(FieldKind::AccountNumber, plaintexts, soon())
            .await
            .unwrap();
        assert_eq!(tokens, expected);
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn health_uses_every_current_key() {
    let running = Running::start().await;
    let health = running.client.health(soon()).await.unwrap();
    let seen: Vec<_> = health
        .iter()
        .map(|key| (key.usage.as_str(), key.serial.as_str(), key.works))
        .collect();
    let expected = [
        ("sign", "4000000111", true),
        ("sign", "4000000112", true),
        ("decrypt", "4000000113", true),
        ("decrypt", "4000000114", true),
    ];
    assert_eq!(seen, expected);
    assert!(health.iter().all(|key| key.provider == "software"));
    assert_eq!(health[0].not_after, "2045-01-01T00:00:00Z");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn the_operations_port_shows_what_was_done() {
    let running = Running::start().await;
    let keys = running.keys;
    let fields = [(FieldKind::Mobile, "13800138000")];
    let sm = index(Suite::Sm);
    running
        .client
        .open(message(&keys.network_sign[sm], &keys.bank_decrypt[sm], &fields), soon())
        .await
        .unwrap();
    running
        .client
        .open(plain_message(&keys.network_revoked), soon())
        .await
        .unwrap();
    let mut strange = plain_message(&keys.network_sign[sm]);
    "<a stranger's text>".clone_into(&mut strange.signing_serial);
    running.client.open(strange, soon()).await.unwrap();
    let metrics = running.ask("/metrics").await;
    assert!(!metrics.contains("stranger"), "{metrics}");
    for line in [
        &operations(("open", "4000000101", NETWORK, "done"), 1),
        &operations(("open", "4000000106", NETWORK, "certificate_revoked"), 1),
        &operations(("open", "unknown", "unknown", "signing_serial_unknown"), 1),
        "signer_operation_seconds_count{operation=\"open\"} 3",
        "signer_batch_items_count{operation=\"open\"}",
        "signer_queue_seconds_count",
        "signer_key_generation 1",
        "signer_key_days_left{serial=\"4000000111\",institution=\"own\",usage=\"sign\"}",
        "signer_queue_bytes 0",
        "signer_busy_total 0",
        "signer_queue_depth 0",
        "signer_expired_total 0",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    assert!(running.ask("/health/ready").await.contains("200 OK"));
    running.stop().await.unwrap();
}
