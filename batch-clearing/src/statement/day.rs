//! The files of one day as they lie in the directory.
//!
//! ```text
//! <root>/trans/<bank>-<yyyyMMdd>.key
//! <root>/<bank>/<yyyyMMdd>/<BatchId>_01_01.zip.sec      one per batch
//! <root>/<bank>/<yyyyMMdd>/clearing-notice.xml
//! ```
//!
//! Blocking: call it off the executor.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ledger_model::{BatchId, BusinessDate, InstitutionId};
use zeroize::Zeroizing;

use super::archive;
use super::lines::read_lines;
use super::notice::{Notice, read_notice};
use super::seal::DayKey;
use super::{FileFault, StatementLine};
use crate::config::StatementLayout;

/// More than any key, so that a wrong file is not read whole.
const KEY_BYTES_MAX: u64 = 64;

/// Which day of which bank, and where.
#[derive(Debug, Clone)]
pub struct DayPlace {
    pub root: PathBuf,
    pub bank: InstitutionId,
    pub day: BusinessDate,
}

/// What could be read, and what could not.
#[derive(Debug, Default)]
pub struct DayFiles {
    /// Lines of every good detail file.
    pub batches: BTreeMap<BatchId, Vec<StatementLine>>,
    pub notice: Option<Notice>,
    pub faults: Vec<FileFault>,
}

impl DayPlace {
    fn key_file(&self) -> PathBuf {
        self.root
            .join("trans")
            .join(format!("{}-{}.key", self.bank, self.day.compact()))
    }

    fn directory(&self) -> PathBuf {
        self.root.join(self.bank.as_str()).join(self.day.compact())
    }

    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

/// Reads everything there is. `expected`: batches of which a detail file must be there. `progress` hears of each file.
pub fn read_day(
    place: &DayPlace,
    layout: &StatementLayout,
    expected: &BTreeSet<BatchId>,
    progress: &mut dyn FnMut(&str),
) -> DayFiles {
    let mut files = DayFiles::default();
    let key = files.note(place, &place.key_file(), read_key(&place.key_file()));
    let directory = place.directory();
    let (details, others) = match list(&directory, layout) {
        Ok(found) => found,
        Err(reason) => {
            files.fault(place, &directory, reason.to_string());
            (BTreeMap::new(), Vec::new())
        }
    };
    for path in others {
        files.fault(place, &path, "not the name of a clearing file".to_owned());
    }
    for batch in expected.iter().filter(|batch| !details.contains_key(batch)) {
        let path = directory.join(format!("{batch}{}", layout.detail_suffix));
        files.fault(place, &path, "missing, and we have transfers of this batch".to_owned());
    }
    for (batch, path) in &details {
        progress(&place.shown(path));
        if batch.date() != place.day {
            files.fault(place, path, "a batch of another day".to_owned());
        } else if let Some(key) = &key {
            let lines = read_detail(path, key, layout, *batch);
            if let Some(lines) = files.note(place, path, lines) {
                files.batches.insert(*batch, lines);
            }
        }
    }
    let notice = directory.join(&layout.notice_name);
    progress(&place.shown(&notice));
    let read = read_bounded(&notice, layout.file_bytes_max)
        .and_then(|bytes| read_notice(&bytes, place.day).map_err(|fault| fault.to_string()));
    files.notice = files.note(place, &notice, read);
    files
}

impl DayFiles {
    fn fault(&mut self, place: &DayPlace, path: &Path, reason: String) {
        self.faults.push(FileFault {
            file: place.shown(path),
            reason,
        });
    }

