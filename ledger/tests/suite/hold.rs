//! Stops a move at a place of its work in one database, so that something happens just then.

use std::io::Write;
use std::process::{Child, Stdio};
use std::time::Instant;

use crate::bank::WAIT;
use crate::postgres::Group;

/// Of the advisory lock that is waited for.
const LOCK: u32 = 4711;

/// What is about to be done to the database where it is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The first piece of the journal is written in the new group.
    Copied,
    /// The old group is marked and not committed, the new one not opened.
    HandedOver,
    /// The old group's commit is there, the new one's is under way.
    OnItsWay,
    /// The old group's row is marked, those of its other shards are not touched yet.
    Marked,
    /// What is left in the old group is deleted.
    Cleared,
}

/// Nothing gets past the place until this is dropped, or the server lost.
pub(crate) struct Hold<'a> {
    group: &'a Group,
    session: Child,
}

impl Place {
    const fn trigger(self) -> &'static str {
        match self {
            Self::Copied => "CREATE TRIGGER hold BEFORE INSERT ON ledger.frame FOR EACH STATEMENT",
            Self::HandedOver => {
                "CREATE TRIGGER hold AFTER UPDATE ON ledger.shard FOR EACH ROW \
                 WHEN (OLD.arrives_from IS NOT NULL AND NEW.arrives_from IS NULL)"
            }
            Self::OnItsWay => {
                "CREATE CONSTRAINT TRIGGER hold AFTER UPDATE ON ledger.shard DEFERRABLE INITIALLY DEFERRED FOR EACH ROW \
                 WHEN (OLD.arrives_from IS NOT NULL AND NEW.arrives_from IS NULL)"
            }
            Self::Marked => {
                "CREATE TRIGGER hold AFTER UPDATE ON ledger.shard FOR EACH ROW \
                 WHEN (OLD.moved_to IS NULL AND NEW.moved_to IS NOT NULL)"
            }
            Self::Cleared => "CREATE TRIGGER hold BEFORE DELETE ON ledger.frame FOR EACH STATEMENT",
        }
    }
}

impl<'a> Hold<'a> {
    /// In a database that has its tables already.
    pub(crate) fn at(place: Place, group: &'a Group) -> Self {
        group.sql(&format!(
            "CREATE OR REPLACE FUNCTION ledger.hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             PERFORM pg_advisory_xact_lock_shared({LOCK}); RETURN NULL; END $$; \
             DROP TRIGGER IF EXISTS hold ON ledger.frame; DROP TRIGGER IF EXISTS hold ON ledger.shard; \
             {} EXECUTE FUNCTION ledger.hold()",
            place.trigger()
        ));
        let mut session = group.server.client("psql");
        let session = session
            .args(["-X", "-q", "-d", &group.settings.database])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let session = session.spawn().unwrap();
        let hold = Self { group, session };
        let mut asked = hold.session.stdin.as_ref().unwrap();
        writeln!(asked, "SELECT pg_advisory_lock({LOCK});").unwrap();
        hold.wait_for("granted");
        hold
    }

    /// Until somebody has come to the place.
    pub(crate) fn is_reached(&self) {
        self.wait_for("NOT granted");
    }

    fn wait_for(&self, what: &str) {
        let deadline = Instant::now() + 3 * WAIT;
        let there = format!(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {LOCK} AND {what} \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        );
        while self.group.sql(&there) == "0" {
            assert!(Instant::now() < deadline, "{what}");
        }
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let _lost_with_its_server = self.session.kill();
        self.session.wait().unwrap();
    }
}
