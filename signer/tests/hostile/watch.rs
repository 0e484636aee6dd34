//! What must hold while and after something is done to a signer.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use signer_protocol::{OpenVerdict, SignerClient};
use tokio::task::JoinHandle;

use crate::spawned::{Spawned, message, soon, wait_for};

/// Open files may differ by what the runtime opens and closes by itself.
const FILES_SLACK: usize = 4;

/// A well-behaved peer that asks all the time, and what the signer held before.
pub(crate) struct Watch {
    good_peer: JoinHandle<()>,
    answered: Arc<AtomicUsize>,
    ends: Arc<AtomicBool>,
    files_before: usize,
    resident_before_kib: usize,
}

impl Watch {
    pub(crate) async fn begin(signer: &Spawned) -> Self {
        let client = SignerClient::connect(&signer.endpoint).unwrap();
        let open = message(1);
        client.open(open.clone(), soon()).await.unwrap();
        let (answered, ends) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let good_peer = tokio::spawn({
            let (answered, ends) = (Arc::clone(&answered), Arc::clone(&ends));
            async move {
                while !ends.load(Ordering::Relaxed) {
                    let verdict = client.open(open.clone(), soon()).await;
                    assert!(matches!(verdict, Ok(OpenVerdict::Opened { .. })), "{verdict:?}");
                    answered.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        });
        Self {
            good_peer,
            answered,
            ends,
            files_before: open_files(signer),
            resident_before_kib: resident_kib(signer),
        }
    }

    /// The good peer is served now, not only before.
    pub(crate) async fn still_served(&self) {
        let target = self.answered.load(Ordering::Relaxed) + 3;
        wait_for("the good peer is served", || async {
            assert!(!self.good_peer.is_finished(), "the good peer was not served");
            self.answered.load(Ordering::Relaxed) >= target
        })
        .await;
    }

    pub(crate) fn resident_more_kib(&self, signer: &Spawned) -> usize {
        resident_kib(signer).saturating_sub(self.resident_before_kib)
    }

    /// It was served to the end, files are closed again, memory is bounded, nothing panicked.
    pub(crate) async fn end(self, signer: &Spawned, resident_more_kib_max: usize) {
        self.still_served().await;
        self.ends.store(true, Ordering::Relaxed);
        self.good_peer.await.unwrap();
        wait_for("what was opened is closed", || async {
            open_files(signer) <= self.files_before + FILES_SLACK
        })
        .await;
        let more = resident_kib(signer).saturating_sub(self.resident_before_kib);
        assert!(more <= resident_more_kib_max, "{more} KiB more are resident");
        let logged = signer.logged();
        assert!(!logged.contains("panicked"), "{logged}");
    }
}

fn open_files(signer: &Spawned) -> usize {
    fs::read_dir(format!("/proc/{}/fd", signer.pid())).unwrap().count()
}

fn resident_kib(signer: &Spawned) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", signer.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