    fn note<T>(&mut self, place: &DayPlace, path: &Path, read: Result<T, String>) -> Option<T> {
        read.map_err(|reason| self.fault(place, path, reason)).ok()
    }
}

fn read_key(path: &Path) -> Result<DayKey, String> {
    let bytes = Zeroizing::new(read_bounded(path, KEY_BYTES_MAX)?);
    DayKey::new(&bytes).map_err(|fault| fault.to_string())
}

type Listing = (BTreeMap<BatchId, PathBuf>, Vec<PathBuf>);

/// Detail files by batch, and what else is there but the notice.
fn list(directory: &Path, layout: &StatementLayout) -> io::Result<Listing> {
    let (mut details, mut others) = (BTreeMap::new(), Vec::new());
    for entry in directory.read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().unwrap_or_default();
        match name
            .strip_suffix(&layout.detail_suffix)
            .and_then(|batch| batch.parse().ok())
        {
            Some(batch) => drop(details.insert(batch, entry.path())),
            None if name == layout.notice_name => {}
            None => others.push(entry.path()),
        }
    }
    others.sort();
    Ok((details, others))
}

fn read_detail(
    path: &Path,
    key: &DayKey,
    layout: &StatementLayout,
    batch: BatchId,
) -> Result<Vec<StatementLine>, String> {
    let sealed = read_bounded(path, layout.file_bytes_max)?;
    if sealed.is_empty() {
        return Err("empty, which is suspicious and not a success".to_owned());
    }
    let zipped = key.open(sealed).map_err(|fault| fault.to_string())?;
    let name = format!("{batch}{}", layout.text_suffix);
    let read = archive::with_text(&zipped, &name, layout.text_bytes_max, |text| {
        read_lines(text, layout, batch)
    });
    read.map_err(|fault| with_source(&fault))?
        .map_err(|fault| with_source(&fault))
}

fn read_bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|fault| match fault.kind() {
        io::ErrorKind::NotFound => "missing".to_owned(),
        _ => fault.to_string(),
    })?;
    file.take(bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|fault| fault.to_string())?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= bytes_max) {
        Ok(bytes)
    } else {
        Err(format!("larger than {bytes_max} bytes"))
    }
}

/// A file's reason goes into one line of a report.
fn with_source(fault: &dyn std::error::Error) -> String {
    fault
        .source()
        .map_or_else(|| fault.to_string(), |source| format!("{fault}: {source}"))
}

#[cfg(test)]
mod tests {
    use super::super::archive::tests::zipped;
    use super::super::lines::tests::{line, text};
    use super::super::seal::tests::seal;
    use super::*;
    use crate::sample;

    const KEY: [u8; 16] = [1; 16];
    const NOTICE: &str = "<Root><ClearCntNb>0</ClearCntNb><DebitCntAmt>CNY0.00</DebitCntAmt>\
         <CreditCntAmt>CNY0.00</CreditCntAmt><ClearList/></Root>";

    struct Day {
        directory: tempfile::TempDir,
        place: DayPlace,
    }

    fn detail(batch: u64, key: &[u8]) -> Vec<u8> {
        let content = text(&[line(1, batch, "CNY1.00")], "TOTAL|1|CNY1.00");
        let name = format!("{}_01_01.txt", sample::batch(batch));
        seal(key, &zipped(&[(&name, content.as_bytes())]))
    }

    fn sealed(content: &[u8]) -> Vec<u8> {
        seal(&KEY, &zipped(&[("B202603020001_01_01.txt", content)]))
    }

    impl Day {
        /// A good day of batches 1 and 2.
        fn good() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let root = directory.path().to_owned();
            let day = Self {
                place: DayPlace {
                    root,
                    bank: sample::bank(),
                    day: sample::time().date(),
                },
                directory,
            };
            day.write("trans/C1030131001234-20260302.key", &KEY);
            day.write_of_day("B202603020001_01_01.zip.sec", &detail(1, &KEY));
            day.write_of_day("B202603020002_01_01.zip.sec", &detail(2, &KEY));
            day.write_of_day("clearing-notice.xml", NOTICE.as_bytes());
            day
        }

        fn write(&self, name: &str, content: &[u8]) {
            let path = self.directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }

        fn write_of_day(&self, name: &str, content: &[u8]) {
            self.write(&format!("C1030131001234/20260302/{name}"), content);
        }

