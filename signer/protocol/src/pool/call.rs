//! One call on its way through a pool.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use operations::exchange::{CallFault, Reason};
use tokio::time::Instant;

use super::balance::{Late, Place, Tried, Why};
use super::member::Ending;
use super::{Connection, Signers};
use crate::answer::{Answer, Failure};
use crate::client::{SignerFault, failed, unreadable};
use crate::wire;
use crate::work::Work;

pub(super) struct Call<'a> {
    signers: &'a Signers,
    /// None once it was given to the only signer.
    what: Option<wire::work::What>,
    deadline: Instant,
    /// Whether a second signer may be asked while the first one works.
    may_be_hedged: bool,
    /// Bulk work takes long without the signer being slow.
    tells_latency: bool,
    tried: Tried,
    /// Where it is outstanding, the latest last.
    waiting: Vec<Place>,
}

/// What came back from one signer.
struct Landed {
    place: Place,
    took: Duration,
    outcome: Result<wire::reply::What, CallFault>,
}

/// What that means for the call.
enum Meaning {
    Settled(Result<Answer, SignerFault>),
    /// Another signer may do better.
    Elsewhere(SignerFault),
}

impl<'a> Call<'a> {
    pub(super) fn new(signers: &'a Signers, work: Work, deadline: Instant) -> Self {
        let (may_be_hedged, tells_latency) = match &work {
            Work::Open(_) | Work::Seal(_) | Work::Sign(_) => (true, true),
            Work::Tokenise(_) => (false, false),
            // in the audit log: none that nobody asked for
            Work::Reveal(_) => (false, true),
        };
        Self {
            signers,
            what: Some(work.into()),
            deadline,
            may_be_hedged,
            tells_latency,
            tried: Tried::default(),
            waiting: Vec::new(),
        }
    }

    /// Ends by the deadline whatever happens.
    pub(super) async fn run(self) -> Result<Answer, SignerFault> {
        if self.signers.connections.len() > 1 {
            self.run_among_several().await
        } else {
            self.run_alone().await
        }
    }

    /// There is nobody else to ask, so there is nothing to watch but the deadline.
    async fn run_alone(mut self) -> Result<Answer, SignerFault> {
        let flight = self.give(Why::First).and_then(|place| self.fly(place));
        let Some(flight) = flight else {
            return Err(SignerFault::Lost);
        };
        let Ok(landed) = tokio::time::timeout_at(self.deadline, flight).await else {
            self.give_up_rest();
            return Err(SignerFault::Lost);
        };
        match self.judge(landed) {
            Meaning::Settled(outcome) => outcome,
            Meaning::Elsewhere(fault) => Err(fault),
        }
    }

    async fn run_among_several(mut self) -> Result<Answer, SignerFault> {
        let deadline = self.deadline;
        let mut flights = FuturesUnordered::new();
        flights.extend(self.give(Why::First).and_then(|place| self.fly(place)));
        let patience = self.signers.hedge_after();
        let look_at = |now: Instant| (now + patience).min(deadline);
        let timer = tokio::time::sleep_until(look_at(Instant::now()));
        tokio::pin!(timer);
        loop {
            tokio::select! {
                biased;
                Some(landed) = flights.next() => match self.judge(landed) {
                    Meaning::Settled(outcome) => {
                        self.give_up_rest();
                        return outcome;
                    }
                    Meaning::Elsewhere(fault) => {
                        flights.extend(self.give(Why::Retry).and_then(|place| self.fly(place)));
                        if flights.is_empty() {
                            return Err(fault);
                        }
                    }
                },
                () = &mut timer => {
                    let now = Instant::now();
                    if now >= deadline {
                        self.give_up_rest();
                        return Err(SignerFault::Lost);
                    }
                    flights.extend(self.look_again(now).and_then(|place| self.fly(place)));
                    timer.as_mut().reset(look_at(now));
                }
            }
        }
    }

