//! Structured logs: one JSON object a line on stderr.

use tracing_subscriber::EnvFilter;

/// Starts logging for the whole process. `filter` is a level or a tracing filter such as `info,h2=warn`; the
/// environment variable `LOG` overrides it.
pub fn start(process: &'static str, filter: &str) {
    let filter = EnvFilter::try_from_env("LOG").unwrap_or_else(|_| EnvFilter::new(filter));
    let lines = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // a second call (tests) keeps the first subscriber
    if lines.try_init().is_ok() {
        tracing::info!(process, "log starts");
    }
}
