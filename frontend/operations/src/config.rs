//! TOML configuration files. Unknown keys are refused, so give every struct `#[serde(deny_unknown_fields)]`.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// Larger than any real configuration; keeps a wrong path (a device, a journal) from filling memory.
const FILE_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum ConfigFault {
    #[error("configuration {path} cannot be read")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("configuration {path} is larger than {FILE_BYTES_MAX} bytes")]
    TooLarge { path: PathBuf },
    #[error("configuration {path} is refused: {reason}")]
    Refused { path: PathBuf, reason: String },
}

/// Reads and checks one file.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigFault> {
    let unreadable = |source| ConfigFault::Read {
        path: path.to_owned(),
        source,
    };
    if std::fs::metadata(path).map_err(unreadable)?.len() > FILE_BYTES_MAX {
        return Err(ConfigFault::TooLarge { path: path.to_owned() });
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    toml::from_str(&text).map_err(|refusal| ConfigFault::Refused {
        path: path.to_owned(),
        reason: refusal.to_string(),
    })
}

/// A path named in a configuration file is relative to that file.
pub fn resolve(config_file: &Path, named: &Path) -> PathBuf {
    config_file
        .parent()
        .map_or_else(|| named.to_owned(), |directory| directory.join(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        #[expect(dead_code, reason = "only whether it reads matters")]
        workers: u8,
    }

    fn check(text: &str, expected: &str) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("example.toml");
        std::fs::write(&path, text).unwrap();
        let said = load::<Example>(&path).map_or_else(|fault| fault.to_string(), |_| "read".to_owned());
        assert!(said.contains(expected), "{said}");
    }

    #[test]
    fn unknown_missing_and_malformed_keys_are_refused_by_name() {
        check("workers = 2", "read");
        check("workers = 2\nworkerz = 3", "unknown field `workerz`");
        check("", "missing field `workers`");
        check("workers = -1", "workers = -1");
        check("workers", "refused");
    }

    #[test]
    fn named_paths_are_relative_to_the_file() {
        assert_eq!(
            resolve(Path::new("/etc/bank/signer.toml"), Path::new("keys/a.pem")),
            Path::new("/etc/bank/keys/a.pem")
        );
        assert_eq!(
            resolve(Path::new("/etc/bank/signer.toml"), Path::new("/keys/a.pem")),
            Path::new("/keys/a.pem")
        );
    }
}
