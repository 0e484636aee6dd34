//! The part of the configuration that says which token keys there are, and which of them is issued.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::tokens::Generation;

/// The generation of a key that is given without a number.
const FIRST: u32 = 1;
const GENERATIONS_MAX: usize = 2;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// The key of generation 1: 64 hexadecimal digits.
    pub key_file: Option<PathBuf>,
    /// The generation that tokens are made under; must be said once there are two.
    pub issue: Option<u32>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenKeyEntry {
    pub generation: u32,
    /// 64 hexadecimal digits.
    pub key_file: PathBuf,
}

/// One token key, wherever in the configuration it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenKeySource<'c> {
    pub(crate) generation: Generation,
    pub(crate) key_file: &'c Path,
    /// Whether tokens are made under it.
    pub(crate) issued: bool,
}

/// The keys of both forms, one of them issued.
pub(super) fn sources<'c>(
    tokens: &'c Tokens,
    entries: &'c [TokenKeyEntry],
) -> Result<Vec<TokenKeySource<'c>>, &'static str> {
    let unnumbered = tokens.key_file.as_deref().map(|file| (FIRST, file));
    let numbered = entries.iter().map(|entry| (entry.generation, &*entry.key_file));
    let keys: Vec<(u32, &Path)> = unnumbered.into_iter().chain(numbered).collect();
    if keys.len() > GENERATIONS_MAX {
        return Err("there may be two generations of the token key at most");
    }
    let issue = match (keys.first(), keys.last(), tokens.issue) {
        (None, _, _) | (_, None, _) => return Err("there is no token key: [tokens] key_file, or [[token_key]]"),
        (Some((first, _)), Some((last, _)), _) if keys.len() > 1 && first == last => {
            return Err("two token keys have one generation");
        }
        (Some(_), Some(_), Some(issue)) => issue,
        (Some((only, _)), Some(_), None) if keys.len() == 1 => *only,
        (Some(_), Some(_), None) => return Err("[tokens] issue must say which of the two generations is issued"),
    };
    if !keys.iter().any(|(generation, _)| *generation == issue) {
        return Err("[tokens] issue names a generation that has no key");
    }
    let sources = keys.into_iter().map(|(generation, key_file)| TokenKeySource {
        generation: Generation(generation),
        key_file,
        issued: generation == issue,
    });
    Ok(sources.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_generation_is_issued_or_the_configuration_refused() {
        #[track_caller]
        fn check(unnumbered: bool, numbered: &[u32], issue: Option<u32>, expected: Result<&[(u32, bool)], &str>) {
            let tokens = Tokens {
                key_file: unnumbered.then(|| "file".into()),
                issue,
            };
            let entries: Vec<_> = numbered
                .iter()
                .map(|generation| TokenKeyEntry {
                    generation: *generation,
                    key_file: "file".into(),
                })
                .collect();
            let found = sources(&tokens, &entries);
            let found = found.map(|sources| -> Vec<(u32, bool)> {
                sources
                    .iter()
                    .map(|source| (source.generation.0, source.issued))
                    .collect()
            });
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(said), Err(expected)) => assert!(said.contains(expected), "{said}"),
                (found, expected) => panic!("{found:?} where {expected:?} was expected"),
            }
        }
        check(true, &[], None, Ok(&[(1, true)]));
        check(false, &[7], None, Ok(&[(7, true)]));
        check(true, &[2], Some(1), Ok(&[(1, true), (2, false)]));
        check(true, &[2], Some(2), Ok(&[(1, false), (2, true)]));
        check(false, &[2, 3], Some(3), Ok(&[(2, false), (3, true)]));
        check(false, &[], None, Err("there is no token key"));
        check(true, &[2], None, Err("issue must say"));
        check(true, &[2], Some(3), Err("has no key"));
        check(true, &[1], Some(1), Err("have one generation"));
        check(false, &[2, 2], Some(2), Err("have one generation"));
        check(true, &[2, 3], Some(1), Err("two generations of the token key at most"));
        check(true, &[], Some(2), Err("has no key"));
    }
}
