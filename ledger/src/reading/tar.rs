//! Files in one file, uncompressed, as `tar` writes and reads them (POSIX ustar): whoever is handed the file needs no
//! program of ours.
//!
//! ```text
//!   header 512 │ content, zeros to the next 512 │ header │ … │ 1024 zeros
//! ```
//!
//! Plain files of short names only, always with the same owner, mode and time, so that the same parts make the same bytes.
//! Reading takes nothing else and trusts no length.

const BLOCK: usize = 512;
/// Of a name.
const NAME_BYTES_MAX: usize = 100;
/// What a reader takes, in all.
pub const ARCHIVE_BYTES_MAX: usize = 64 << 20;

/// Where the fields of a header are.
const SIZE: std::ops::Range<usize> = 124..136;
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// A file among others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub name: String,
    pub content: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the file is not an archive of plain files, or not a whole one")]
pub struct TarFault;

/// The archive of these parts, whose names are short and plain.
pub fn write(parts: &[Part]) -> Vec<u8> {
    let mut out = Vec::new();
    for Part { name, content } in parts {
        out.extend_from_slice(&header(name, content.len()));
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
    }
    out.resize(out.len() + 2 * BLOCK, 0);
    out
}

fn header(name: &str, length: usize) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    let mut put = |at: usize, text: &str| {
        let place = header.get_mut(at..at + text.len());
        place.expect("a field fits a header").copy_from_slice(text.as_bytes());
    };
    assert!(name.len() < NAME_BYTES_MAX, "parts have short names");
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(SIZE.start, &format!("{length:011o}\0"));
    put(136, "00000000000\0");
    put(CHECKSUM.start, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum = sum_of(&header);
    let text = format!("{sum:06o}\0 ");
    header
        .get_mut(CHECKSUM)
        .expect("a header has a checksum")
        .copy_from_slice(text.as_bytes());
    header
}

/// Over a header whose checksum is blanks.
fn sum_of(header: &[u8]) -> u32 {
    header.iter().map(|byte| u32::from(*byte)).sum()
}

/// The parts of an archive, in order.
pub fn read(archive: &[u8]) -> Result<Vec<Part>, TarFault> {
    if archive.len() > ARCHIVE_BYTES_MAX {
        return Err(TarFault);
    }
    let mut parts = Vec::new();
    let mut rest = archive;
    loop {
        let (header, after) = rest.split_at_checked(BLOCK).ok_or(TarFault)?;
        if header.iter().all(|byte| *byte == 0) {
            // nothing follows the end
            return after.iter().all(|byte| *byte == 0).then_some(parts).ok_or(TarFault);
        }
        let (name, length) = fields(header)?;
        let (content, after) = after.split_at_checked(length).ok_or(TarFault)?;
        let padding = length.next_multiple_of(BLOCK) - length;
        let (padding, after) = after.split_at_checked(padding).ok_or(TarFault)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(TarFault);
        }
        parts.push(Part {
            name,
            content: content.to_vec(),
        });
        rest = after;
    }
}

/// Name and length, where the header is exactly the one that this module writes for them.
fn fields(given: &[u8]) -> Result<(String, usize), TarFault> {
    let name: Vec<u8> = given.iter().copied().take_while(|byte| *byte != 0).collect();
    let name = String::from_utf8(name).map_err(|_| TarFault)?;
    let digits = given.get(SIZE.start..SIZE.end - 1).ok_or(TarFault)?;
    let digits = std::str::from_utf8(digits).map_err(|_| TarFault)?;
    let length = usize::from_str_radix(digits, 8).map_err(|_| TarFault)?;
    if name.len() < NAME_BYTES_MAX && header(&name, length).as_slice() == given {
        Ok((name, length))
    } else {
        Err(TarFault)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_are_read_as_they_were_written(
            parts in prop::collection::vec(("[a-z0-9.-]{1,40}", prop::collection::vec(any::<u8>(), 0..1200)), 0..5),
        ) {
            let parts: Vec<Part> = parts.into_iter().map(|(name, content)| Part { name, content }).collect();
            prop_assert_eq!(read(&write(&parts)), Ok(parts));
        }

        #[test]
        fn no_bytes_panic_and_no_change_goes_unseen(place in any::<prop::sample::Index>(), change in 1_u8..) {
            let parts = vec![Part { name: "a.bin".to_owned(), content: vec![7; 700] }];
            let mut archive = write(&parts);
            let place = place.index(archive.len());
            archive[place] ^= change;
            prop_assert_ne!(read(&archive), Ok(parts));
        }
    }

    #[test]
    fn a_cut_archive_is_refused() {
        let parts = [Part {
            name: "a.bin".to_owned(),
            content: vec![7; 700],
        }];
        let archive = write(&parts);
        for length in [0, 100, 512, 1000, archive.len() - 1025] {
            assert_eq!(read(&archive[..length]), Err(TarFault));
        }
    }
}
