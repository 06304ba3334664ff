//! Hands the result of work on the pretend WeChat's own threads to whoever waits, with or without a runtime of their own.
//! Owns: the waiting. Uses: tokio's channel. Never: the work.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// A result that is under way: `.await` it, or [`wait`](Pending::wait) for it. The work goes on if this is dropped.
#[derive(Debug)]
#[must_use = "the result comes when it is awaited or waited for"]
pub struct Pending<T> {
    coming: oneshot::Receiver<T>,
    otherwise: Option<T>,
}

impl<T: Send + Unpin + 'static> Pending<T> {
    /// Starts the work; `otherwise` is the result when the platform stops before it is done.
    pub(super) fn start(
        runtime: &Handle,
        work: impl Future<Output = T> + Send + 'static,
        otherwise: T,
    ) -> Self {
        let (done, coming) = oneshot::channel();
        runtime.spawn(async move {
            // Nobody waits any more: that is fine.
            let _ = done.send(work.await);
        });
        Self {
            coming,
            otherwise: Some(otherwise),
        }
    }

    /// Blocks this thread until the result is there.
    pub fn wait(self) -> T {
        let mut work = pin!(self);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            match work.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(result) => return result,
                Poll::Pending => thread::park(),
            }
        }
    }
}

impl<T: Unpin> Future for Pending<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.coming).poll(context).map(|result| {
            result.unwrap_or_else(|_stopped| {
                let otherwise = self.otherwise.take();
                otherwise.expect("a future is not polled after it is ready")
            })
        })
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
