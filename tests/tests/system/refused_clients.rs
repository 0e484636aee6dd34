//! Who is not the network does not get as far as a request.

use std::fs;
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use system_tests::certificates::Authority;
use system_tests::layout::Layout;

use crate::site::Site;

/// Exit code of curl, and the HTTP status it saw.
fn curl(site: &Site, identity: Option<(&Path, &Path)>) -> (i32, String) {
    let layout = &site.plan().layout;
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code}",
        "--http1.1",
        "--max-time",
        "10",
        "--cacert",
    ]);
    command.arg(layout.tls("ca.cert.pem"));
    if let Some((certificate, key)) = identity {
        command.arg("--cert").arg(certificate).arg("--key").arg(key);
    }
    let output = command.args(["--data", "<root/>", &site.url()]).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

pub(crate) fn without_the_right_certificate(site: &mut Site) {
    let layout = site.plan().layout.clone();
    let foreign = Layout::create(&site.file("foreign")).unwrap();
    let pair = Authority::new(Timestamp::now())
        .unwrap()
        .client("clearing-network")
        .unwrap();
    pair.write(&foreign, "client").unwrap();
    let before = site.positions();
    let files = |layout: &Layout, name: &str| {
        (
            layout.tls(&format!("{name}.cert.pem")),
            layout.tls(&format!("{name}.key.pem")),
        )
    };
    let check = |who: &str, identity: Option<(&Path, &Path)>, let_in: bool| {
        let (code, status) = curl(site, identity);
        if let_in {
            assert_eq!(code, 0, "{who} is let in");
        } else {
            // closed in the handshake, or refused before the body is looked at
            let refused = (code != 0 && status == "000") || status == "403";
            assert!(refused, "{who}: curl {code}, HTTP {status}");
        }
    };
    let (right, stranger, outsider) = (
        files(&layout, "client"),
        files(&layout, "stranger"),
        files(&foreign, "client"),
    );
    check("the network", Some((&right.0, &right.1)), true);
    check("nobody", None, false);
    check(
        "a client of our authority that is not on the list",
        Some((&stranger.0, &stranger.1)),
        false,
    );
    check(
        "a client of another authority with the network's name",
        Some((&outsider.0, &outsider.1)),
        false,
    );
    assert_eq!(site.positions(), before, "nothing was posted");
    fs::remove_dir_all(foreign.root()).unwrap();
}
