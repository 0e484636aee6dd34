//! The installation the trials share: brought up by the first trial that needs it, taken down at the end whatever
//! happens.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fixtures::exchange::{Target, TlsFiles};
use fixtures::keys::Keyring;
use jiff::Timestamp;
use ledger_model::ChinaTime;
use libtest_mimic::Failed;
use system_tests::counts::{Counts, positions};
use system_tests::demo::caught_up;
use system_tests::feed::{self, Mix, Replay, Suite};
use system_tests::installation::{Installation, Plan, chain};
use system_tests::layout::Layout;
use system_tests::ports::{Port, Ports};
use system_tests::process::Lifetime;
use system_tests::settings::Clock;
use system_tests::sources::Sources;
use system_tests::tools::{Shown, Tools};
use tempfile::TempDir;

pub(crate) const ACCOUNTS: u64 = 400;
const CONNECTIONS: u32 = 8;

pub(crate) struct Site {
    pub(crate) installation: Installation,
    pub(crate) keys: Keyring,
    directory: TempDir,
}

pub(crate) struct Stage(Mutex<State>);

enum State {
    NotYet,
    Up(Box<Site>),
    Failed(String),
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State::NotYet))
    }

    pub(crate) fn with(&self, run: fn(&mut Site)) -> Result<(), Failed> {
        // a trial that panicked has said so; the next one looks for itself
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::NotYet) {
            *state = match std::panic::catch_unwind(Site::bring_up) {
                Ok(site) => State::Up(Box::new(site)),
                Err(_) => State::Failed("the installation did not come up".to_owned()),
            };
        }
        match &mut *state {
            State::Up(site) => {
                // what an earlier trial that failed has left down
                site.installation
                    .start_all()
                    .map_err(|fault| Failed::from(chain(&fault)))?;
                run(site);
                Ok(())
            }
            State::Failed(why) => Err(Failed::from(why.as_str())),
            State::NotYet => unreachable!("it was brought up above"),
        }
    }

    /// Takes everything down. After a failure the files are kept for a look.
    pub(crate) fn close(&self, failed: bool) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Up(site) = std::mem::replace(&mut *state, State::NotYet) {
            let Site {
                mut installation,
                mut directory,
                ..
            } = *site;
            let killed = installation.stop_all();
            if !matches!(&killed, Ok(killed) if killed.is_empty()) {
                eprintln!("stopping: {killed:?}");
            }
            drop(installation);
            if failed {
                directory.disable_cleanup(true);
                eprintln!(
                    "files and logs of the installation are kept in {}",
                    directory.path().display()
                );
            }
        }
    }
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The program under test; its siblings are built beside it.
pub(crate) fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_installation").into()
}

pub(crate) fn sources() -> Sources {
    let program = program();
    Sources::find(&repository(), program.parent().unwrap()).unwrap_or_else(|fault| panic!("{fault}"))
}

pub(crate) fn free_ports() -> Ports {
    Ports::free(std::process::id().wrapping_mul(64)).unwrap()
}

pub(crate) fn has_kafka() -> bool {
    Sources::find(&repository(), program().parent().unwrap()).is_ok_and(|sources| sources.kafka().is_some())
}

pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// A directory PostgreSQL's user can reach as well.
pub(crate) fn directory() -> TempDir {
    tempfile::Builder::new()
        .prefix("clearing-")
        .permissions(Permissions::from_mode(0o711))
        .tempdir()
        .unwrap()
}

impl Site {
    fn bring_up() -> Self {
        let directory = directory();
        let layout = Layout::create(directory.path()).unwrap();
        let sources = sources();
        let plan = Plan {
            tools: Tools::new(sources.clone(), Shown::InFile(layout.logs().join("tools.log"))),
            layout,
            ports: free_ports(),
            kafka: sources.kafka(),
            sources,
            clock: Clock::AlsoFixtureTime,
            lifetime: Lifetime::OfThisProcess,
        };
        let mut installation =
            Installation::prepare(plan, Timestamp::now()).unwrap_or_else(|fault| panic!("{}", chain(&fault)));
        installation
            .start_all()
            .unwrap_or_else(|fault| panic!("{}", chain(&fault)));
        feed::load_accounts(installation.plan(), ACCOUNTS).unwrap_or_else(|fault| panic!("{}", chain(&fault)));
        let keys = Keyring::load(&fixtures::keys::repository_directory()).unwrap();
        Self {
            installation,
            keys,
            directory,
        }
    }

    pub(crate) fn plan(&self) -> &Plan {
        self.installation.plan()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.plan().layout.of_run(name)
    }

    /// The frontend, spoken to as the network does.
    pub(crate) fn target(&self) -> Arc<Target> {
        let tls = |name: &str| self.plan().layout.tls(name);
        let files = TlsFiles {
            ca: tls("ca.cert.pem"),
            certificate: tls("client.cert.pem"),
            private_key: tls("client.key.pem"),
        };
        Arc::new(Target::new(&self.url(), &files).unwrap())
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}/preSvr", self.plan().ports.address(Port::Frontend))
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts::take(&self.installation).unwrap_or_else(|fault| panic!("{}", chain(&fault)))
    }

    /// Everything the ledger says of itself, to see that nothing happened.
    pub(crate) fn positions(&self) -> String {
        let positions = positions(&self.installation).unwrap_or_else(|fault| panic!("{}", chain(&fault)));
        format!("{positions:#?}")
    }

    /// Waits until every copy holds the same.
    pub(crate) fn settled(&self) -> Counts {
        caught_up(&self.installation).unwrap_or_else(|fault| panic!("{}", chain(&fault)))
    }

    pub(crate) fn replay(&self, mix: Mix, messages: u64, suite: Suite, seed: u64) -> Replay {
        Replay {
            mix,
            messages,
            accounts: ACCOUNTS,
            connections: CONNECTIONS,
            suite,
            seed,
            transcript: self.file(&format!("transcript-{seed}.jsonl")),
            report: self.file(&format!("replay-{seed}.json")),
        }
    }
}

/// China time now.
pub(crate) fn now() -> ChinaTime {
    ChinaTime::from_unix_seconds(Timestamp::now().as_second()).unwrap()
}
