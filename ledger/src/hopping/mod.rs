//! Hopping: orders go on while a shard group is down, and nothing posts twice for it.
//!
//! A *shard group* is a PostgreSQL primary with its standbys; it holds some of the shards. An order's *home* is the shard
//! of its account. While the home's group is down an order is accepted elsewhere, refused definitely, or said to be in
//! process; never guessed at.
//!
//! ```text
//!             home's group lives ─────────────────────────────────▶ home
//!   order ──▶ home's group down: payout ─────────▶ taken in by T     Dr NetworkClearing  Cr Suspense         "posted"
//!                                payment ────────▶ nothing was posted, or stood in:
//!                                                  taken in by T     Dr StandInAdvance   Cr NetworkClearing  "posted"
//!                                refund, other ──▶ nothing was posted: they need the home's books
//!   later ──▶ home is back: settled at home        Dr Suspense         Cr customer  (a payment: Dr customer Cr StandInAdvance)
//!             home had posted it after all:        compensated at T, by the reverse of what T posted
//!             home refuses it:                     unapplied; the money waits in Suspense or StandInAdvance for an operator
//!             then closed at T
//! ```
//!
//! **Who decides that a group is down** ([`selector`]): failures of calls that write, and a probe that writes, within a
//! window. A read proves nothing: a recovered database may be read-only. Nobody waits for a group that is down: what is
//! queued for its shards is routed anew at once. Each process decides for itself, so two processes may differ, and
//! everything below holds when they do.
//!
//! **Where an order goes** ([`route`]): groups stand in a ring, in the order of the configuration. A payout goes to the next
//! live group after its home's, there to the shard that the home's number picks. A stand-in goes to the next group
//! or nowhere, so that the limit of an agreement and day is counted in one place.
//!
//! **Coming home** ([`settlement`], [`homecoming`]): fence, list, settle at home, close at T. Each step is idempotent and is repeated
//! until it is done, by whichever process is there.
//!
//! # Why nothing posts twice, and nothing is lost
//!
//! * *Same process, same key.* A key has one post under way ([`crate::claims`]). A post at T or at home first looks the key
//!   up in every shard of a live group, so a resend finds the hop at T or what the home made of it.
//! * *Late commit.* A commit at home of which no answer came may be there. A payment is then in process until the home is
//!   asked again. A payout may hop: if the home had it after all, settlement finds the key there under another serial
//!   and has T's posting reversed. The same holds when two processes disagree: one hops, the other posts at home.
//! * *Fence.* Settlement reads the home only after the home's epoch has been raised beyond that of the hop, and under the
//!   shard's lock. A commit checks the epoch it began under, so after that nothing of an earlier connection can appear.
//! * *Two hops of one key* (T died before the hop came home, and the resend hopped to another): the home settles the one
//!   it is asked about first and remembers its serial; the other is compensated. That is why settlement compares serials
//!   and not only keys.
//! * *Hops of a key that the home refused by itself* (the refusal was in doubt or came late, or the order was sent again while
//!   the home was down): the first that comes home is written down as settled, with that refusal, in place of the refusal. So
//!   the home remembers which hop counts, and tells it as it was told; it is unapplied, and every other is compensated, in
//!   whatever order they come and however often they are asked about.
//! * *Order of commits.* The home's commit comes before the close at T. Between the two the money is in the customer's
//!   account and the hop row still open; the repeat finds its own serial at home and only closes.
//! * *What was answered stays.* The network was told "posted" with T's serial; the home remembers just that, also when it
//!   refuses to apply it. A refusal at home does not take the money back from the network: it is unapplied.
//! * *Sums.* Over all shards Suspense and `StandInAdvance` come to what is open or unapplied, and to zero when nothing is.
//!
//! # What is answered while something cannot be seen
//!
//! * A query that finds nothing while a group is down is "in process", never "not found".
//! * A payout or payment whose home lives, but which may have hopped into a group that is now down ([`owed`]),
//!   is in process if the home does not know it: saying "refused" or posting it again would contradict an earlier answer.
//! * A refund while a stand-in of its home may be open elsewhere is in process: its original may be that stand-in, and
//!   "original not found" would be final and wrong. Nothing was posted, and a query says so.
//! * An order that its home has refused and another shard told as posted since (a late refusal, or a resend while the home
//!   was down) stays posted: what was taken in elsewhere goes before the refusal. It is in process while that
//!   shard cannot be asked, until the home has been told of it.
//!
//! # While groups come and go
//!
//! The map changes while everything goes on ([`regrouping`]); it is a hint to where orders are sent and nothing rests on it. Whether a
//! shard may be written where it is looked for is said by its row, under its lock; a store that finds it gone follows it. A
//! hop row goes along with the shard that took it in, so debts are noted by shard. Where the shards are at the start, and
//! that none is made twice, is worked out in [`survey`] from what all databases say; [`placement`] keeps it for the process.
//!
//! # How long it is remembered
//!
//! A hop that is settled or compensated is of use for as long as its order may be sent again: its row goes with the record
//! of its transfer, `kept_days` after the day in the transfer's id. One that is open or unapplied stays however old it is.
//!
//! # What it deliberately does not do
//!
//! * A stand-in's limit is counted where the map sends it: on a day on which groups change, perhaps in two shards.
//! * A key used a second time for *another* account, while the group that holds the first use is down, is not recognised
//!   as a conflict. It would take a directory of keys over all groups, in every commit. Reconciliation finds it.
//! * After a compensation the home's own posting stands, with the home's serial; a caller who was told T's serial before
//!   is told the home's from then on.
//! * It does not choose between two primaries. A standby that was promoted must be the only one that commits:
//!   synchronous replication makes the old primary wait for ever, and what waits is in doubt and never answered as posted.
//! * An unapplied hop is not retried: why the home refused is for a person to judge, and a supplement or a reversal ends it.

pub mod groups;
pub mod homecoming;
pub mod listing;
pub mod map;
pub mod owed;
pub mod placement;
pub mod regrouping;
pub mod route;
pub mod selector;
pub mod settings;
pub mod settlement;
pub mod survey;
