//! `ledger evidence`: what is kept about one transfer, as a file that stands for itself, and the check of such a file.

use std::path::{Path, PathBuf};
use std::process::Command;

use ledger_model::{ChinaTime, InstitutionId, TransferCategory, TransferId, TransferKey};
use ledger_protocol::KeptEvidence;
use operations::exit;

use super::from::{From, block_on, counting_records, progress};
use super::output::print;
use super::told;
use crate::archive::{Archive, Found};
use crate::config::Config;
use crate::reading::exhibit::{CERTIFICATE, Exhibit, SIGNATURE, SIGNATURE_DER, SIGNED, check, decided};
use crate::reading::journal::{Journals, ReadingFault, Wants};
use crate::reading::signature::Signature;

/// What a resend may be late by, and clocks apart: how long before the day in its id a transfer is looked for.
const EARLIER_SECONDS: i64 = 24 * 3600;

/// Export what is kept about one transfer: the request as it was signed, the signature, the key's serial, the outcome, the
/// journal record and the records after it that hold its hash.
///
/// The file is an uncompressed tar. Its README.txt has the commands by which anybody checks it with OpenSSL; `ledger
/// evidence check FILE` does the same. With issuer and category the transfer is found at once; without, the journals
/// are gone through from the day before the one in the id, and if several transfers have the id they are listed and none
/// is exported.
///
/// With `--archive` the files of an archive are gone through too, from the day before the one in the id: what was released
/// from the ledger is there alone. With neither
/// `--config` nor `--directory`, they alone. What the ledger finds by itself is exported from there.
///
/// The ledger keeps no certificates: `--certificate` puts one into the file. The answer that went back to the sender is
/// signed after the posting and not kept either; the outcome it told is in the record.
///
/// Exit codes: 0 exported, or sound; 1 it could not be read or written, there is no such transfer or several of them, or
/// the signature was not checked for want of a certificate; 5 what is kept, or the file, does not hold together.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Options {
    #[command(subcommand)]
    check: Option<Check>,
    /// The transfer's id (`TrxId`), 31 characters.
    #[arg(value_name = "TRX_ID", required = true)]
    id: Option<TransferId>,
    /// Who sent it (`IssrId`).
    #[arg(long, value_name = "ISSUER")]
    issuer: Option<InstitutionId>,
    /// Its category (`TrxCtgy`), 4 digits.
    #[arg(long, value_name = "CATEGORY")]
    category: Option<TransferCategory>,
    #[command(flatten)]
    source: From,
    /// Look in this archive as well.
    #[arg(long, value_name = "DIRECTORY")]
    archive: Option<PathBuf>,
    /// The file to be written; it must not be there yet.
    #[arg(long, value_name = "FILE", required = true)]
    output: Option<PathBuf>,
    /// The sender's certificate (PEM), to be put into the file.
    #[arg(long, value_name = "PEM")]
    certificate: Option<PathBuf>,
    /// How many of the records after the transfer's own go into the file, up to 1000.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=1000))]
    following: u32,
}

#[derive(Debug, clap::Subcommand)]
enum Check {
    /// Check an exported file: that its parts belong together, the chain, and by `openssl` the signature.
    Check {
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The sender's certificate (PEM), where the file has none, or in place of the one in it.
        #[arg(long, value_name = "PEM")]
        certificate: Option<PathBuf>,
    },
}

impl Options {
    pub const fn needs_configuration(&self) -> bool {
        self.check.is_none() && self.source.directory.is_none() && self.archive.is_none()
    }
}

pub fn run(config: Option<&Config>, options: &Options) -> u8 {
    let done = match (&options.check, &options.id, &options.output) {
        (Some(Check::Check { file, certificate }), ..) => checked(file, certificate.as_deref()),
        (None, Some(id), Some(output)) => block_on(export(config, options, *id, output)),
        (None, ..) => return exit::USAGE,
    };
    match done {
        Ok(text) => {
            print(&text);
            exit::DONE
        }
        Err(fault) => {
            eprintln!("{}", told(&fault));
            fault.exit_code()
        }
    }
}

