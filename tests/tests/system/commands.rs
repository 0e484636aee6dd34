//! The `installation` program as a tester uses it, each time in a directory and on ports of its own.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use operations::exit;
use system_tests::ports::{Port, Ports};
use system_tests::wait::{Look, wait_for};
use tempfile::TempDir;

use crate::site;

struct Tester {
    directory: TempDir,
    ports: Ports,
}

impl Tester {
    fn new() -> Self {
        Self {
            directory: site::directory(),
            ports: site::free_ports(),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let choice = |port: Port| format!("{}={}", port.name(), self.ports.of(port));
        let mut command = Command::new(site::program());
        command.arg("--directory").arg(self.directory.path()).args(arguments);
        command.env("CLEARING_PORTS", Port::ALL.map(choice).join(","));
        if !site::has_kafka() && ["up", "demo"].contains(&arguments[0]) {
            command.arg("--without-kafka");
        }
        command.current_dir(site::repository());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs it and checks the exit code; what it said on both channels.
    fn check(&self, arguments: &[&str], code: u8) -> String {
        let output = self.run(arguments);
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(output.status.code(), Some(i32::from(code)), "{arguments:?}: {said}");
        said
    }
}

impl Drop for Tester {
    fn drop(&mut self) {
        let _nothing_runs = self.run(&["down", "--erase"]);
    }
}

pub(crate) fn a_taken_port_is_named() {
    let tester = Tester::new();
    let _listener = TcpListener::bind(tester.ports.address(Port::Postgres)).unwrap();
    let said = tester.check(&["up"], exit::ADDRESS_TAKEN);
    let last = said.lines().last().unwrap();
    let number = tester.ports.of(Port::Postgres);
    assert!(last.contains(&format!("port {number} (postgres) is taken")), "{last}");
    assert!(last.contains("--port postgres=NUMBER"), "{last}");
}

pub(crate) fn up_status_down() {
    let tester = Tester::new();
    tester.check(&["status"], exit::FAILED);
    tester.check(&["up"], exit::DONE);
    let said = tester.check(&["up"], exit::DONE);
    assert!(said.contains("is up already"), "{said}");
    let said = tester.check(&["status"], exit::DONE);
    for part in ["postgres", "signer", "ledger", "batch-clearing", "frontend"] {
        let line = said.lines().find(|line| line.trim_start().starts_with(part)).unwrap();
        assert!(line.contains("ready"), "{line}");
    }
    // as after a reboot or a kill: the file is there, the process is not
    let pid_file = tester.directory.path().join("run/frontend.pid");
    kill(&pid_file);
    wait_for("status to say so", Duration::from_secs(10), || {
        let output = tester.run(&["status"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() == Some(i32::from(exit::FAILED)) && said.contains("frontend (does not run)") {
            Look::Holds(())
        } else {
            Look::NotYet(said)
        }
    })
    .unwrap_or_else(|fault| panic!("{fault}"));
    tester.check(&["up"], exit::DONE);
    tester.check(&["status"], exit::DONE);
    let said = tester.check(&["down", "--erase"], exit::DONE);
    assert!(said.contains("stopped frontend"), "{said}");
    assert!(tester.check(&["down"], exit::DONE).contains("nothing runs"));
    assert!(!tester.directory.path().join("data").exists());
}

fn kill(pid_file: &Path) {
    let identity: serde_json::Value = serde_json::from_slice(&std::fs::read(pid_file).unwrap()).unwrap();
    let status = Command::new("sh")
        .args(["-c", &format!("kill -s KILL {}", identity["pid"])])
        .status()
        .unwrap();
    assert!(status.success());
}

pub(crate) fn demo_in_the_other_suite() {
    let tester = Tester::new();
    let said = tester.check(
        &["demo", "--messages", "1000", "--accounts", "500", "--suite", "rsa"],
        exit::DONE,
    );
    assert!(said.contains("All as it should be"), "{said}");
}

pub(crate) fn nothing_outlives_a_killed_demo() {
    let tester = Tester::new();
    let mut demo = tester.command(&["demo", "--messages", "20000", "--accounts", "500"]);
    let mut demo = demo.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let frontend = tester.directory.path().join("demo/run/frontend.pid");
    let running = wait_for("the demo's last part", Duration::from_mins(1), || {
        match demo.try_wait() {
            Ok(None) if frontend.exists() => Look::Holds(()),
            Ok(None) => Look::NotYet("not yet".to_owned()),
            ended => Look::Never(format!("{ended:?}")),
        }
    });
    demo.kill().unwrap();
    demo.wait().unwrap();
    running.unwrap_or_else(|fault| panic!("{fault}"));
    let all = BTreeSet::from(Port::ALL);
    wait_for("the end of every part", Duration::from_secs(10), || {
        match tester.ports.check_free(&all) {
            Ok(()) => Look::Holds(()),
            Err(fault) => Look::NotYet(fault.to_string()),
        }
    })
    .unwrap_or_else(|fault| panic!("{fault}"));
}
