//! A future that is polled by hand, and a waker that says when it is worth it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};

#[derive(Default)]
struct Bell {
    rung: Mutex<usize>,
    changed: Condvar,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rung.lock().unwrap() += 1;
        self.changed.notify_all();
    }
}

/// A future in the hands of a test.
pub struct Polled<'f, T> {
    future: Pin<Box<dyn Future<Output = T> + Send + 'f>>,
    bell: Arc<Bell>,
    heard: usize,
}

impl<'f, T> Polled<'f, T> {
    pub fn new(future: impl Future<Output = T> + Send + 'f) -> Self {
        Self {
            future: Box::pin(future),
            bell: Arc::default(),
            heard: 0,
        }
    }

    pub fn poll(&mut self) -> Poll<T> {
        self.heard = *self.bell.rung.lock().unwrap();
        let waker = Waker::from(Arc::clone(&self.bell));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    /// Blocks until it was woken after the last poll.
    pub fn wait(&self) {
        let rung = self.bell.rung.lock().unwrap();
        drop(
            self.bell
                .changed
                .wait_while(rung, |rung| *rung == self.heard)
                .unwrap(),
        );
    }

    pub fn was_woken(&self) -> bool {
        *self.bell.rung.lock().unwrap() != self.heard
    }

    /// Polls whenever it is woken.
    pub fn finish(mut self) -> T {
        loop {
            match self.poll() {
                Poll::Ready(value) => return value,
                Poll::Pending => self.wait(),
            }
        }
    }
}
