//! Net positions, their audit, and closing.

use batch_clearing::chunk::Chunk;
use batch_clearing::closing::{self, ClosingFault};
use batch_clearing::net::{self, NetReport};
use ledger_journal::{Event, EvidenceDigest};
use ledger_model::{
    Administration, BusinessDate, Decision, Entry, Hop, HopState, LedgerAccount, Side, Transfer, TransferKind,
};

use crate::copying::{copy, incoming, open};
use crate::server::Database;
use crate::{Test, sample};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("clearing::nets_kept_are_nets_recomputed", nets),
        Test::new("clearing::a_broken_invariant_is_named", violations),
        Test::new("clearing::what_comes_late_changes_no_net_of_a_closed_date", late),
        Test::new("clearing::a_date_closes_between_chunks_that_run", busy_closing),
        Test::new("clearing::other_dates_stay_open", other_dates),
        Test::new("clearing::a_hop_counts_once_and_a_compensated_one_not_at_all", hops),
        Test::new("clearing::adjustments_and_acts_are_taken_in", adjustments),
    ]
}

fn day() -> BusinessDate {
    sample::time().date()
}

/// Transfers of every kind over four batches and five institutions, in a shard.
fn mixed(shard: u8, numbers: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    let events = numbers.map(|number| {
        let distinct = u64::from(shard) * 1_000_000 + number;
        if number % 7 == 6 {
            return sample::decided(sample::refused(distinct, 500), Vec::new());
        }
        let kind = TransferKind::OF_MESSAGES[usize::try_from(number % 3).unwrap()];
        let minor = 100 + i64::try_from(number).unwrap() * 13;
        let (transfer, entries) = sample::transfer(kind, distinct, minor);
        sample::decided(transfer, entries)
    });
    sample::chain(sample::shard(shard), events)
}

async fn audited(database: &Database) -> NetReport {
    net::audited(&mut database.connect().await, day(), sample::bank())
        .await
        .unwrap()
}

async fn nets(database: Database) {
    for shard in 0..4 {
        copy(&database, shard, &mixed(shard, 0..100), 17).await;
    }
    let report = audited(&database).await;
    assert_eq!((report.state.as_str(), report.batches), ("open", 4));
    assert_eq!((report.transfers_posted, report.transfers_refused), (4 * 86, 4 * 14));
    let sum: i64 = report.positions.iter().map(|line| line.net_minor).sum();
    assert_eq!(sum, 0);
    let banks: Vec<_> = report.positions.iter().filter(|line| line.role == "bank").collect();
    assert_eq!(banks.len(), 4);
    let posted: i64 = banks.iter().map(|line| line.posted).sum();
    assert_eq!(posted, 4 * 86);
    // payments of numbers 0, 3, 6 …: what the bank owes is what was paid
    let paid = "SELECT sum(minor)::bigint FROM transfer WHERE kind = 'payment' AND refusal IS NULL";
    assert_eq!(
        banks.iter().map(|line| line.debit_minor).sum::<i64>(),
        database.number(paid).await
    );
}

async fn violations(database: Database) {
    copy(&database, 0, &mixed(0, 0..30), 10).await;
    audited(&database).await;
    let check = async |damage: &str, expected: &str, repair: &str| {
        database.execute(damage).await;
        let refused = net::audited(&mut database.connect().await, day(), sample::bank())
            .await
            .unwrap_err();
        assert!(refused.to_string().contains(expected), "{damage}: {refused}");
        database.execute(repair).await;
        audited(&database).await;
    };
    let bank = sample::bank();
    let of_bank = format!("WHERE institution = '{bank}' AND batch_id = 'B202603020001'");
    check(
        &format!("UPDATE net_position SET credit_minor = credit_minor + 1 {of_bank}"),
        "invariant C1 (net positions per currency and batch sum to zero) is broken: batch B202603020001 sums to CNY0.01",
        &format!("UPDATE net_position SET credit_minor = credit_minor - 1 {of_bank}"),
    )
    .await;
    check(
        "UPDATE net_position SET posted = posted + 1",
        "invariant C3 (stored nets equal nets recomputed) is broken: batch B202603020001",
        "UPDATE net_position SET posted = posted - 1",
    )
    .await;
    let clearing = "account_kind = 'network_clearing' AND sequence = 5";
    check(
        &format!("UPDATE entry SET batch_id = 'B202603029999' WHERE {clearing}"),
        "invariant C2 (every entry is in exactly one batch) is broken: record 5 of shard 0",
        &format!("UPDATE entry SET batch_id = 'B202603020001' WHERE {clearing}"),
    )
    .await;
    check(
        "UPDATE entry SET minor = minor + 1 WHERE account_kind = 'customer' AND sequence = 5",
        "invariant L1 (a posting debits and credits the same money) is broken: record 5 of shard 0",
        "UPDATE entry SET minor = minor - 1 WHERE account_kind = 'customer' AND sequence = 5",
    )
    .await;
    check(
        "CREATE TABLE kept AS SELECT * FROM transfer WHERE sequence = 3; \
         UPDATE transfer SET transfer_id = (SELECT transfer_id FROM transfer WHERE sequence = 4), \
         category = (SELECT category FROM transfer WHERE sequence = 4) WHERE sequence = 3",
        "invariant L4 (a message id posts at most once) is broken",
        "UPDATE transfer SET transfer_id = kept.transfer_id, category = kept.category FROM kept \
         WHERE transfer.sequence = 3",
    )
    .await;
}

