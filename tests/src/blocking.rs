//! The one place where this program, which is otherwise plain threads, waits for asynchronous clients.

/// Runs a future to its end on this thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime on the current thread needs nothing that could be missing")
        .block_on(future)
}
