//! A model of the broker: partitions that take pieces of the journal whole, from whoever took them over last. It goes
//! away, loses pieces, keeps them without saying so, leaves them open to be settled later, and its topic is cut back or
//! made anew.

use std::sync::{Arc, Mutex, MutexGuard};

use ledger::shipping::{Broker, PartitionEnd, ShipFault};
use ledger_model::{ShardCount, ShardId};

use crate::chance::Chance;

/// One in so many pieces meets with a fault, while the broker is there.
const FAULT_ONE_IN: usize = 6;

/// All partitions; outlives every process.
#[derive(Debug, Clone)]
pub(crate) struct Topic(Arc<Mutex<Partitions>>);

#[derive(Debug)]
struct Partitions {
    chance: Chance,
    is_away: bool,
    goes_wrong: bool,
    producers: u64,
    all: Vec<Partition>,
    met: Met,
}

#[derive(Debug, Clone, Default)]
struct Partition {
    /// What consumers see as committed.
    log: Vec<Vec<u8>>,
    /// How often it lost something.
    cuts: u64,
    owner: Option<u64>,
    /// Of a producer that was not told what became of it.
    open: Option<Vec<Vec<u8>>>,
}

/// What happened to whoever shipped.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Met {
    pub(crate) calls_while_away: u64,
    pub(crate) pieces_lost: u64,
    pub(crate) pieces_in_doubt: u64,
    pub(crate) fenced: u64,
    pub(crate) cuts: u64,
}

/// A connection to one partition.
struct Link {
    topic: Topic,
    shard: ShardId,
    /// `None` before it took the partition over.
    producer: Option<u64>,
    /// Cuts of the partition and records in it, as far as is known here.
    place: (u64, usize),
}

fn gone(doing: &'static str) -> ShipFault {
    ShipFault::Broker {
        doing,
        source: Box::new(std::io::Error::other("told to fail")),
    }
}

impl Topic {
    pub(crate) fn new(shards: ShardCount, chance: Chance) -> Self {
        Self(Arc::new(Mutex::new(Partitions {
            chance,
            is_away: false,
            goes_wrong: true,
            producers: 0,
            all: shards.all().map(|_| Partition::default()).collect(),
            met: Met::default(),
        })))
    }

    fn held(&self) -> MutexGuard<'_, Partitions> {
        self.0.lock().unwrap()
    }

    pub(crate) fn connect(&self, shard: ShardId) -> Result<Box<dyn Broker>, ShipFault> {
        drop(self.reached("connect")?);
        Ok(Box::new(Link {
            topic: self.clone(),
            shard,
            producer: None,
            place: (0, 0),
        }))
    }

    fn reached(&self, doing: &'static str) -> Result<MutexGuard<'_, Partitions>, ShipFault> {
        let mut held = self.held();
        if held.is_away {
            held.met.calls_while_away += 1;
            return Err(gone(doing));
        }
        Ok(held)
    }

    pub(crate) fn set_away(&self, is_away: bool) {
        self.held().is_away = is_away;
    }

    /// It is there, and nothing goes wrong with it any more.
    pub(crate) fn is_well_again(&self) {
        let mut held = self.held();
        held.is_away = false;
        held.goes_wrong = false;
    }

    /// A partition loses its end, or all of it, with whatever was open.
    pub(crate) fn cut(&self, shard: ShardId) {
        let mut held = self.held();
        let records = held.all[shard.index()].log.len();
        let anew = held.chance.per_mille(500);
        let left = if anew { 0 } else { held.chance.below(records + 1) };
        let partition = &mut held.all[shard.index()];
        partition.cuts += 1;
        partition.log.truncate(left);
        partition.open = None;
        if anew {
            partition.owner = None;
        }
        held.met.cuts += u64::from(left < records);
    }

    /// What was left open gets there, if nobody has taken the partition over since.
    pub(crate) fn late_gets_there(&self, shard: ShardId) -> bool {
        let mut held = self.held();
        let partition = &mut held.all[shard.index()];
        let open = partition.open.take();
        let is_late = open.is_some();
        partition.log.extend(open.into_iter().flatten());
        is_late
    }

    /// What consumers see from record `from` on, counted from 0, and how often the partition lost something.
    pub(crate) fn seen(&self, shard: ShardId, from: usize) -> (u64, Vec<Vec<u8>>) {
        let held = self.held();
        let partition = &held.all[shard.index()];
        (partition.cuts, partition.log.iter().skip(from).cloned().collect())
    }

    pub(crate) fn records(&self, shard: ShardId) -> (u64, usize) {
        let held = self.held();
        let partition = &held.all[shard.index()];
        (partition.cuts, partition.log.len())
    }

    pub(crate) fn met(&self) -> Met {
        self.held().met
    }
}

impl Link {
    fn partition<'a>(&self, held: &'a mut Partitions) -> &'a mut Partition {
        &mut held.all[self.shard.index()]
    }

    fn is_shut_out(&self, held: &mut Partitions) -> bool {
        let shut_out = self.producer.is_some() && self.partition(held).owner != self.producer;
        held.met.fenced += u64::from(shut_out);
        shut_out
    }
}

impl Broker for Link {
    fn prepare(&mut self, _shards: ShardCount) -> Result<(), ShipFault> {
        self.topic.reached("say what topics it has").map(drop)
    }

    fn end(&mut self) -> Result<PartitionEnd, ShipFault> {
        let topic = self.topic.clone();
        let mut held = topic.reached("say where a partition ends")?;
        let partition = self.partition(&mut held);
        self.place = (partition.cuts, partition.log.len());
        let last = partition.log.last().cloned();
        Ok(last.map_or(PartitionEnd::Empty, PartitionEnd::Record))
    }

    fn take_over(&mut self) -> Result<(), ShipFault> {
        let topic = self.topic.clone();
        let mut held = topic.reached("give a partition to a producer")?;
        held.producers += 1;
        let (producer, is_committed) = (held.producers, held.chance.per_mille(500));
        let answer_lost = held.goes_wrong && held.chance.below(FAULT_ONE_IN) == 0;
        let partition = self.partition(&mut held);
        partition.owner = Some(producer);
        let open = partition.open.take().filter(|_| is_committed);
        partition.log.extend(open.into_iter().flatten());
        if answer_lost {
            return Err(gone("say that a partition was given"));
        }
        self.producer = Some(producer);
        Ok(())
    }

    fn append(&mut self, _first: u64, records: &[Vec<u8>]) -> Result<(), ShipFault> {
        let topic = self.topic.clone();
        let mut held = topic.reached("keep a piece")?;
        if self.is_shut_out(&mut held) {
            return Err(ShipFault::Fenced);
        }
        let place = self.place;
        let partition = self.partition(&mut held);
        if place != (partition.cuts, partition.log.len()) {
            return Err(ShipFault::Moved);
        }
        let fails = held.goes_wrong && held.chance.below(FAULT_ONE_IN) == 0;
        let fate = if fails { held.chance.below(3) } else { 3 };
        match fate {
            0 => held.met.pieces_lost += 1,
            1 | 2 => held.met.pieces_in_doubt += 1,
            _ => {}
        }
        let partition = self.partition(&mut held);
        match fate {
            0 => Err(gone("take a piece")),
            1 => {
                partition.open = Some(records.to_vec());
                Err(gone("commit a piece"))
            }
            2 => {
                partition.log.extend(records.to_vec());
                Err(gone("say that a piece is committed"))
            }
            _ => {
                partition.log.extend(records.to_vec());
                self.place = (partition.cuts, partition.log.len());
                Ok(())
            }
        }
    }
}