async fn late(database: Database) {
    let journal = mixed(0, 0..40);
    copy(&database, 0, &journal[..30], 10).await;
    let before = audited(&database).await;
    let mut client = database.connect().await;
    let closed = closing::close(&mut client, day(), day()).await.unwrap();
    assert_eq!((closed.closed_now, closed.batches, closed.late_transfers), (true, 4, 0));
    let (mut writer, position) = open(&database, 0).await;
    let chunk = Chunk::prepare(position.chain, &incoming(&journal[30..], 0), sample::bank()).unwrap();
    assert_eq!(writer.commit(chunk).await.unwrap().late, 10);
    let after = audited(&database).await;
    assert_eq!(after.positions, before.positions);
    assert_eq!((after.state.as_str(), after.late_transfers), ("closed", 10));
    // a batch that nobody had heard of before the date was closed is closed from the start
    let (transfer, entries) = sample::transfer(TransferKind::Payment, 2_000_001, 500);
    let transfer = Transfer {
        batch: sample::batch(9),
        ..transfer
    };
    copy(
        &database,
        2,
        &sample::chain(sample::shard(2), [sample::decided(transfer, entries)]),
        1,
    )
    .await;
    assert_eq!(
        database.number("SELECT count(*) FROM batch WHERE state = 'open'").await,
        0
    );
    assert_eq!(database.number("SELECT count(*) FROM late_transfer").await, 11);
    let again = closing::close(&mut client, day(), day()).await.unwrap();
    assert_eq!((again.closed_now, again.batches, again.late_transfers), (false, 5, 11));
    assert_eq!(
        database
            .number("SELECT sequence FROM closing_position WHERE shard = 0")
            .await,
        30
    );
    let tomorrow: BusinessDate = "2026-03-03".parse().unwrap();
    let refused = closing::close(&mut client, tomorrow, day()).await.unwrap_err();
    assert!(matches!(refused, ClosingFault::NotBegun(_)), "{refused}");
}

async fn busy_closing(database: Database) {
    let shards = (0..3).map(|shard| {
        let database = database.clone();
        tokio::spawn(async move { copy(&database, shard, &mixed(shard, 0..400), 5).await })
    });
    let shards: Vec<_> = shards.collect();
    let mut client = database.connect().await;
    while database.number("SELECT count(*) FROM transfer").await < 100 {
        tokio::task::yield_now().await;
    }
    closing::close(&mut client, day(), day()).await.unwrap();
    for shard in shards {
        shard.await.unwrap();
    }
    // every transfer is either in a net position or late, never both and never neither: the audit recomputes exactly that
    let report = audited(&database).await;
    let posted: i64 = report
        .positions
        .iter()
        .filter(|line| line.role == "bank")
        .map(|line| line.posted)
        .sum();
    let late = "SELECT count(*) FROM late_transfer WHERE refusal IS NULL";
    assert_eq!(
        posted + database.number(late).await,
        i64::try_from(report.transfers_posted).unwrap()
    );
    assert!(posted > 0);
}

async fn other_dates(database: Database) {
    copy(&database, 0, &mixed(0, 0..10), 10).await;
    let mut client = database.connect().await;
    let other: BusinessDate = "2026-03-01".parse().unwrap();
    closing::close(&mut client, other, day()).await.unwrap();
    let report = audited(&database).await;
    assert_eq!((report.state.as_str(), report.late_transfers), ("open", 0));
    assert_eq!(
        database.number("SELECT count(*) FROM batch WHERE state = 'open'").await,
        4
    );
}

/// A payout taken in by shard 1 for shard 0, and what takes it back.
fn hopped(number: u64) -> (Transfer, Vec<Entry>, Vec<Entry>) {
    let (transfer, mut entries) = sample::transfer(TransferKind::Payout, number, 700);
    entries[0].account = LedgerAccount::Suspense;
    let back = entries.iter().map(|entry| Entry {
        side: entry.side.other(),
        ..*entry
    });
    let back = back.collect();
    (transfer, entries, back)
}

fn hop(number: u64) -> Event {
    let (transfer, entries, _) = hopped(number);
    Event::TransferHopped {
        transfer,
        entries,
        evidence: EvidenceDigest([5; 32]),
        hop: Hop {
            home: sample::shard(0),
            attempt: 2,
            epoch: 7,
        },
    }
}

