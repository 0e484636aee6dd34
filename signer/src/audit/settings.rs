//! The `[audit]` table of the configuration.

use std::path::PathBuf;

use serde::Deserialize;

const FILE_BYTES_MIN: u64 = 4 * 1024;
const FILE_BYTES_LIMIT: u64 = 1 << 30;
const SYNC_MS_LIMIT: u64 = 60_000;

/// Absent, it is refused: who wants no log has to say so.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditEntry {
    /// Where the files go; made with mode 0700 when it is not there.
    pub directory: Option<PathBuf>,
    /// A file that has reached this many bytes is followed by the next one.
    #[serde(default = "default_file_bytes_max")]
    pub file_bytes_max: u64,
    /// Uses of keys are on the disk at most this many milliseconds later.
    #[serde(default = "default_sync_ms")]
    pub sync_ms: u64,
    /// Instead of a directory: keys are used without a record of it.
    #[serde(default)]
    pub none_not_for_production: bool,
}

impl Default for AuditEntry {
    fn default() -> Self {
        Self {
            directory: None,
            file_bytes_max: default_file_bytes_max(),
            sync_ms: default_sync_ms(),
            none_not_for_production: false,
        }
    }
}

impl AuditEntry {
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.directory.is_some() == self.none_not_for_production {
            return Err("[audit] needs either a directory or none_not_for_production = true");
        }
        if !(FILE_BYTES_MIN..=FILE_BYTES_LIMIT).contains(&self.file_bytes_max) {
            return Err("[audit] file_bytes_max must lie in 4096..=1073741824");
        }
        if !(1..=SYNC_MS_LIMIT).contains(&self.sync_ms) {
            return Err("[audit] sync_ms must lie in 1..=60000");
        }
        Ok(())
    }
}

const fn default_file_bytes_max() -> u64 {
    64 << 20
}

const fn default_sync_ms() -> u64 {
    1000
}
