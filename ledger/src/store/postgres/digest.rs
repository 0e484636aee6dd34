//! What a transfer is found by: sixteen bytes, the same in every shard of the database.

use std::error::Error;

use bytes::BufMut;
use bytes::BytesMut;
use ledger_model::TransferKey;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

/// The day in the transfer's id, `yyyyMMdd` in four bytes, then the first twelve bytes of the SHA-256 of its key. Days lie
/// together, so that what is written in a day touches few pages and expires as one range. Two keys of one digest would
/// be taken for one and the second refused as not written; nobody meets 96 bits by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Digest([u8; 16]);

impl Digest {
    pub(super) fn of(key: &TransferKey) -> Self {
        let mut digest = Self::first_of(key.id.date().number());
        let hash = key.digest();
        let places = digest.0.iter_mut().skip(4);
        places.zip(hash).for_each(|(place, byte)| *place = byte);
        digest
    }

    /// Not above any digest of that day, above every one of the days before.
    pub(super) fn first_of(day: u32) -> Self {
        let mut digest = [0; 16];
        digest
            .iter_mut()
            .zip(day.to_be_bytes())
            .for_each(|(place, byte)| *place = byte);
        Self(digest)
    }
}

impl ToSql for Digest {
    fn to_sql(&self, _kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(&self.0);
        Ok(IsNull::No)
    }

    accepts!(UUID);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Digest {
    fn from_sql(_kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw.try_into()?))
    }

    accepts!(UUID);
}