async fn export(
    config: Option<&Config>,
    options: &Options,
    id: TransferId,
    output: &Path,
) -> Result<String, ReadingFault> {
    let certificate = options.certificate.as_deref().map(read).transpose()?;
    let books = Books::open(config, options).await?;
    let key = match (options.issuer, options.category) {
        (Some(issuer), Some(category)) => TransferKey { issuer, category, id },
        _ => books.search(options, id).await?,
    };
    let kept = books.kept(&key, options.following).await?;
    let exhibit = Exhibit::new(kept.ok_or_else(|| books.not_found())?, certificate)?;
    let archive = exhibit.archive()?;
    let unwritable = |source| ReadingFault::File {
        path: output.to_owned(),
        source,
    };
    let mut file = std::fs::File::create_new(output).map_err(unwritable)?;
    std::io::Write::write_all(&mut file, &archive).map_err(unwritable)?;
    file.sync_all().map_err(unwritable)?;
    Ok(told_of(&exhibit))
}

fn read(path: &Path) -> Result<Vec<u8>, ReadingFault> {
    std::fs::read(path).map_err(|source| ReadingFault::File {
        path: path.to_owned(),
        source,
    })
}

fn told_of(exhibit: &Exhibit) -> String {
    let transfer = &exhibit.transfer;
    format!(
        "{} {} {}: {} of {}, record {} of shard {}",
        transfer.key.issuer,
        transfer.key.category,
        transfer.key.id,
        transfer.kind.name(),
        transfer.amount.money(),
        exhibit.kept.sequence,
        exhibit.kept.shard
    )
}

/// A resend may come later than the day in the id, never a day earlier.
fn since(id: TransferId) -> ChinaTime {
    let midnight = id.date().at_midnight();
    midnight.plus_seconds(-EARLIER_SECONDS).unwrap_or(midnight)
}

/// Where evidence is looked for.
struct Books {
    journals: Option<Journals>,
    archive: Option<Archive>,
}

impl Books {
    async fn open(config: Option<&Config>, options: &Options) -> Result<Self, ReadingFault> {
        let archive = options.archive.as_deref().map(Archive::open).transpose()?;
        let is_alone = archive.is_some() && config.is_none() && options.source.directory.is_none();
        let journals = if is_alone {
            None
        } else {
            Some(options.source.open(config).await?)
        };
        Ok(Self { journals, archive })
    }

    fn not_found(&self) -> ReadingFault {
        let released = self.journals.as_ref().is_some_and(Journals::is_released);
        if released && self.archive.is_none() {
            ReadingFault::NoSuchTransferHere
        } else {
            ReadingFault::NoSuchTransfer
        }
    }

    /// From the ledger where it finds the key, which says how far it has come; from the archive otherwise.
    async fn kept(&self, key: &TransferKey, following: u32) -> Result<Option<KeptEvidence>, ReadingFault> {
        if let Some(journals) = &self.journals
            && let Some(kept) = journals.evidence(key, following).await?
        {
            return Ok(Some(kept));
        }
        let Some(archive) = &self.archive else {
            return Ok(None);
        };
        let found = archived(archive, key.id, |known| known == key)?;
        let kept = found.first().map(|found| archive.evidence(*found, following));
        kept.transpose()
    }

    /// The only transfer with this id, and with the issuer or the category where one is named.
    async fn search(&self, options: &Options, id: TransferId) -> Result<TransferKey, ReadingFault> {
        let wanted = |key: &TransferKey| {
            let issuer = options.issuer.is_none_or(|issuer| issuer == key.issuer);
            key.id == id && issuer && options.category.is_none_or(|category| category == key.category)
        };
        let mut found: Vec<TransferKey> = Vec::new();
        if let Some(archive) = &self.archive {
            found.extend(archived(archive, id, wanted)?.into_iter().map(|found| found.key));
        }
        if let Some(journals) = &self.journals {
            found.extend(journalled(journals, id, wanted).await?);
        }
        found.sort_unstable();
        found.dedup();
        match found.as_slice() {
            [] => Err(self.not_found()),
            [key] => Ok(*key),
            several => {
                for TransferKey { issuer, category, .. } in several {
                    print(format_args!("--issuer {issuer} --category {category}"));
                }
                Err(ReadingFault::SeveralTransfers)
            }
        }
    }
}

fn archived(
    archive: &Archive,
    id: TransferId,
    wanted: impl Fn(&TransferKey) -> bool,
) -> Result<Vec<Found>, ReadingFault> {
    let bar = counting_records();
    let found = archive.find(since(id), wanted, || bar.inc(1));
    bar.finish_and_clear();
    found
}

