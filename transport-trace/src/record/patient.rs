//! The storage of a recording, in a thread of its own. A write that does not come back, as on a network's file system whose server
//! is gone, holds up that thread alone: to everybody else it is a write that failed, and that is tried again.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::storage::Storage;

/// What the storage is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Write,
    Flush,
    Sync,
}

struct Order {
    what: What,
    bytes: Vec<u8>,
}

struct Answer {
    /// Those of the order, to be used again.
    bytes: Vec<u8>,
    result: io::Result<usize>,
}

/// A storage that is waited for so long, and no longer.
///
/// What was asked for and not answered is not asked for again: the answer is waited for with the next attempt. A write that is
/// tried again must therefore begin with the same bytes.
///
/// It belongs to the drain's thread. A child of `fork` has not got that, so that nobody drops the handle there, which would detach
/// a thread of the child's own.
pub(crate) struct Patient {
    orders: Option<Sender<Order>>,
    answers: Receiver<Answer>,
    thread: Option<JoinHandle<()>>,
    patience: Duration,
    /// What was asked for and not answered yet.
    pending: Option<What>,
    /// Whether that took too long already. Then it is only looked at.
    late: bool,
    /// What the storage said when a sync failed for the first time.
    failed_sync: Option<String>,
    buffer: Vec<u8>,
}

impl Patient {
    /// Starts the storage's thread.
    ///
    /// # Errors
    /// As the operating system says.
    pub(crate) fn new<S: Storage>(mut storage: S, patience: Duration) -> io::Result<Self> {
        let (orders, ordered) = channel::<Order>();
        let (answer, answers) = channel();
        let thread = std::thread::Builder::new()
            .name("hypercall-write".into())
            .spawn(move || {
                for Order { what, bytes } in ordered {
                    let result = match what {
                        What::Write => storage.write(&bytes),
                        What::Flush => storage.flush().map(|()| 0),
                        What::Sync => storage.sync().map(|()| 0),
                    };
                    if answer.send(Answer { bytes, result }).is_err() {
                        break;
                    }
                }
                // Before whoever waits for the end of the answers goes on.
                drop(storage);
                drop(answer);
            })?;
        Ok(Self {
            orders: Some(orders),
            answers,
            thread: Some(thread),
            patience,
            pending: None,
            late: false,
            failed_sync: None,
            buffer: Vec::new(),
        })
    }

    /// What the storage said when a sync failed for the first time, also where the answer came late and to somebody who asked for
    /// something else. One that is late has not failed yet.
    ///
    /// Later ones that succeed do not take that back: an operating system tells of a page that it could not write once, and may
    /// drop it then.
    pub(crate) fn failed_sync(&self) -> Option<&str> {
        self.failed_sync.as_deref()
    }

    fn ask(&mut self, what: What, bytes: &[u8]) -> io::Result<usize> {
        match self.pending {
            // What is written must be known before anything else is.
            Some(What::Write) if what != What::Write => return Err(self.no_answer()),
            Some(pending) => {
                let result = self.answer()?;
                if pending == what || result.is_err() {
                    return result;
                }
            }
            None => {}
        }
        let mut copy = std::mem::take(&mut self.buffer);
        copy.clear();
        copy.extend_from_slice(bytes);
        let order = Order { what, bytes: copy };
        // Where the thread is gone, the answer says so.
        let _ = self.orders.as_ref().map(|orders| orders.send(order));
        self.pending = Some(what);
        self.answer()?
    }

    /// The answer to what is pending, where it comes in time.
    fn answer(&mut self) -> io::Result<io::Result<usize>> {
        let time = if self.late {
            Duration::ZERO
        } else {
            self.patience
        };
        match self.answers.recv_timeout(time) {
            Ok(Answer { bytes, result }) => {
                self.buffer = bytes;
                self.late = false;
                if self.pending.take() == Some(What::Sync)
                    && let Err(error) = &result
                    && error.kind() != io::ErrorKind::Interrupted
                {
                    self.failed_sync.get_or_insert_with(|| error.to_string());
                }
                Ok(result)
            }
            Err(RecvTimeoutError::Timeout) => {
                self.late = true;
                Err(self.no_answer())
            }
            Err(RecvTimeoutError::Disconnected) => match self.thread.take().map(JoinHandle::join) {
                // It is the drain that tells of the storage's panics.
                Some(Err(panic)) => std::panic::resume_unwind(panic),
                _ => Err(io::ErrorKind::BrokenPipe.into()),
            },
        }
    }

