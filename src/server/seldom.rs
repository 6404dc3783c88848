//! A future that seldom has something to do, beside one that always does.
//!
//! Of futures that are waited for together each is asked whenever one of them was woken; for a connection that is with every request. This one
//! asks what it holds only after that was woken itself. Knows nothing of what it holds.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Asks `future` when it was woken, and not when its neighbours were.
pub(super) struct Seldom<F> {
    future: Pin<Box<F>>,
    /// Whom it was asked for last, and whether it has anything new.
    call: Option<Arc<Call>>,
}

struct Call {
    news: AtomicBool,
    task: Waker,
}

impl<F: Future> Seldom<F> {
    pub fn new(future: F) -> Self {
        Seldom { future: Box::pin(future), call: None }
    }
}

impl<F: Future> Future for Seldom<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let known = self.call.as_ref().filter(|call| call.task.will_wake(context.waker()));
        let call = match known {
            // Whoever wakes it after this is seen the next time, for which the task is woken, too.
            Some(call) if !call.news.swap(false, Ordering::AcqRel) => return Poll::Pending,
            Some(call) => Arc::clone(call),
            None => {
                let call = Arc::new(Call { news: AtomicBool::new(false), task: context.waker().clone() });
                self.call = Some(Arc::clone(&call));
                call
            }
        };
        self.future.as_mut().poll(&mut Context::from_waker(&Waker::from(call)))
    }
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.news.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn it_is_asked_when_it_was_woken_and_not_with_its_neighbours() {
        let (notify, asked) = (Notify::new(), Cell::new(0));
        let mut notified = pin!(notify.notified());
        let inner = std::future::poll_fn(|context| {
            asked.set(asked.get() + 1);
            notified.as_mut().poll(context)
        });
        let mut seldom = pin!(Seldom::new(inner));
        for _ in 0..3 {
            // The neighbour: a task that is woken again and again.
            tokio::task::yield_now().await;
            let is_ready = std::future::poll_fn(|context| Poll::Ready(seldom.as_mut().poll(context).is_ready()));
            assert!(!is_ready.await);
        }
        assert_eq!(asked.get(), 1);
        notify.notify_one();
        seldom.await;
        assert_eq!(asked.get(), 2);
    }
}
