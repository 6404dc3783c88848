//! The thread on which the cluster is watched.
//!
//! Reading a page of a cluster's pods takes tens of milliseconds. Whoever accepts connections, answers probes or asks for a namespace that
//! no watch has brought yet does not wait for that.

use std::io;
use std::sync::Arc;
use std::thread;

use kube::{Client, Config};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A thread with a runtime of its own. It ends, and with it what it runs, when this is dropped and nobody waits for its tasks any more.
#[derive(Clone)]
pub struct Thread(Arc<Running>);

struct Running {
    runtime: Handle,
    _until: oneshot::Sender<()>,
}

impl Thread {
    /// Starts it.
    pub fn start() -> io::Result<Thread> {
        // Files of a kubeconfig and names are looked up beside it, one or two at a time.
        let runtime = Builder::new_current_thread().max_blocking_threads(2).enable_all().build()?;
        let handle = runtime.handle().clone();
        let (until, dropped) = oneshot::channel::<()>();
        thread::Builder::new().name("watches".to_owned()).spawn(move || {
            let _ = runtime.block_on(dropped);
        })?;
        Ok(Thread(Arc::new(Running { runtime: handle, _until: until })))
    }

    /// A client that does its work on this thread.
    pub fn client(&self, config: Config) -> anyhow::Result<Client> {
        let _on_it = self.0.runtime.enter();
        super::client(config)
    }

    /// Has it run a task. The future resolves when the task ends, by itself or by a panic; dropping it ends the task.
    pub fn run<F>(&self, task: F) -> impl Future<Output = ()> + Send + use<F>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let thread = self.clone();
        let (wanted, unwanted) = oneshot::channel::<()>();
        let running = self.0.runtime.spawn(async move {
            tokio::select! {
                () = task => {}
                _ = unwanted => {}
            }
        });
        async move {
            let _ = running.await;
            drop((wanted, thread));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    /// A task that never ends, and what tells that it was ended.
    fn endless() -> (impl Future<Output = ()> + Send + 'static, mpsc::UnboundedReceiver<()>) {
        let (sender, ended) = mpsc::unbounded_channel();
        let task = async move {
            let _sender = sender;
            std::future::pending::<()>().await;
        };
        (task, ended)
    }

    #[tokio::test]
    async fn a_task_runs_on_the_thread_and_its_end_is_told() {
        let thread = Thread::start().unwrap();
        let (sender, mut told) = mpsc::unbounded_channel();
        thread.run(async move { sender.send(thread::current().name().map(str::to_owned)).unwrap() }).await;
        assert_eq!(told.recv().await.flatten().as_deref(), Some("watches"));
        // A panic ends it as well, and others go on.
        thread.run(async { std::panic::resume_unwind(Box::new("a panic that the test wants")) }).await;
        thread.run(async {}).await;
    }

    #[tokio::test]
    async fn what_nobody_waits_for_ends() {
        let thread = Thread::start().unwrap();
        let [(first, mut first_ended), (second, mut second_ended)] = [endless(), endless()];
        let (first, second) = (thread.run(first), thread.run(second));
        // The thread lives for as long as one of its tasks is waited for.
        drop((thread, first));
        assert_eq!(first_ended.recv().await, None);
        assert_eq!(second_ended.try_recv(), Err(mpsc::error::TryRecvError::Empty));
        drop(second);
        assert_eq!(second_ended.recv().await, None);
    }
}