async fn journalled(
    journals: &Journals,
    id: TransferId,
    wanted: impl Fn(&TransferKey) -> bool,
) -> Result<Vec<TransferKey>, ReadingFault> {
    let mut found = Vec::new();
    for shard in journals.count().all() {
        let first = journals.first_since(shard, since(id)).await?;
        let last = journals.position(shard).sequence;
        let bar = progress(last.saturating_sub(first), "records");
        let read = journals.read(shard, first..=last, |record, _| {
            bar.inc(1);
            let key = decided(&record.event).map(|(transfer, _)| transfer.key);
            found.extend(key.filter(&wanted));
            Ok(Wants::More)
        });
        read.await?;
        bar.finish_and_clear();
    }
    Ok(found)
}

fn checked(file: &Path, certificate: Option<&Path>) -> Result<String, ReadingFault> {
    let exhibit = check(&read(file)?)?;
    if exhibit.is_unsigned() {
        return Ok(format!(
            "{}: sound; an adjustment, ordered by the bank itself, so nobody signed it, and there is no signature to check",
            told_of(&exhibit)
        ));
    }
    let given = certificate.map(read).transpose()?;
    let certificate = given.as_ref().or(exhibit.certificate.as_ref());
    let Some(certificate) = certificate else {
        print(format_args!("{}", told_of(&exhibit)));
        return Err(ReadingFault::NoCertificate);
    };
    verify(&exhibit, certificate)?;
    Ok(format!("{}: sound, and the signature holds", told_of(&exhibit)))
}

/// As the readme of the file says. The ledger itself knows no signatures.
fn verify(exhibit: &Exhibit, certificate: &[u8]) -> Result<(), ReadingFault> {
    let directory = Scratch::new()?;
    let place = |name: &str| directory.0.join(name);
    let write = |name: &str, content: &[u8]| {
        std::fs::write(place(name), content).map_err(|source| ReadingFault::File {
            path: place(name),
            source,
        })
    };
    write(CERTIFICATE, certificate)?;
    write(SIGNED, &exhibit.kept.evidence.signed)?;
    write(SIGNATURE, &exhibit.kept.evidence.signature)?;
    let (digest, signature) = match &exhibit.signature {
        Signature::Rsa => ("-sha256", SIGNATURE),
        Signature::Sm => ("-sm3", SIGNATURE),
        Signature::SmRaw { der } => {
            write(SIGNATURE_DER, der)?;
            ("-sm3", SIGNATURE_DER)
        }
    };
    let openssl = |arguments: &[&str]| -> Result<Vec<u8>, ReadingFault> {
        let mut command = Command::new("openssl");
        let ran = command.current_dir(&directory.0).args(arguments).output();
        let ran = ran.map_err(ReadingFault::OpenSsl)?;
        if ran.status.success() {
            return Ok(ran.stdout);
        }
        let said = [ran.stdout, ran.stderr].concat();
        Err(ReadingFault::Signature(
            String::from_utf8_lossy(&said).trim().to_owned(),
        ))
    };
    let serial = openssl(&["x509", "-in", CERTIFICATE, "-noout", "-serial"])?;
    let serial = String::from_utf8_lossy(&serial).trim().to_owned();
    let bare = |text: &str| text.trim_start_matches('0').to_ascii_uppercase();
    let named = bare(&exhibit.kept.evidence.signing_serial);
    if serial.strip_prefix("serial=").map(bare) != Some(named) {
        return Err(ReadingFault::Signature(format!("the certificate has the {serial}")));
    }
    write(
        "public.pem",
        &openssl(&["x509", "-in", CERTIFICATE, "-noout", "-pubkey"])?,
    )?;
    let mut arguments = vec!["dgst", digest, "-verify", "public.pem"];
    if digest == "-sm3" {
        arguments.extend(["-sigopt", "distid:1234567812345678"]);
    }
    arguments.extend(["-signature", signature, SIGNED]);
    openssl(&arguments).map(|_| ())
}

/// A directory of our own, gone when it is done with.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, ReadingFault> {
        let path = std::env::temp_dir().join(format!("ledger-evidence-{}", std::process::id()));
        let made = std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700).create(&path);
        made.map_err(|source| ReadingFault::File {
            path: path.clone(),
            source,
        })?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _left_behind = std::fs::remove_dir_all(&self.0);
    }
}
