//! The orderly stop: one signal that every task of a process can wait for.

use tokio::sync::watch;

/// Whether the process was asked to stop. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// Asks for the stop.
#[derive(Debug, Clone)]
pub struct StopSwitch(watch::Sender<bool>);

impl StopSwitch {
    pub fn pull(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Stops at SIGTERM or SIGINT. Call inside a tokio runtime.
    pub fn on_signals() -> Self {
        let (switch, stop) = Self::by_hand();
        tokio::spawn(async move {
            if let Err(fault) = first_signal().await {
                tracing::error!(%fault, "signals cannot be waited for; stopping");
            }
            switch.pull();
        });
        stop
    }

    /// Stops when the switch is pulled.
    pub fn by_hand() -> (StopSwitch, Self) {
        let (sender, receiver) = watch::channel(false);
        (StopSwitch(sender), Self(receiver))
    }

    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once the stop is requested; at once if it was. A switch that is gone counts as pulled.
    pub async fn requested(&self) {
        let mut receiver = self.0.clone();
        let _gone_counts_as_pulled = receiver.wait_for(|requested| *requested).await;
    }
}

async fn first_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!(signal = "SIGTERM", "stop requested"),
        _ = interrupt.recv() => tracing::info!(signal = "SIGINT", "stop requested"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everyone_hears_the_switch_early_or_late() {
        let (switch, stop) = Stop::by_hand();
        let early = tokio::spawn({
            let stop = stop.clone();
            async move { stop.requested().await }
        });
        assert!(!stop.is_requested());
        switch.pull();
        early.await.unwrap();
        stop.requested().await;
        assert!(stop.is_requested());
    }
}