fn closed(number: u64, state: HopState) -> Event {
    let (transfer, _, back) = hopped(number);
    let entries = if state == HopState::Compensated {
        back
    } else {
        Vec::new()
    };
    Event::HopClosed {
        transfer,
        state,
        entries,
    }
}

fn settled(number: u64) -> Event {
    let (transfer, entries, _) = hopped(number);
    let entry = |account, side| Entry {
        account,
        side,
        amount: entries[0].amount,
    };
    let customer = LedgerAccount::Customer(transfer.account.unwrap());
    let entries = vec![
        entry(LedgerAccount::Suspense, Side::Debit),
        entry(customer, Side::Credit),
    ];
    Event::HopSettled {
        transfer,
        decision: Decision::Posted,
        entries,
    }
}

async fn hops(database: Database) {
    copy(&database, 2, &mixed(2, 0..20), 10).await;
    let without = audited(&database).await;
    // 1 hops and is settled at home; 2 hops, and home had posted it after all
    let (late, entries) = sample::transfer(TransferKind::Payout, 2, 700);
    let home = [settled(1), sample::decided(late, entries)];
    copy(&database, 0, &sample::chain(sample::shard(0), home), 1).await;
    let taken_in = sample::chain(
        sample::shard(1),
        [
            hop(1),
            hop(2),
            closed(1, HopState::Settled),
            closed(2, HopState::Compensated),
        ],
    );
    // one record at a time: until it is compensated it is posted twice, and the audit says so
    copy(&database, 1, &taken_in[..3], 1).await;
    let doubled = net::audited(&mut database.connect().await, day(), sample::bank()).await;
    let said = doubled.unwrap_err().to_string();
    assert!(
        said.contains("invariant L4 (a message id posts at most once)"),
        "{said}"
    );
    assert_eq!(database.number("SELECT count(*) FROM open_hop").await, 1);
    let (mut writer, position) = open(&database, 1).await;
    let rest = Chunk::prepare(position.chain, &incoming(&taken_in[3..], 0), sample::bank()).unwrap();
    writer.commit(rest).await.unwrap();

    let report = audited(&database).await;
    assert_eq!(report.transfers_posted, without.transfers_posted + 2);
    let bank = |report: &NetReport, part: fn(&net::NetLine) -> i64| -> i64 {
        let lines = report.positions.iter().filter(|line| line.role == "bank");
        lines.map(part).sum()
    };
    assert_eq!(
        bank(&report, |line| line.posted),
        bank(&without, |line| line.posted) + 2
    );
    assert_eq!(
        bank(&report, |line| line.credit_minor),
        bank(&without, |line| line.credit_minor) + 1_400
    );
    assert_eq!(
        bank(&report, |line| line.debit_minor),
        bank(&without, |line| line.debit_minor)
    );
    assert_eq!(database.number("SELECT count(*) FROM open_hop").await, 0);
    let suspense = "SELECT sum(CASE side WHEN 'D' THEN minor ELSE -minor END)::bigint FROM entry \
         WHERE account_kind = 'suspense'";
    assert_eq!(database.number(suspense).await, 0);
    assert_eq!(
        database
            .number("SELECT sum(home + attempt + epoch)::bigint FROM hop")
            .await,
        18
    );
    assert_eq!(
        database
            .number("SELECT count(*) FROM hop_settlement WHERE refusal IS NULL")
            .await,
        1
    );
}

async fn adjustments(database: Database) {
    let of_kind = |kind, number| {
        let (transfer, mut entries) = sample::transfer(kind, number, 300);
        if kind == TransferKind::Supplement {
            entries[1].account = LedgerAccount::Fee;
        }
        sample::decided(transfer, entries)
    };
    let act = Event::Administered {
        act: Administration::CloseThrough { date: day() },
        operator: "wang.fang (user:1000)".parse().unwrap(),
        reason: "night run".parse().unwrap(),
    };
    let events = [
        of_kind(TransferKind::Payment, 1),
        of_kind(TransferKind::Reversal, 1),
        of_kind(TransferKind::Supplement, 2),
        act,
    ];
    copy(&database, 0, &sample::chain(sample::shard(0), events), 2).await;
    let report = audited(&database).await;
    assert_eq!(report.transfers_posted, 3);
    // the payment and its reversal, of one batch and institution; the supplement is no affair of the network's
    let nets: Vec<_> = report
        .positions
        .iter()
        .map(|line| (line.posted, line.net_minor))
        .collect();
    assert_eq!(nets, [(2, 0), (2, 0)]);
    let recorded = "SELECT count(*) FROM administration WHERE act = 'close_through' AND detail = '2026-03-02' \
         AND operator = 'wang.fang (user:1000)' AND reason = 'night run' AND account IS NULL";
    assert_eq!(database.number(recorded).await, 1);
}
