//! Where the files of one installation are: all under one directory, nothing outside it but PostgreSQL's data when
//! the user it runs as cannot reach that directory.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::part::Part;

const DIRECTORIES: [&str; 7] = ["etc", "keys", "tls", "run", "log", "data", "accounts"];
/// What fits into a socket address, less a little.
const SOCKET_PATH_BYTES_MAX: usize = 100;
const SECRET_MODE: u32 = 0o600;
/// Others may pass through, but not list: the user PostgreSQL runs as has its data below.
const DIRECTORY_MODE: u32 = 0o711;

#[derive(Debug, Error)]
pub enum LayoutFault {
    #[error("{path} cannot be {done}")]
    File {
        path: PathBuf,
        done: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("{0} is too long for a socket's name: move the repository to a shorter path")]
    SocketPath(PathBuf),
}

/// Wraps an I/O error with the file and what was to be done with it.
pub fn file_fault(path: &Path, done: &'static str) -> impl FnOnce(io::Error) -> LayoutFault {
    let path = path.to_owned();
    move |source| LayoutFault::File { path, done, source }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Makes the directories that are missing. Absolute from here on, since children run elsewhere.
    pub fn create(root: &Path) -> Result<Self, LayoutFault> {
        make_directory(root)?;
        let root = root.canonicalize().map_err(file_fault(root, "found"))?;
        let layout = Self { root };
        for directory in DIRECTORIES {
            make_directory(&layout.root.join(directory))?;
        }
        let longest = layout.socket(Part::Signer);
        if longest.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
            return Err(LayoutFault::SocketPath(longest));
        }
        Ok(layout)
    }

    /// An installation that may or may not be there.
    pub fn at(root: &Path) -> Self {
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        Self { root }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn config(&self, part: Part) -> PathBuf {
        self.root.join("etc").join(format!("{}.toml", part.name()))
    }

    pub fn etc(&self, name: &str) -> PathBuf {
        self.root.join("etc").join(name)
    }

    pub fn key(&self, name: &str) -> PathBuf {
        self.root.join("keys").join(name)
    }

    pub fn tls(&self, name: &str) -> PathBuf {
        self.root.join("tls").join(name)
    }

    pub fn socket(&self, part: Part) -> PathBuf {
        self.root.join("run").join(format!("{}.sock", part.name()))
    }

    pub fn pid_file(&self, part: Part) -> PathBuf {
        self.root.join("run").join(format!("{}.pid", part.name()))
    }

    /// What `up` was told, so that `status` and `down` know.
    pub fn record(&self) -> PathBuf {
        self.root.join("run").join("installation.json")
    }

    pub fn log(&self, part: Part) -> PathBuf {
        self.root.join("log").join(format!("{}.log", part.name()))
    }

    pub fn logs(&self) -> PathBuf {
        self.root.join("log")
    }

    pub fn data(&self, part: Part) -> PathBuf {
        self.root.join("data").join(part.name())
    }

    pub fn accounts(&self) -> PathBuf {
        self.root.join("accounts")
    }

    /// Removes what `create` made, and nothing else that lies beside it.
    pub fn erase(&self) -> Result<(), LayoutFault> {
        for directory in DIRECTORIES {
            let path = self.root.join(directory);
            match fs::remove_dir_all(&path) {
                Err(left) if left.kind() != io::ErrorKind::NotFound => return Err(file_fault(&path, "removed")(left)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Files of one run of the demo or the benchmark: transcript, report, statements.
    pub fn of_run(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

fn make_directory(path: &Path) -> Result<(), LayoutFault> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path).map_err(file_fault(path, "made"))?;
    fs::set_permissions(path, fs::Permissions::from_mode(DIRECTORY_MODE)).map_err(file_fault(path, "opened to others"))
}

/// Writes a file that only its owner may read, never readable by others even for a moment.
pub fn write_secret(path: &Path, content: &[u8]) -> Result<(), LayoutFault> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let _not_there = fs::remove_file(path);
    let file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(SECRET_MODE)
        .open(path);
    file.and_then(|mut file| file.write_all(content))
        .map_err(file_fault(path, "written"))
}

pub fn write_file(path: &Path, content: &str) -> Result<(), LayoutFault> {
    fs::write(path, content).map_err(file_fault(path, "written"))
}

/// Copies what the signer needs out of the repository's test keys, so that it reads files nobody else may read. The
/// private keys of others are left where they are.
pub fn copy_keys(from: &Path, layout: &Layout) -> Result<(), LayoutFault> {
    for entry in fs::read_dir(from).map_err(file_fault(from, "read"))? {
        let path = entry.map_err(file_fault(from, "read"))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let of_somebody_else = name.ends_with(".key.pem") && !name.starts_with("bank-");
        if path.is_file() && !of_somebody_else {
            let content = fs::read(&path).map_err(file_fault(&path, "read"))?;
            write_secret(&layout.key(name), &content)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_for_the_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let from = directory.path().join("from");
        fs::create_dir(&from).unwrap();
        fs::write(from.join("bank-sign.key.pem"), "a").unwrap();
        fs::write(from.join("network-sign.key.pem"), "a").unwrap();
        let layout = Layout::create(&directory.path().join("to")).unwrap();
        copy_keys(&from, &layout).unwrap();
        copy_keys(&from, &layout).unwrap();
        let mode = fs::metadata(layout.key("bank-sign.key.pem"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, SECRET_MODE);
        assert!(!layout.key("network-sign.key.pem").exists());
    }

    #[test]
    fn a_path_too_long_for_sockets_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("d".repeat(90));
        let fault = Layout::create(&deep).unwrap_err().to_string();
        assert!(fault.contains("shorter path"), "{fault}");
    }
}
