//! The life of a message, from received bytes to a signed answer. The types of the stages allow no other order.

use crate::desk::Desk;
use crate::metrics::Stage;
use crate::neighbours::{Books, Signer};
use crate::record::Record;
use crate::respond::{self, HttpRefusal, Reply};
use crate::signing;
use crate::stages::{Order, Received, Setback, Settled};

/// Ends by the deadline of the answer, with a signed answer or a plain refusal; writes one log line.
pub async fn handle<S: Signer, B: Books>(desk: &Desk<S, B>, received: Received) -> Reply {
    let mut record = Record::open(&received);
    let lines = received.lines().clone();
    let deadline = desk.rules.answer_deadline(received.arrived());

    let settled = settle(desk, received).await;

    let now = desk.rules.clock.now();
    let drafted = match settled {
        Ok(settled) => {
            record.note_origin(settled.origin());
            Ok(respond::to_settled(settled, &desk.codes, now))
        }
        Err(setback) => {
            record.note_setback(&setback);
            respond::to_setback(&setback, &desk.codes, now)
        }
    };
    let reply = match drafted {
        Err(refusal) => Reply::Refused(refusal),
        Ok(draft) => {
            record.note_draft(&draft);
            let suite = record.suite().unwrap_or(desk.rules.default_suite);
            let signing = signing::sign(desk, draft, suite, lines, deadline);
            match desk.metrics.timed(Stage::Sign, signing).await {
                Ok(signed) => Reply::Signed(signed),
                Err(unsigned) => {
                    // Never "failed": it may have posted. The network asks, and the books tell.
                    record.note_unsigned(&unsigned);
                    Reply::Refused(HttpRefusal::Unavailable)
                }
            }
        }
    };
    record.close(&desk.metrics);
    reply
}

/// Received → framed → parsed → verified → instruction → posted, repeat, refused or unknown.
async fn settle<S: Signer, B: Books>(desk: &Desk<S, B>, received: Received) -> Result<Settled, Setback> {
    let Desk {
        signer,
        books,
        rules,
        metrics,
        ..
    } = desk;
    let deadline = rules.work_deadline(received.arrived());

    let framed = received.frame(rules)?;
    let parsed = framed.parse(rules)?;
    let verified = metrics
        .timed(Stage::Verify, parsed.verify(signer, rules, deadline))
        .await?;
    metrics.verified(verified.message());
    match verified.instruct(&rules.profile)? {
        Order::Post(order) => {
            let order = metrics.timed(Stage::Seal, order.seal(signer, deadline)).await?;
            metrics.timed(Stage::Post, order.post(books, deadline)).await
        }
        Order::LookUp(order) => Ok(metrics.timed(Stage::LookUp, order.look_up(books, deadline)).await),
    }
}