        fn read(&self) -> DayFiles {
            let expected = [sample::batch(1), sample::batch(2)].into();
            let layout = StatementLayout {
                text_bytes_max: 1 << 16,
                ..StatementLayout::default()
            };
            read_day(&self.place, &layout, &expected, &mut |_| {})
        }

        fn check(&self, batches: &[u64], notice: bool, faults: &[(&str, &str)]) {
            let read = self.read();
            let found: Vec<_> = read.batches.into_keys().collect();
            assert_eq!(
                found,
                batches.iter().map(|number| sample::batch(*number)).collect::<Vec<_>>()
            );
            assert_eq!(read.notice.is_some(), notice);
            let said: Vec<_> = read
                .faults
                .iter()
                .map(|fault| (fault.file.as_str(), fault.reason.as_str()))
                .collect();
            assert_eq!(said, faults);
        }
    }

    const FIRST: &str = "C1030131001234/20260302/B202603020001_01_01.zip.sec";

    #[test]
    fn a_good_day() {
        Day::good().check(&[1, 2], true, &[]);
    }

    #[test]
    fn a_bad_file_stops_only_itself() {
        let bad = |content: &[u8], reason: &str| {
            let day = Day::good();
            day.write_of_day("B202603020001_01_01.zip.sec", content);
            day.check(&[2], true, &[(FIRST, reason)]);
        };
        bad(b"", "empty, which is suspicious and not a success");
        bad(
            &[0; 31],
            "cut short: an IV and whole blocks of 16 bytes are due, this file has 31 bytes",
        );
        bad(&detail(1, &[2; 16]), "does not decrypt: another key, or damaged");
        bad(
            &detail(2, &KEY),
            "the file in the archive is not named B202603020001_01_01.txt",
        );
        bad(&sealed(b""), "empty, which is suspicious and not a success");
        let bomb = vec![b'\n'; 1 << 20];
        bad(&sealed(&bomb), "unknown column \"\"");
        let long: String = (0..2000).map(|number| line(number, 1, "CNY1.00") + "\n").collect();
        let too_long = text(&[long.trim_end().to_owned()], "TOTAL|2000|CNY2000.00");
        bad(
            &sealed(too_long.as_bytes()),
            "the text cannot be read: the text is larger than allowed",
        );
        let not_zip = seal(&KEY, b"no zip");
        let day = Day::good();
        day.write_of_day("B202603020001_01_01.zip.sec", &not_zip);
        assert!(
            day.read().faults[0]
                .reason
                .starts_with("not a zip archive that can be read")
        );
    }

    #[test]
    fn missing_and_strange_files() {
        let day = Day::good();
        std::fs::remove_file(day.directory.path().join(FIRST)).unwrap();
        day.write_of_day("notes.txt", b"");
        day.write_of_day("B202603030001_01_01.zip.sec", &detail(1, &KEY));
        day.write_of_day("clearing-notice.xml", b"");
        let of_day = "C1030131001234/20260302/";
        let faults = [
            (format!("{of_day}notes.txt"), "not the name of a clearing file"),
            (FIRST.to_owned(), "missing, and we have transfers of this batch"),
            (format!("{of_day}B202603030001_01_01.zip.sec"), "a batch of another day"),
            (
                format!("{of_day}clearing-notice.xml"),
                "empty, which is suspicious and not a success",
            ),
        ];
        let faults: Vec<_> = faults.iter().map(|(file, reason)| (file.as_str(), *reason)).collect();
        day.check(&[2], false, &faults);
    }

    #[test]
    fn without_its_key_no_detail_file_is_read() {
        let day = Day::good();
        let key = "trans/C1030131001234-20260302.key";
        day.write(key, &[1; 20]);
        day.check(
            &[],
            true,
            &[(key, "a key is 16 bytes (SM4) or 32 bytes (AES-256), this file has 20")],
        );
        std::fs::remove_file(day.directory.path().join(key)).unwrap();
        day.check(&[], true, &[(key, "missing")]);
    }
}
