//! Keys and certificates changed without a day on which everybody changes, as the README has it step by step.

use std::time::Duration;

use signer_crypto::{FieldKind as Kind, Suite, TokenKey};
use signer_protocol::{FieldKind, OpenVerdict, Rejection, SignerClient, Tokens};

use crate::issuing::{Authority, Particulars};
use crate::making::{NETWORK, Pair, message, plain_message, write_secret};
use crate::running::{Keys, Running, TOKEN_KEY_HEX, contract_suite, index, soon, token_key, verdict_of};

const OLD_SIGNING: &str = "4000000111";
const NEW_SIGNING: &str = "6001";
const NEW_DECRYPTING: &str = "6002";
const SIGNED: &[u8] = b"<root>an answer</root>";

/// A new certificate over a key that the signer does not have yet.
fn renewed(pair: &Pair, serial: &str, begins_in: i64) -> Pair {
    let authority = Authority {
        name: "an authority",
        pair: &Keys::of_all_tests().network_decrypt[index(Suite::Rsa)],
    };
    authority.certify(
        pair,
        Particulars {
            serial,
            subject: "the bank",
            begins_in,
            ends_in: 3600,
        },
    )
}

fn add_key(running: &Running, usage: &str, pair: &Pair) {
    let serial = pair.certificate.serial();
    pair.write(running.written.directory.path(), serial);
    running.written.change(|text| {
        format!(
            "{text}\n[[key]]\nuse = \"{usage}\"\ncertificate = \"{serial}.cert.pem\"\n\
             private_key = \"{serial}.key.pem\"\npassphrase_file = \"passphrase\"\n"
        )
    });
}

/// Takes the table of a certificate out of the configuration.
fn drop_table(running: &Running, serial: &str) {
    let file = format!("{serial}.cert.pem");
    running.written.change(|text| {
        let text = text.replace("\n[[", "\n\u{0}[[");
        text.split('\u{0}').filter(|table| !table.contains(&file)).collect()
    });
}

async fn reload(running: &Running) {
    running.reloader.reload().await.unwrap();
}

async fn signs_with(client: &SignerClient, pairs: &[&Pair]) -> String {
    let signature = client
        .sign(contract_suite(Suite::Sm), SIGNED.to_vec(), soon())
        .await
        .unwrap();
    let by = pairs
        .iter()
        .find(|pair| pair.certificate.serial() == signature.serial)
        .unwrap();
    assert_eq!(
        by.certificate.verify(SIGNED, &signature.bytes),
        Ok(()),
        "by the key that is named"
    );
    signature.serial
}

