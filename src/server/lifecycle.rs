//! From the start to the end: tasks that have an owner, and a shutdown that loses no request.
//!
//! Phases: `Serving`; `Draining` (not ready any more, still answering, with `Connection: close`, until nobody sends here);
//! `Closing` (no new connections, what is in flight is finished). A second signal ends it at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::connections::Connections;
use super::health::Readiness;
use super::workers::Workers;

/// Where in its life the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    Draining,
    Closing,
}

/// How long the end may take.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// How long to go on after a signal: until then new requests may still come, as endpoints take their time to settle.
    pub delay: Duration,
    /// How long what is in flight then may still take.
    pub deadline: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        // Together below the 30 s that the kubelet grants.
        Drain { delay: Duration::from_secs(5), deadline: Duration::from_secs(15) }
    }
}

/// Requests to end: the first one politely, the second one at once.
pub struct Stop(mpsc::Receiver<()>);

impl Stop {
    /// SIGTERM and SIGINT.
    pub fn on_signals() -> std::io::Result<Stop> {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let (sender, stop) = Stop::by_hand();
        // Ends with the runtime, or when nobody listens any more.
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => tracing::info!("SIGTERM"),
                    _ = interrupt.recv() => tracing::info!("SIGINT"),
                }
                if sender.send(()).await.is_err() {
                    return;
                }
            }
        });
        Ok(stop)
    }

    /// By whoever holds the sender, as tests do; a sender that is dropped asks for nothing.
    pub fn by_hand() -> (mpsc::Sender<()>, Stop) {
        let (sender, receiver) = mpsc::channel(2);
        (sender, Stop(receiver))
    }

    async fn asked(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// Tasks that must not end before the server does; those that are left end with this.
#[derive(Default)]
pub(super) struct Tasks {
    set: JoinSet<()>,
    names: HashMap<tokio::task::Id, &'static str>,
}

/// A task ended that should not have.
#[derive(Debug, thiserror::Error)]
#[error("the task `{task}` ended unasked{how}")]
pub struct TaskEnded {
    task: &'static str,
    how: &'static str,
}

impl Tasks {
    /// Starts a task that never ends by itself.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.set.spawn(task).id();
        self.names.insert(id, name);
    }

    async fn ended(&mut self) -> TaskEnded {
        let (id, how) = match self.set.join_next_with_id().await {
            Some(Ok((id, ()))) => (id, ""),
            Some(Err(error)) => (error.id(), ": it panicked"),
            None => std::future::pending().await,
        };
        TaskEnded { task: self.names.get(&id).copied().unwrap_or("?"), how }
    }
}

/// What is there to end.
pub(super) struct Lifecycle {
    pub tasks: Tasks,
    pub phase: watch::Sender<Phase>,
    /// The other listener serves until the process ends: the kubelet goes on asking while requests drain.
    pub _http: watch::Sender<Phase>,
    pub readiness: Arc<Readiness>,
    pub connections: Arc<Connections>,
    /// They hold the connections until the last one has ended.
    pub _workers: Arc<Workers>,
    pub drain: Drain,
}

impl Lifecycle {
    /// Waits for the end, and sees to it that it is a good one.
    pub async fn run(mut self, mut stop: Stop) -> Result<(), TaskEnded> {
        tokio::select! {
            () = stop.asked() => {}
            ended = self.tasks.ended() => return Err(ended),
        }
        self.readiness.drain();
        self.phase.send_replace(Phase::Draining);
        tracing::info!(seconds = self.drain.delay.as_secs_f64(), "draining: not ready any more, still answering");
        tokio::select! {
            () = tokio::time::sleep(self.drain.delay) => {}
            () = stop.asked() => return self.cut(),
            ended = self.tasks.ended() => return Err(ended),
        }
        self.phase.send_replace(Phase::Closing);
        tracing::info!(connections = self.connections.count(), "closing: finishing what is in flight");
        tokio::select! {
            () = self.connections.closed() => {
                tracing::info!("stopped");
                Ok(())
            }
            () = tokio::time::sleep(self.drain.deadline) => self.cut(),
            () = stop.asked() => self.cut(),
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is how `run` ends")]
    fn cut(&self) -> Result<(), TaskEnded> {
        tracing::warn!(connections = self.connections.count(), "stopped with connections open");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Limits;

    fn lifecycle(drain: Drain) -> Lifecycle {
        let connections = Connections::new(Limits::default(), Arc::default());
        let ((phase, _), (http, _)) = (watch::channel(Phase::Serving), watch::channel(Phase::Serving));
        let (tasks, readiness) = (Tasks::default(), Arc::default());
        let workers = Arc::new(Workers::start(1).unwrap().0);
        Lifecycle { tasks, phase, _http: http, readiness, connections, _workers: workers, drain }
    }

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn one_signal_waits_for_the_last_connection() {
        let lifecycle = lifecycle(Drain { delay: LONG, deadline: LONG });
        let slot = lifecycle.connections.admit([127, 0, 0, 1].into()).unwrap();
        let mut phase = lifecycle.phase.subscribe();
        let (sender, stop) = Stop::by_hand();
        let running = tokio::spawn(lifecycle.run(stop));
        sender.send(()).await.unwrap();
        phase.wait_for(|phase| *phase == Phase::Closing).await.unwrap();
        assert!(!running.is_finished());
        drop(slot);
        running.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_waits_for_nothing() {
        let lifecycle = lifecycle(Drain { delay: LONG, deadline: LONG });
        let _slot = lifecycle.connections.admit([127, 0, 0, 1].into());
        let (sender, stop) = Stop::by_hand();
        let began = tokio::time::Instant::now();
        sender.send(()).await.unwrap();
        sender.send(()).await.unwrap();
        lifecycle.run(stop).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_what_hangs() {
        let lifecycle = lifecycle(Drain { delay: Duration::ZERO, deadline: LONG });
        let _slot = lifecycle.connections.admit([127, 0, 0, 1].into());
        let (sender, stop) = Stop::by_hand();
        sender.send(()).await.unwrap();
        lifecycle.run(stop).await.unwrap();
    }

    #[tokio::test]
    async fn a_task_that_ends_or_panics_ends_the_process() {
        for panics in [false, true] {
            let mut lifecycle = lifecycle(Drain::default());
            lifecycle.tasks.spawn("certificates", async move { assert!(!panics, "a panic that the test wants") });
            let (_sender, stop) = Stop::by_hand();
            let error = lifecycle.run(stop).await.unwrap_err().to_string();
            assert!(error.contains("`certificates` ended unasked"), "{error}");
        }
    }
}
