//! The zip archive inside a detail file: exactly one text file of the expected name, read as a bounded stream.
//!
//! Sizes that the archive claims are not believed; the bytes that come out are counted.

use std::io::{self, BufReader, Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveFault {
    #[error("not a zip archive that can be read")]
    Zip(#[source] ZipError),
    #[error("the archive holds {0} files where one is due")]
    FileCount(usize),
    #[error("the file in the archive is not named {0}")]
    FileName(String),
}

/// Hands the one text file to `read` as a stream that fails beyond `bytes_max`.
pub(super) fn with_text<T>(
    archive: &[u8],
    name: &str,
    bytes_max: u64,
    read: impl FnOnce(&mut BufReader<Bounded<zip::read::ZipFile<'_, Cursor<&[u8]>>>>) -> T,
) -> Result<T, ArchiveFault> {
    let mut archive = ZipArchive::new(Cursor::new(archive)).map_err(ArchiveFault::Zip)?;
    if archive.len() != 1 {
        return Err(ArchiveFault::FileCount(archive.len()));
    }
    let file = archive.by_index(0).map_err(ArchiveFault::Zip)?;
    if file.name_raw() != name.as_bytes() {
        return Err(ArchiveFault::FileName(name.to_owned()));
    }
    Ok(read(&mut BufReader::new(Bounded {
        inner: file,
        left: bytes_max,
    })))
}

/// A reader that fails once more than its bound has come out of it.
#[derive(Debug)]
pub(super) struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let left = u64::try_from(count).ok().and_then(|count| self.left.checked_sub(count));
        self.left =
            left.ok_or_else(|| io::Error::new(io::ErrorKind::FileTooLarge, "the text is larger than allowed"))?;
        Ok(count)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    pub(in crate::statement) fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn check(archive: &[u8], bytes_max: u64, expected: Result<usize, &str>) {
        let read = with_text(archive, "a.txt", bytes_max, |text| {
            let mut content = Vec::new();
            text.read_to_end(&mut content)
                .map_err(|fault| fault.to_string())
                .map(|_| content.len())
        });
        let said = read.map_err(|fault| fault.to_string()).and_then(|inner| inner);
        assert_eq!(
            said.as_ref().map_err(String::as_str),
            expected.as_ref().map_err(|text| *text)
        );
    }

    #[test]
    fn one_text_of_the_right_name_within_bounds() {
        let bomb = vec![b'0'; 10 << 20];
        check(&zipped(&[("a.txt", b"abc")]), 3, Ok(3));
        check(
            &zipped(&[("a.txt", b"abcd")]),
            3,
            Err("the text is larger than allowed"),
        );
        check(
            &zipped(&[("a.txt", &bomb)]),
            1 << 20,
            Err("the text is larger than allowed"),
        );
        check(
            &zipped(&[("b.txt", b"abc")]),
            3,
            Err("the file in the archive is not named a.txt"),
        );
        check(&zipped(&[]), 3, Err("the archive holds 0 files where one is due"));
        check(
            &zipped(&[("a.txt", b""), ("b.txt", b"")]),
            3,
            Err("the archive holds 2 files where one is due"),
        );
        check(b"PK but no archive", 3, Err("not a zip archive that can be read"));
        check(&[], 3, Err("not a zip archive that can be read"));
        let whole = zipped(&[("a.txt", &b"abc".repeat(100))]);
        check(
            &whole[..whole.len() / 2],
            1000,
            Err("not a zip archive that can be read"),
        );
    }

    #[test]
    fn damage_inside_is_found_by_the_checksum() {
        let mut damaged = zipped(&[("a.txt", b"abcdefgh")]);
        let place = 30 + "a.txt".len() + 2;
        damaged[place] ^= 1;
        let read = with_text(&damaged, "a.txt", 100, |text| {
            text.read_to_end(&mut Vec::new()).is_err()
        });
        assert!(read.unwrap_or(true));
    }
}