    fn no_answer(&self) -> io::Error {
        let text = format!("the storage has not answered for {:?}", self.patience);
        io::Error::new(io::ErrorKind::TimedOut, text)
    }
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.ask(What::Write, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.ask(What::Flush, &[]).map(drop)
    }
}

impl Storage for Patient {
    fn sync(&mut self) -> io::Result<()> {
        self.ask(What::Sync, &[]).map(drop)
    }
}

/// The storage is dropped by its own thread, and that is waited for as everything else of it is. Where it is late, it is left.
impl Drop for Patient {
    fn drop(&mut self) {
        self.orders = None;
        if self.pending.is_none() {
            // No answer comes, but the end of them.
            let _ = self.answers.recv_timeout(self.patience);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Waits before each write and each sync until it is let go.
    struct Gate(Receiver<()>, Arc<Mutex<Vec<u8>>>);
    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().unwrap();
            // Not all of it, as any storage may.
            let some = bytes.len().min(3);
            self.1.lock().unwrap().extend_from_slice(&bytes[..some]);
            Ok(some)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Storage for Gate {
        fn sync(&mut self) -> io::Result<()> {
            self.0.recv().unwrap();
            Ok(())
        }
    }

    #[test]
    fn what_is_late_is_done_once() {
        let (open, gate) = channel();
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let storage = Gate(gate, Arc::clone(&bytes));
        let mut patient = Patient::new(storage, Duration::from_millis(1)).unwrap();
        let mut rest = &b"abcdefgh"[..];
        let late = |result: io::Result<usize>| {
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
        };
        while !rest.is_empty() {
            late(patient.write(rest));
            late(patient.write(rest));
            late(patient.sync().map(|()| 0));
            open.send(()).unwrap();
            let count = loop {
                if let Ok(count) = patient.write(rest) {
                    break count;
                }
                std::thread::yield_now();
            };
            rest = &rest[count..];
        }
        assert_eq!(*bytes.lock().unwrap(), b"abcdefgh");
        late(patient.sync().map(|()| 0));
        open.send(()).unwrap();
        while patient.sync().is_err() {
            std::thread::yield_now();
        }
        // A write behind a sync that is late waits for that, and is its own.
        late(patient.sync().map(|()| 0));
        late(patient.write(b"!"));
        open.send(()).unwrap();
        open.send(()).unwrap();
        while patient.write(b"!").is_err() {
            std::thread::yield_now();
        }
        assert_eq!(*bytes.lock().unwrap(), b"abcdefgh!");
        assert_eq!(patient.failed_sync(), None, "late is not failed");
    }

    /// Its first sync waits until it is let go, and fails.
    struct Broken(Receiver<()>, u32);
    impl Write for Broken {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Storage for Broken {
        fn sync(&mut self) -> io::Result<()> {
            self.1 += 1;
            if self.1 == 1 {
                self.0.recv().unwrap();
                return Err(io::Error::other("the plug is out"));
            }
            Ok(())
        }
    }

    /// Asks until there is an answer.
    fn when_it_comes<T>(mut ask: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        loop {
            match ask() {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => std::thread::yield_now(),
                other => return other,
            }
        }
    }

    #[test]
    fn a_sync_that_fails_late_is_remembered_whoever_hears_of_it() {
        let (open, gate) = channel();
        let mut patient = Patient::new(Broken(gate, 0), Duration::from_millis(1)).unwrap();
        let late = patient.sync().unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        assert_eq!(patient.failed_sync(), None);
        open.send(()).unwrap();
        // The answer comes to a write, which was not made.
        let error = when_it_comes(|| patient.write(b"a")).unwrap_err();
        assert_eq!(error.to_string(), "the plug is out");
        assert_eq!(when_it_comes(|| patient.write(b"a")).unwrap(), 1);
        when_it_comes(|| patient.sync()).unwrap();
        assert_eq!(patient.failed_sync(), Some("the plug is out"));
    }
}
