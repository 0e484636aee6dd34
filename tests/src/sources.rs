//! What an installation is made from: the programs that were built, the repository's test keys and messages, the
//! broker's jars, PostgreSQL's programs. Looked for once, each with a message that says what to do when it is missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use thiserror::Error;

use crate::part::Part;

const POM: &str = "tests/kafka/pom.xml";

#[derive(Debug, Error)]
pub enum SourceFault {
    #[error("{0} is not the root of the repository: ./run starts this program there")]
    NotTheRepository(PathBuf),
    #[error("program {0} is not built: cargo build --release --workspace")]
    NotBuilt(PathBuf),
    #[error("PostgreSQL's initdb and postgres are not installed: ./run up installs them on Debian")]
    NoPostgres,
}

#[derive(Debug, Clone)]
pub struct Sources {
    repository: PathBuf,
    /// Where this program and its siblings were built to.
    programs: PathBuf,
    postgres: PathBuf,
}

impl Sources {
    pub fn find(repository: &Path, programs: &Path) -> Result<Self, SourceFault> {
        let not_it = || SourceFault::NotTheRepository(repository.to_owned());
        let repository = repository.canonicalize().map_err(|_| not_it())?;
        if !repository.join(POM).is_file() || !repository.join("fixtures/keys").is_dir() {
            return Err(not_it());
        }
        let sources = Self {
            repository,
            programs: programs.to_owned(),
            postgres: postgres_programs().ok_or(SourceFault::NoPostgres)?,
        };
        let built = [Part::Signer, Part::Ledger, Part::BatchClearing, Part::Frontend];
        for program in built.map(Part::name).into_iter().chain(["fixtures"]) {
            let path = sources.program(program);
            if !path.is_file() {
                return Err(SourceFault::NotBuilt(path));
            }
        }
        Ok(sources)
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    pub fn postgres(&self, program: &str) -> PathBuf {
        self.postgres.join(program)
    }

    /// Such as `15.18`; empty when it does not say.
    pub fn postgres_version(&self) -> String {
        let told = Command::new(self.postgres("postgres")).arg("--version").output();
        let told = told
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        told.split_whitespace().nth(2).unwrap_or_default().to_owned()
    }

    pub fn keys(&self) -> PathBuf {
        self.repository.join("fixtures/keys")
    }

    pub fn messages(&self) -> PathBuf {
        self.repository.join("fixtures/messages")
    }

    pub fn log_settings(&self) -> PathBuf {
        self.repository.join("tests/kafka/log4j2.properties")
    }

    /// The release of the broker and its jars, when `./run` could obtain them.
    pub fn kafka(&self) -> Option<KafkaJars> {
        let pom = std::fs::read_to_string(self.repository.join(POM)).ok()?;
        let (_, rest) = pom.split_once("<kafka.version>")?;
        let (version, _) = rest.split_once("</kafka.version>")?;
        let directory = self.repository.join(".local/kafka").join(version).join("lib");
        directory.is_dir().then(|| KafkaJars {
            version: version.to_owned(),
            directory,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaJars {
    pub version: String,
    pub directory: PathBuf,
}

/// Debian keeps them out of the way, by version; elsewhere they are on the path.
fn postgres_programs() -> Option<PathBuf> {
    let has_both = |directory: &PathBuf| directory.join("initdb").is_file() && directory.join("postgres").is_file();
    let debian = std::fs::read_dir("/usr/lib/postgresql").ok();
    let versions = debian.into_iter().flatten().filter_map(|entry| {
        let path = entry.ok()?.path();
        let version: u32 = path.file_name()?.to_str()?.parse().ok()?;
        Some((version, path.join("bin")))
    });
    let newest = versions.filter(|(_, directory)| has_both(directory)).max();
    newest.map(|(_, directory)| directory).or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(has_both)
    })
}
