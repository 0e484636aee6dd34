//! The signer's figures: opens a second, latencies, processor time and memory, measured at its socket with the client
//! every process of ours uses. The real program, its own configuration, nothing of the rest of the installation.
//!
//! A figure is printed only when every answer was the right one: tokens are compared with those made here from the
//! same token key, and messages whose signature does not fit must be rejected for exactly that.

mod load;
mod sample;
mod subject;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use fixtures::keys::{Keyring, KeyringFault};
use signer_protocol::{ConnectFault, SignerClient};
use thiserror::Error;
use tokio::runtime::Runtime;

use crate::figures::{Figure, Figures};
use crate::layout::{Layout, LayoutFault, file_fault};
use crate::procfs;
use crate::terminal::{Steps, Table, mebibytes, say};

use load::{Load, LoadFault, Played};
use sample::{Form, Sample, SampleFault};
use subject::{Subject, SubjectFault};

const STEPS: usize = 6;
const WARM_UP: Duration = Duration::from_secs(1);
const LONE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Args)]
pub struct SignerBenchOptions {
    /// Callers; each waits for its answer before it asks again.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    clients: u16,
    /// Connections the callers share; the requests of one frontend share one.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    connections: u16,
    /// Time to measure each mix for.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=3600))]
    seconds: u16,
    /// Certificates of others that the signer has loaded.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(8..=4096))]
    certificates: u16,
    /// Write the figures to this file as well, as one flat JSON object.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Error)]
pub enum SignerBenchFault {
    #[error(transparent)]
    Keys(#[from] KeyringFault),
    #[error(transparent)]
    Sample(#[from] SampleFault),
    #[error(transparent)]
    Subject(#[from] SubjectFault),
    #[error(transparent)]
    Load(#[from] LoadFault),
    #[error(transparent)]
    Connect(#[from] ConnectFault),
    #[error(transparent)]
    File(#[from] LayoutFault),
    #[error("the runtime of the callers cannot be started")]
    Runtime(#[source] std::io::Error),
}

impl SignerBenchFault {
    pub const fn is_difference(&self) -> bool {
        matches!(self, Self::Load(LoadFault::WrongAnswer { .. }))
    }
}

/// One caller alone, then both mixes.
struct Measured {
    lone: Played,
    plain: Played,
    with_fields: Played,
    resident_bytes: u64,
}

/// `programs` is where the signer was built to; everything else goes under `root`, which is made anew.
pub fn run(root: &Path, programs: &Path, options: &SignerBenchOptions) -> Result<(), SignerBenchFault> {
    Layout::at(root).erase()?;
    let layout = Layout::create(root)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("caller")
        .enable_all()
        .build()
        .map_err(SignerBenchFault::Runtime)?;
    let mut steps = Steps::new(STEPS);
    let keys = Keyring::load(&fixtures::keys::repository_directory())?;
    let subject = steps.step("start the signer", || {
        Subject::start(&layout, programs, usize::from(options.certificates))
    })?;
    let measured = measure(&mut steps, &runtime, &subject, &keys, options)?;
    steps.step("stop the signer", || subject.stop())?;
    let figures = figures(&measured, options);
    print(&figures, options);
    if let Some(path) = &options.json {
        fs::write(path, figures.json()).map_err(file_fault(path, "written"))?;
    }
    Ok(())
}

fn measure(
    steps: &mut Steps,
    runtime: &Runtime,
    subject: &Subject,
    keys: &Keyring,
    options: &SignerBenchOptions,
) -> Result<Measured, SignerBenchFault> {
    let (plain, with_fields) = steps.step("make and sign messages", || -> Result<_, SampleFault> {
        let make = |form| Sample::make(keys, form).map(Arc::new);
        Ok((make(Form::Plain)?, make(Form::WithFields)?))
    })?;
    let clients: Vec<SignerClient> = {
        let _inside = runtime.enter();
        let connect = |_| SignerClient::connect(subject.endpoint());
        (0..options.connections).map(connect).collect::<Result<_, _>>()?
    };
    for client in &clients {
        runtime.block_on(subject.wait_until_it_answers(client))?;
    }
    let load = |sample: &Arc<Sample>, callers: u16, length: Duration| -> Result<Played, LoadFault> {
        let load = Load {
            clients: &clients,
            callers: usize::from(callers),
            length,
            signer_pid: subject.pid(),
        };
        runtime.block_on(load.play(sample))
    };
    let length = Duration::from_secs(options.seconds.into());
    let lone = steps.step("one caller, one call at a time", || load(&plain, 1, LONE))?;
    let plain = steps.step("every caller, plain messages", || {
        load(&plain, options.clients, WARM_UP)?;
        load(&plain, options.clients, length)
    })?;
    let with_fields = steps.step("every caller, messages with encrypted fields", || {
        load(&with_fields, options.clients, WARM_UP)?;
        load(&with_fields, options.clients, length)
    })?;
    Ok(Measured {
        lone,
        plain,
        with_fields,
        resident_bytes: subject.resident_bytes(),
    })
}

fn figures(measured: &Measured, options: &SignerBenchOptions) -> Figures {
    let mut figures = Figures::default();
    let Measured {
        lone,
        plain,
        with_fields,
        resident_bytes,
    } = measured;
    let numbers = [
        ("signer_opens_per_s", plain.opens_per_s()),
        ("signer_opens_with_fields_per_s", with_fields.opens_per_s()),
        ("signer_lone_call_p50_us", lone.percentile_us(50)),
        ("signer_lone_call_p99_us", lone.percentile_us(99)),
        ("signer_open_p50_us", plain.percentile_us(50)),
        ("signer_open_p99_us", plain.percentile_us(99)),
        ("signer_open_with_fields_p50_us", with_fields.percentile_us(50)),
        ("signer_open_with_fields_p99_us", with_fields.percentile_us(99)),
        ("signer_cpu_ns_per_open", plain.signer_cpu_ns_per_open()),
        ("signer_client_cpu_ns_per_open", plain.client_cpu_ns_per_open()),
        (
            "signer_cpu_ns_per_open_with_fields",
            with_fields.signer_cpu_ns_per_open(),
        ),
        (
            "signer_client_cpu_ns_per_open_with_fields",
            with_fields.client_cpu_ns_per_open(),
        ),
        ("signer_resident_mib", resident_bytes.div_ceil(1 << 20)),
        ("signer_certificates", u64::from(options.certificates)),
        (
            "signer_answers_checked",
            plain.opens() + with_fields.opens() + lone.opens(),
        ),
    ];
    for (name, number) in numbers {
        figures.put(name, Figure::Whole(number));
    }
    for (name, text) in circumstances(options) {
        figures.put(name, Figure::Text(text));
    }
    figures
}

/// What a figure means nothing without.
fn circumstances(options: &SignerBenchOptions) -> [(&'static str, String); 3] {
    [
        ("messages", sample::described()),
        (
            "load",
            format!(
                "closed loop, {} callers over {} connection(s), callers and signer on the same cores",
                options.clients, options.connections
            ),
        ),
        ("machine", procfs::machine()),
    ]
}

fn print(figures: &Figures, options: &SignerBenchOptions) {
    let shown = |name: &str| figures.shown(name);
    say(format!("\n  {} opens/s\n", shown("signer_opens_per_s")));
    let mut table = Table::new([
        "messages",
        "opens/s",
        "p50 µs",
        "p99 µs",
        "signer CPU ns per open",
        "client CPU ns per open",
    ]);
    table.row([
        "plain".to_owned(),
        shown("signer_opens_per_s"),
        shown("signer_open_p50_us"),
        shown("signer_open_p99_us"),
        shown("signer_cpu_ns_per_open"),
        shown("signer_client_cpu_ns_per_open"),
    ]);
    table.row([
        "envelope and two fields".to_owned(),
        shown("signer_opens_with_fields_per_s"),
        shown("signer_open_with_fields_p50_us"),
        shown("signer_open_with_fields_p99_us"),
        shown("signer_cpu_ns_per_open_with_fields"),
        shown("signer_client_cpu_ns_per_open_with_fields"),
    ]);
    table.row([
        "plain, one caller alone".to_owned(),
        String::new(),
        shown("signer_lone_call_p50_us"),
        shown("signer_lone_call_p99_us"),
        String::new(),
        String::new(),
    ]);
    say(table);
    let resident = mebibytes(figures.whole("signer_resident_mib") << 20);
    say(format!(
        "  resident    {resident} with {} certificates",
        shown("signer_certificates")
    ));
    say(format!("  checked     {} answers", shown("signer_answers_checked")));
    for (name, text) in circumstances(options) {
        say(format!("  {name:<11} {text}"));
    }
}
