//! The threads that hold the webhook's connections: each has a runtime of its own, and a connection stays where it was put.
//!
//! In one runtime for all threads a connection wakes up on whichever is free, and what one core has in its caches is fetched by the other: a
//! tenth of the CPU of a review and more. The price: who shares a thread with a review of 256 KiB waits for it, less than a millisecond, and
//! connections are spread by their number, so that of many the few that have all to do may be on one thread. Whatever takes longer is nothing
//! for these threads.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};

/// Some threads. They end when this is dropped, and with them what they hold.
pub(super) struct Workers(Vec<Worker>);

struct Worker {
    runtime: Handle,
    /// How many connections it holds.
    holds: Arc<AtomicUsize>,
    _until: oneshot::Sender<()>,
}

/// Says that its thread has ended, whatever ended it.
struct Farewell(mpsc::UnboundedSender<()>);

/// Counts a connection while it is held.
struct Place(Arc<AtomicUsize>);

impl Workers {
    /// Starts so many threads, one at least. The future resolves when one of them has ended, which is an accident while they are wanted: nobody
    /// would answer its connections.
    pub fn start(count: usize) -> io::Result<(Workers, impl Future<Output = ()> + Send + use<>)> {
        let (farewell, mut farewells) = mpsc::unbounded_channel();
        let workers =
            (0..count.max(1)).map(|_| Worker::start(Farewell(farewell.clone()))).collect::<io::Result<_>>()?;
        Ok((Workers(workers), async move { farewells.recv().await.unwrap_or_default() }))
    }

    /// Has a connection held by the thread that holds the fewest. One that cannot be handed over is closed.
    pub fn hold<F>(&self, stream: TcpStream, hold: impl FnOnce(TcpStream) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        // Out of the runtime that accepted it, and into the other.
        let (Some(worker), Ok(stream)) =
            (self.0.iter().min_by_key(|worker| worker.holds.load(Ordering::Relaxed)), stream.into_std())
        else {
            return;
        };
        let place = Place::of(worker);
        worker.runtime.spawn(async move {
            let _place = place;
            if let Ok(stream) = TcpStream::from_std(stream) {
                hold(stream).await;
            }
        });
    }
}

impl Worker {
    fn start(farewell: Farewell) -> io::Result<Worker> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (until, dropped) = oneshot::channel::<()>();
        thread::Builder::new().name("worker".to_owned()).spawn(move || {
            let _farewell = farewell;
            let _ = runtime.block_on(dropped);
        })?;
        Ok(Worker { runtime: handle, holds: Arc::default(), _until: until })
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

impl Place {
    fn of(worker: &Worker) -> Place {
        worker.holds.fetch_add(1, Ordering::Relaxed);
        Place(Arc::clone(&worker.holds))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn connections_are_spread_and_stay_where_they_are() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (workers, ended) = Workers::start(2).unwrap();
        let (sender, mut threads) = mpsc::unbounded_channel();
        let (mut clients, mut places) = (Vec::new(), Vec::new());
        for _ in 0..4 {
            clients.push(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
            let (stream, _) = listener.accept().await.unwrap();
            let sender = sender.clone();
            workers.hold(stream, |mut stream| async move {
                sender.send(thread::current().id()).unwrap();
                let _ = stream.read(&mut [0]).await;
                sender.send(thread::current().id()).unwrap();
            });
            places.push(threads.recv().await.unwrap());
        }
        assert!(places[0] != places[1] && places[0] == places[2] && places[1] == places[3]);
        // Who goes makes room for the next one, on the same thread.
        drop(clients.remove(1));
        assert_eq!(threads.recv().await.unwrap(), places[1]);
        while workers.0.iter().map(|worker| worker.holds.load(Ordering::Relaxed)).sum::<usize>() > 3 {
            tokio::task::yield_now().await;
        }
        assert_eq!(workers.0.iter().map(|worker| worker.holds.load(Ordering::Relaxed)).min(), Some(1));
        // They end with their threads.
        drop((workers, sender));
        while threads.recv().await.is_some() {}
        ended.await;
    }
}
