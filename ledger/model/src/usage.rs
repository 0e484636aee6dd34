//! What is counted day by day.

use crate::{AccountToken, AgreementNumber};

/// Whose payments are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UsageSubject {
    Agreement(AgreementNumber),
    /// An account that has limits.
    Account(AccountToken),
    /// An agreement whose home cannot be reached, in the shard that stands in for it.
    StandIn(AgreementNumber),
}
