//! Revocation lists of issuers: what they revoke, and which are refused.

use std::fs;

use signer_crypto::Suite;
use signer_protocol::Rejection;

use crate::issuing::{Authority, Particulars, Revoked, pem};
use crate::making::{NETWORK, Pair, plain_message};
use crate::running::{Keys, Running, Written, index, verdict_of};

const SERIAL: &str = "5101";
const REVOKED: Revoked<'_> = Revoked {
    serials: &["0400", SERIAL],
    next_update_in: 3600,
    delta: false,
};

fn authority(keys: &Keys, suite: Suite) -> Authority<'_> {
    Authority {
        name: "an authority",
        pair: &keys.network_decrypt[index(suite)],
    }
}

/// The institution's key under a certificate of the authority's.
fn certified(authority: &Authority<'_>, serial: &str) -> Pair {
    let particulars = Particulars {
        serial,
        subject: "the network",
        begins_in: -3600,
        ends_in: 3600,
    };
    authority.certify(&Keys::of_all_tests().institution_sign, particulars)
}

/// A configuration with one more peer and a list; the files are yet to be written.
fn written_with(peer: &Pair) -> Written {
    let written = Written::new("");
    peer.write(written.directory.path(), "certified");
    written.change(|text| {
        format!(
            "{text}\n[[peer]]\ninstitution = \"{NETWORK}\"\nuse = \"verify\"\ncertificate = \"certified.cert.pem\"\n\
             [[revocation_list]]\nfile = \"revoked.crl\"\nissuer_certificate = \"authority.cert.pem\"\n"
        )
    });
    written
}

#[tokio::test]
async fn a_list_revokes_what_its_issuer_issued_and_nothing_else() {
    let keys = Keys::of_all_tests();
    for suite in Suite::ALL {
        let authority = authority(keys, suite);
        let another = Authority {
            name: "another authority",
            ..authority
        };
        let check = async |issued: &Pair, list: Vec<u8>, expected: Result<(), Rejection>| {
            let written = written_with(issued);
            authority.own().write(written.directory.path(), "authority");
            fs::write(written.directory.path().join("revoked.crl"), list).unwrap();
            let running = Running::start_from(written).await;
            assert_eq!(verdict_of(&running.client, plain_message(issued)).await, expected);
            running.stop().await.unwrap();
        };
        let list = || authority.list(REVOKED);
        let revoked = Err(Rejection::CertificateRevoked);
        check(&certified(&authority, SERIAL), list(), revoked).await;
        check(&certified(&authority, SERIAL), pem("X509 CRL", &list()), revoked).await;
        check(&certified(&authority, "5102"), list(), Ok(())).await;
        check(&certified(&another, SERIAL), list(), Ok(())).await;
    }
}

#[tokio::test]
async fn a_list_that_is_out_of_date_is_applied_and_shown() {
    let authority = authority(Keys::of_all_tests(), Suite::Sm);
    let issued = certified(&authority, SERIAL);
    let written = written_with(&issued);
    authority.own().write(written.directory.path(), "authority");
    let outdated = Revoked {
        next_update_in: -30,
        ..REVOKED
    };
    let list = written.directory.path().join("revoked.crl");
    fs::write(&list, authority.list(outdated)).unwrap();
    let running = Running::start_from(written).await;
    let verdict = verdict_of(&running.client, plain_message(&issued)).await;
    assert_eq!(verdict, Err(Rejection::CertificateRevoked));
    let line = format!("signer_revocation_list_seconds_left{{file=\"{}\"}} -3", list.display());
    let metrics = running.ask("/metrics").await;
    assert!(metrics.contains(&line), "{line}\n{metrics}");
    assert!(running.ask("/health/ready").await.contains("200 OK"));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn lists_that_are_refused() {
    let keys = Keys::of_all_tests();
    let authority = authority(keys, Suite::Sm);
    let issued = certified(&authority, SERIAL);
    let written = written_with(&issued);
    let directory = written.directory.path().to_owned();
    authority.own().write(&directory, "authority");
    let file = directory.join("revoked.crl");
    fs::write(&file, authority.list(REVOKED)).unwrap();
    let running = Running::start_from(written).await;
    let check = async |list: Vec<u8>, expected: &str| {
        fs::write(&file, list).unwrap();
        let reason = running
            .reloader
            .reload()
            .await
            .map_or_else(|fault| fault.reason(), |_| "taken".to_owned());
        assert!(reason.contains(expected), "{reason}");
        let verdict = verdict_of(&running.client, plain_message(&issued)).await;
        assert_eq!(
            verdict,
            Err(Rejection::CertificateRevoked),
            "the list before still counts"
        );
    };
    let good = authority.list(REVOKED);
    check(Vec::new(), "not an X.509 revocation list").await;
    check(pem("CERTIFICATE", &good), "not an X.509 revocation list").await;
    check([&*good, &[0]].concat(), "not an X.509 revocation list").await;
    check(vec![0; (16 << 20) + 1], "is larger than 16777216 bytes").await;
    let mut altered = good.clone();
    let serial = altered.windows(2).position(|pair| pair == [0x51, 0x01]).unwrap();
    altered[serial + 1] = 2;
    check(altered, "its signature does not hold").await;
    let another_name = Authority {
        name: "another authority",
        ..authority
    };
    check(another_name.list(REVOKED), "not the issuer's").await;
    let another_key = Authority {
        pair: &keys.institution_sign,
        ..authority
    };
    check(another_key.list(REVOKED), "its signature does not hold").await;
    let another_suite = Authority {
        pair: &keys.network_decrypt[index(Suite::Rsa)],
        ..authority
    };
    check(
        another_suite.list(REVOKED),
        "not signed with SHA-256 and RSA, or SM3 and SM2",
    )
    .await;
    check(authority.list(Revoked { delta: true, ..REVOKED }), "critical extension").await;
    check(good, "taken").await;
    running.stop().await.unwrap();
}