    /// Gives it to a signer that has not had it; none when all have.
    fn give(&mut self, why: Why) -> Option<Place> {
        let tried = &mut self.tried;
        self.signers
            .decide(|balance| balance.assign(tried, why, Instant::now()))
    }

    /// After a while without an answer.
    fn look_again(&mut self, now: Instant) -> Option<Place> {
        let waits_at = *self.waiting.last()?;
        let (tried, may_be_hedged) = (&mut self.tried, &mut self.may_be_hedged);
        let late = self
            .signers
            .decide(|balance| balance.late(waits_at, tried, may_be_hedged, now));
        match late {
            Late::Ask(place) => Some(place),
            Late::Wait => None,
        }
    }

    fn fly(&mut self, place: Place) -> Option<impl Future<Output = Landed> + use<'a>> {
        let connection = self.signers.connections.get(place.0)?;
        let what = if self.signers.connections.len() == 1 {
            self.what.take()
        } else {
            self.what.clone()
        };
        self.waiting.push(place);
        Some(fly(connection, place, what?, self.deadline))
    }

    fn judge(&mut self, landed: Landed) -> Meaning {
        let Landed { place, took, outcome } = landed;
        let (ending, meaning) = match outcome.map(Answer::try_from) {
            Ok(Ok(Answer::Failed(failure, text))) => of_failure(failure, text, took),
            Ok(Ok(answer)) => (Ending::Answered { after: took }, Meaning::Settled(Ok(answer))),
            Ok(Err(malformed)) => (Ending::Failed, Meaning::Elsewhere(unreadable(malformed))),
            Err(fault) => of_fault(fault),
        };
        let ending = match ending {
            Ending::Answered { .. } if !self.tells_latency => Ending::TurnedAway,
            other => other,
        };
        self.waiting.retain(|waits_at| *waits_at != place);
        self.signers
            .decide(|balance| balance.end(place, ending, Instant::now()));
        meaning
    }

    /// Another answered first, or the deadline passed.
    fn give_up_rest(&mut self) {
        self.end_waiting(Ending::Unanswered);
    }

    fn end_waiting(&mut self, ending: Ending) {
        if self.waiting.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut self.waiting);
        self.signers.decide(|balance| {
            for place in waiting {
                balance.end(place, ending, Instant::now());
            }
        });
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.end_waiting(Ending::Dropped);
    }
}

async fn fly(connection: &Connection, place: Place, what: wire::work::What, deadline: Instant) -> Landed {
    let start = Instant::now();
    let outcome = match connection.calls.begin(what, deadline).await {
        Ok(mut begun) => begun.answer().await,
        Err(fault) => Err(fault),
    };
    Landed {
        place,
        took: start.elapsed(),
        outcome,
    }
}

/// Not done, says the signer.
fn of_failure(failure: Failure, text: String, took: Duration) -> (Ending, Meaning) {
    let fault = failed(failure, text);
    match failure {
        Failure::Busy | Failure::NoKey => (Ending::TurnedAway, Meaning::Elsewhere(fault)),
        Failure::KeyUnavailable | Failure::Internal => (Ending::Failed, Meaning::Elsewhere(fault)),
        Failure::Expired => (Ending::TurnedAway, Meaning::Settled(Err(fault))),
        Failure::MalformedWork | Failure::NotAllowed => {
            (Ending::Answered { after: took }, Meaning::Settled(Err(fault)))
        }
    }
}

/// No answer came.
fn of_fault(fault: CallFault) -> (Ending, Meaning) {
    let (CallFault::NotSent(reason) | CallFault::Unknown(reason)) = fault;
    tracing::debug!(%fault, "the signer did not answer");
    match reason {
        Reason::Unreachable | Reason::StreamLost | Reason::ClientEnded => {
            (Ending::Lost, Meaning::Elsewhere(SignerFault::Lost))
        }
        Reason::Unreadable => (Ending::Failed, Meaning::Elsewhere(SignerFault::Lost)),
        Reason::Deadline => (Ending::Unanswered, Meaning::Settled(Err(SignerFault::Lost))),
    }
}
