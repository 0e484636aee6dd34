//! Postings through the gRPC service over a Unix socket, by 64 clients with a connection each.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use ledger::service::Service;
use ledger_model::Decision;
use ledger_protocol::{LedgerClient, PostReply};
use operations::endpoint::Endpoint;
use operations::stop::Stop;

use crate::Extent;
use crate::figures::{Figures, cpu_micros};
use crate::in_process::Running;
use crate::work::{Spread, Stretch, Work};

const CLIENTS: usize = 64;
/// Postings each has under way.
const WINDOW: usize = 24;
const DEADLINE: Duration = Duration::from_mins(1);

async fn post(client: &LedgerClient, work: &Work, stretch: Stretch, number: u64) -> u64 {
    let began = Instant::now();
    let reply = client
        .post(
            work.instruction(stretch, number),
            work.evidence(number),
            (began + DEADLINE).into(),
        )
        .await;
    let PostReply::Decided {
        transfer,
        repeat: false,
    } = reply
    else {
        panic!("every piece of work is decided: {reply:?}");
    };
    assert_eq!(transfer.decision, Decision::Posted);
    began.elapsed().as_micros() as u64
}

pub(crate) fn run(mut running: Running, socket: &Path, extent: Extent, figures: &mut Figures) -> Running {
    let endpoint = Endpoint::unix(socket);
    let (switch, stop) = Stop::by_hand();
    let routes = Service::routes(Arc::clone(&running.ledger), stop.clone());
    let serving = running.runtime.spawn({
        let endpoint = endpoint.clone();
        async move { endpoint.serve(routes, stop).await.unwrap() }
    });
    let first = running.next;
    let end = first + extent.over_grpc;
    let stretch = Stretch {
        first,
        spread: Spread::Zipf,
    };
    running.next = end + extent.lone;
    let work = Arc::clone(&running.work);
    let next = Arc::new(AtomicU64::new(first));
    let measured = running.runtime.block_on(async {
        let clients: Vec<LedgerClient> = (0..CLIENTS)
            .map(|_| LedgerClient::connect(&endpoint).unwrap())
            .collect();
        let (cpu, began) = (cpu_micros(), Instant::now());
        let mut tasks = Vec::new();
        for client in &clients {
            for _ in 0..WINDOW {
                let (client, work, next) = (client.clone(), Arc::clone(&work), Arc::clone(&next));
                tasks.push(tokio::spawn(async move {
                    let mut micros = Vec::new();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= end {
                            return micros;
                        }
                        micros.push(post(&client, &work, stretch, number).await);
                    }
                }));
            }
        }
        let mut all = Histogram::new(3).unwrap();
        for task in tasks {
            for micros in task.await.unwrap() {
                all.record(micros).unwrap();
            }
        }
        let took = began.elapsed().as_secs_f64();
        let cpu = (cpu_micros() - cpu) as f64;
        let mut alone = Histogram::new(3).unwrap();
        for number in end..end + extent.lone {
            alone
                .record(post(clients.first().unwrap(), &work, stretch, number).await)
                .unwrap();
        }
        (took, cpu, all, alone)
    });
    let (took, cpu, all, alone): (f64, f64, Histogram<u64>, Histogram<u64>) = measured;
    figures.whole("service_postings_per_s", (extent.over_grpc as f64 / took) as u64);
    figures.decimal("service_cpu_us_per_posting", cpu / extent.over_grpc as f64);
    figures.latencies("service", &all);
    figures.latencies("lone_posting", &alone);
    switch.pull();
    running.runtime.block_on(serving).unwrap();
    running
}