/// README, "A signing key".
#[tokio::test]
async fn a_signing_key_is_changed() {
    let running = Running::start().await;
    let old = &running.keys.bank_sign[index(Suite::Sm)];
    let new = renewed(&running.keys.institution_sign, NEW_SIGNING, 3);
    let signing = async || signs_with(&running.client, &[old, &new]).await;
    assert_eq!(signing().await, OLD_SIGNING);

    add_key(&running, "sign", &new);
    reload(&running).await;
    assert_eq!(signing().await, OLD_SIGNING, "the new key is not valid yet");
    let until = soon();
    while signing().await != NEW_SIGNING {
        assert!(soon() < until + Duration::from_secs(20), "the new key never signs");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let serial = running.client.signing_serial(contract_suite(Suite::Sm), soon()).await;
    assert_eq!(serial.as_deref(), Ok(NEW_SIGNING));

    drop_table(&running, OLD_SIGNING);
    reload(&running).await;
    assert_eq!(signing().await, NEW_SIGNING);
    assert!(running.ask("/health/ready").await.contains("200 OK"));
    running.stop().await.unwrap();
}

/// README, "A decryption key".
#[tokio::test]
async fn a_decryption_key_is_changed() {
    let running = Running::start().await;
    let network = &running.keys.network_sign[index(Suite::Sm)];
    let old = &running.keys.bank_decrypt[index(Suite::Sm)];
    let new = renewed(&running.keys.institution_sign, NEW_DECRYPTING, -60);
    let fields = [(FieldKind::Name, "张三")];
    let opens = async |receiver: &Pair| verdict_of(&running.client, message(network, receiver, &fields)).await;
    let unknown = Err(Rejection::EncryptionSerialUnknown);
    assert_eq!((opens(old).await, opens(&new).await), (Ok(()), unknown));

    add_key(&running, "decrypt", &new);
    reload(&running).await;
    assert_eq!((opens(old).await, opens(&new).await), (Ok(()), Ok(())));

    drop_table(&running, old.certificate.serial());
    reload(&running).await;
    assert_eq!((opens(old).await, opens(&new).await), (unknown, Ok(())));
    running.stop().await.unwrap();
}

/// README, "A certificate of a peer".
#[tokio::test]
async fn a_certificate_of_a_peer_is_changed() {
    let running = Running::start().await;
    let old = &running.keys.network_sign[index(Suite::Sm)];
    let new = renewed(&running.keys.network_revoked, "6003", -60);
    let taken = async |by: &Pair| verdict_of(&running.client, plain_message(by)).await;
    let unknown = Err(Rejection::SigningSerialUnknown);
    assert_eq!((taken(old).await, taken(&new).await), (Ok(()), unknown));

    new.write(running.written.directory.path(), "6003");
    running.written.change(|text| {
        format!("{text}\n[[peer]]\ninstitution = \"{NETWORK}\"\nuse = \"verify\"\ncertificate = \"6003.cert.pem\"\n")
    });
    reload(&running).await;
    assert_eq!((taken(old).await, taken(&new).await), (Ok(()), Ok(())));

    drop_table(&running, old.certificate.serial());
    reload(&running).await;
    assert_eq!((taken(old).await, taken(&new).await), (unknown, Ok(())));
    running.stop().await.unwrap();
}

/// README, "The token key".
#[tokio::test]
async fn the_token_key_is_changed() {
    let running = Running::start().await;
    let network = &running.keys.network_sign[index(Suite::Sm)];
    let receiver = &running.keys.bank_decrypt[index(Suite::Sm)];
    let second = TOKEN_KEY_HEX.replace("00", "ff");
    let token = |key: &TokenKey| vec![key.token(Kind::AccountNumber, b"6222021234567890123")];
    let (first_token, second_token) = (token(&token_key()), token(&TokenKey::from_hex(&second).unwrap()));
    let tokens = |tokens: &[[u8; 32]], other: &[[u8; 32]]| Tokens {
        tokens: tokens.to_vec(),
        other_generation: other.to_vec(),
    };
    let check = async |expected: Tokens| {
        let fields = [(FieldKind::AccountNumber, "6222021234567890123")];
        let opened = running
            .client
            .open(message(network, receiver, &fields), soon())
            .await
            .unwrap();
        let OpenVerdict::Opened { tokens, .. } = opened else {
            panic!("{opened:?}");
        };
        assert_eq!(tokens, expected);
        let plaintexts = vec!["6222021234567890123".to_owned()];
        let issued = running
            .client
            .tokenise(FieldKind::AccountNumber, plaintexts, soon())
            .await;
        assert_eq!(issued, Ok(expected.tokens));
    };
    check(tokens(&first_token, &[])).await;

    write_secret(&running.written.directory.path().join("second"), second.as_bytes());
    running.written.change(|text| {
        let text = text.replace("[tokens]\n", "[tokens]\nissue = 1\n");
        format!("{text}\n[[token_key]]\ngeneration = 2\nkey_file = \"second\"\n")
    });
    reload(&running).await;
    check(tokens(&first_token, &second_token)).await;

    running
        .written
        .change(|text| text.replace("issue = 1\n", "issue = 2\n"));
    assert_eq!(running.reloader.reload().await.unwrap().token_generation, 2);
    check(tokens(&second_token, &first_token)).await;

    running
        .written
        .change(|text| text.replace("key_file = \"token-key\"\n", ""));
    reload(&running).await;
    check(tokens(&second_token, &[])).await;

    running
        .written
        .change(|text| text.replace("issue = 2\n", "issue = 2\nkey_file = \"second\"\n"));
    let refused = running.reloader.reload().await.unwrap_err().reason();
    assert!(
        refused.contains("both generations of the token key are the same key"),
        "{refused}"
    );
    running.stop().await.unwrap();
}
