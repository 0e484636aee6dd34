//! How the Postgres store proves who it speaks to and who it is: TLS, a password.

use std::net::TcpListener;
use std::sync::Arc;

use ledger::store::StoreFault;
use ledger::store::postgres::{Host, Password};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::bank::SHARDS;
use crate::postgres::Group;
use crate::server::{FLEETING, Server, USER, Wanted};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Takes passwords, and only over TLS.
fn guarded(server: &Server, authority: &Authority) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    server.keep("server.crt", &certificate.pem());
    server.keep("server.key", &key.serialize_pem());
    server.keep(
        "pg_hba.conf",
        "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n",
    );
    server.sql("postgres", &format!("ALTER ROLE {USER} PASSWORD 'right'"));
    server.sql("postgres", "ALTER SYSTEM SET ssl = on");
    server.sql("postgres", "SELECT pg_reload_conf()");
    while server.sql("postgres", "SHOW ssl") != "on" {
        std::thread::yield_now();
    }
}

#[test]
fn speaks_tls_to_servers_it_can_trust_and_says_who_it_is() {
    // free now; whoever takes it before the server does makes the test fail, not pass
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Server::start(Wanted {
        settings: &FLEETING,
        under: "/tmp",
        tcp_port: Some(port),
    });
    let (ours, other) = (authority(), authority());
    guarded(&server, &ours);
    let mut group = Group::on(Arc::new(server));
    group.settings.hosts = vec![Host {
        name: "localhost".to_owned(),
        port,
    }];
    let shard = SHARDS.shard(0).unwrap();
    let mut check = |authority: Option<&Authority>, password: &str, expected: bool| {
        group.settings.tls_authorities = authority.map(|authority| authority.pem().into_bytes());
        group.settings.password = Some(Password::new(password.to_owned()));
        let opened = group.opened(SHARDS, shard);
        match (&opened, expected) {
            (Ok(_), true) => {
                let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE application_name = 'ledger' AND ssl";
                assert_eq!(group.sql(encrypted), "1");
            }
            (Err(StoreFault::Unreachable(_)), false) => {}
            (opened, _) => panic!("{password}: {opened:?}"),
        }
    };
    check(Some(&ours), "right", true);
    check(Some(&ours), "wrong", false);
    check(Some(&other), "right", false);
    check(None, "right", false);
}
