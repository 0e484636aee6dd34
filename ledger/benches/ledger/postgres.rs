//! Postings into a shard group on this machine, beside pgbench on the same server: one PostgreSQL with its data on a real disk,
//! every commit synced, the same settings for both.

use std::sync::Arc;
use std::time::Instant;

use ledger::store::Store;
use ledger::store::postgres::{Fixed, GroupSettings, Host, PostgresStore, make};

use crate::Extent;
use crate::figures::{Figures, cpu_micros, cpu_micros_of};
use crate::in_process::{Running, load};
use crate::server::{PORT, Server, USER, Wanted};
use crate::work::{SHARDS, Spread};

/// Everything else is as PostgreSQL comes: fsync, full pages and synchronous commits on.
const SETTINGS: [&str; 5] = [
    "shared_buffers=1GB",
    "max_wal_size=8GB",
    "checkpoint_timeout=15min",
    "wal_compression=lz4",
    "wal_buffers=64MB",
];
/// A real disk that the server's user reaches too.
const UNDER: &str = "/var/tmp";
/// A million accounts, as here.
const PGBENCH_SCALE: &str = "10";
/// Postings each caller has under way.
const WINDOW: usize = 768;
const PGBENCH_CLIENTS: [u32; 5] = [4, 8, 16, 32, 64];

pub(crate) fn run(extent: Extent, figures: &mut Figures) {
    let server = Server::start(Wanted {
        settings: &SETTINGS,
        under: UNDER,
        tcp_port: None,
    });
    figures.text("postgres_settings", &SETTINGS.join(" "));
    ours(&server, extent, figures);
    pgbench(&server, extent, figures);
    figures.ratio("postgres_to_pgbench", "postgres_postings_per_s", "pgbench_tps");
}

fn ours(server: &Server, extent: Extent, figures: &mut Figures) {
    server.database("ledger");
    let host = Host {
        name: server.host(),
        port: PORT,
    };
    let settings = GroupSettings::of("bench", host, "ledger", USER);
    let open = |shard| -> Box<dyn Store> {
        make(&Arc::new(settings.clone()), SHARDS, shard).unwrap();
        let group = Arc::new(Fixed::new(settings.clone()));
        Box::new(PostgresStore::open(group, SHARDS, shard).unwrap())
    };
    let mut running = Running::over(SHARDS.all().map(open).collect(), extent.accounts, WINDOW);
    let began = Instant::now();
    load(&running);
    figures.decimal("postgres_load_accounts_s", began.elapsed().as_secs_f64());
    running.post(Spread::Zipf, extent.warm_up);
    running.reset_commits();
    let (wal, cpu, server_cpu) = (wal_bytes(server), cpu_micros(), cpu_of(server));
    let began = Instant::now();
    let latencies = running.post(Spread::Zipf, extent.postgres);
    let took = began.elapsed().as_secs_f64();
    let posted = extent.postgres as f64;
    figures.whole("postgres_postings_per_s", (posted / took) as u64);
    figures.latencies("postgres_commit", &running.commits());
    figures.latencies("postgres_posting", &latencies);
    figures.decimal("postgres_cpu_us_per_posting", (cpu_micros() - cpu) as f64 / posted);
    figures.decimal(
        "postgres_server_cpu_us_per_posting",
        (cpu_of(server) - server_cpu) as f64 / posted,
    );
    figures.whole(
        "postgres_wal_bytes_per_posting",
        ((wal_bytes(server) - wal) as f64 / posted) as u64,
    );
    running.ledger.stop();
}

fn pgbench(server: &Server, extent: Extent, figures: &mut Figures) {
    server.database("pgbench");
    let made = server
        .client("pgbench")
        .args(["-i", "-q", "-s", PGBENCH_SCALE, "pgbench"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let seconds = extent.pgbench_seconds.to_string();
    let rates = PGBENCH_CLIENTS.map(|clients| {
        let mut pgbench = server.client("pgbench");
        pgbench.args(["-n", "-j", "2", "-T", &seconds, "-c", &clients.to_string(), "pgbench"]);
        let told = String::from_utf8(pgbench.output().unwrap().stdout).unwrap();
        let rate = told.lines().find_map(|line| line.strip_prefix("tps = "));
        let rate: f64 = rate.unwrap().split_whitespace().next().unwrap().parse().unwrap();
        (rate as u64, clients)
    });
    let (rate, clients) = rates.into_iter().max().unwrap();
    figures.whole("pgbench_tps", rate);
    figures.whole("pgbench_clients", clients.into());
}

/// Of all its processes, those that have ended included.
fn cpu_of(server: &Server) -> u64 {
    server.pids().into_iter().map(cpu_micros_of).sum()
}

fn wal_bytes(server: &Server) -> u64 {
    let told = server.sql("postgres", "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn");
    told.parse().unwrap()
}
