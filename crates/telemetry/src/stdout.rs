//! Lines for stdout (or another sink), written by a thread of their own so that a slow reader blocks nobody.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::Duration;

/// Lines that may wait.
const MOST_LINES: usize = 16_384;
/// Bytes that may wait.
const MOST_BYTES: usize = 8 << 20;

/// Takes lines at any speed. Clones share one queue and one thread.
#[derive(Clone, Debug)]
pub struct LineQueue {
    lines: SyncSender<Message>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    waiting_bytes: AtomicUsize,
    dropped: AtomicU64,
    dropped_ever: AtomicU64,
    taken_ever: AtomicU64,
}

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

impl LineQueue {
    /// A queue to this process' stdout. `dropped_line` renders the report of how many lines were dropped.
    pub fn stdout(dropped_line: impl Fn(u64) -> String + Send + 'static) -> io::Result<Self> {
        Self::new(io::stdout(), dropped_line)
    }

    /// A queue to any sink.
    pub fn new(
        sink: impl Write + Send + 'static,
        dropped_line: impl Fn(u64) -> String + Send + 'static,
    ) -> io::Result<Self> {
        let (lines, waiting) = mpsc::sync_channel(MOST_LINES);
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        std::thread::Builder::new()
            .name("log-writer".into())
            .spawn(move || write_all(sink, &waiting, &shared, dropped_line))?;
        Ok(Self { lines, counts })
    }

    /// Hands over one line, without its newline. Never blocks: where there is no room, it is dropped.
    pub fn line(&self, line: Vec<u8>) {
        let bytes = line.len();
        let waiting = self.counts.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        if waiting.saturating_add(bytes) > MOST_BYTES || self.lines.try_send(Message::Line(line)).is_err() {
            self.counts.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
            self.counts.dropped_ever.fetch_add(1, Ordering::Relaxed);
        } else {
            self.counts.taken_ever.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lines taken and lines dropped since the start.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        (self.counts.taken_ever.load(Ordering::Relaxed), self.counts.dropped_ever.load(Ordering::Relaxed))
    }

    /// Lines dropped since the last report.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }

    /// Waits until what was handed over is written, at most for `patience`; for the end of a program. Blocks.
    pub fn flush(&self, patience: Duration) {
        let (done, written) = mpsc::sync_channel(1);
        if self.lines.try_send(Message::Flush(done)).is_ok() {
            // Too slow a reader: the rest is lost with the process.
            let _ = written.recv_timeout(patience);
        }
    }
}

fn write_all(mut sink: impl Write, waiting: &Receiver<Message>, counts: &Counts, dropped_line: impl Fn(u64) -> String) {
    for message in waiting {
        match message {
            Message::Line(mut line) => {
                counts.waiting_bytes.fetch_sub(line.len(), Ordering::Relaxed);
                line.push(b'\n');
                // A closed stdout cannot be reported anywhere; the queue must go on being emptied.
                drop(sink.write_all(&line));
            }
            Message::Flush(done) => drop(done.try_send(())),
        }
        let dropped = counts.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            drop(writeln!(sink, "{}", dropped_line(dropped)));
        }
        drop(sink.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Takes nothing until it is let.
    struct Gate(Arc<Mutex<Vec<u8>>>, Receiver<()>, bool);

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if !self.2 {
                self.2 = self.1.recv().is_ok();
            }
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_slow_reader_blocks_nobody_and_what_was_dropped_is_counted_and_told() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (open, gate) = mpsc::channel();
        let sink = Gate(Arc::clone(&seen), gate, false);
        let queue = LineQueue::new(sink, |count| format!("dropped {count}")).unwrap();
        for number in 0..20_000 {
            queue.line(format!("line {number}").into_bytes());
        }
        let dropped = queue.dropped();
        assert!((20_000 - 16_385 - 1..=20_000 - 16_384).contains(&usize::try_from(dropped).unwrap()), "{dropped}");
        open.send(()).unwrap();
        let (done, written) = mpsc::sync_channel(1);
        queue.lines.send(Message::Flush(done)).unwrap();
        written.recv_timeout(Duration::from_secs(20)).unwrap();
        let text = String::from_utf8(seen.lock().unwrap().clone()).unwrap();
        assert!(text.contains(&format!("dropped {dropped}\n")));
        assert_eq!(text.lines().filter(|line| line.starts_with("line ")).count() as u64 + dropped, 20_000);
    }

    #[test]
    fn a_huge_backlog_is_bounded_by_bytes_too() {
        let (_open, gate) = mpsc::channel();
        let sink = Gate(Arc::default(), gate, false);
        let queue = LineQueue::new(sink, |count| count.to_string()).unwrap();
        for _ in 0..20 {
            queue.line(vec![b'x'; 1 << 20]);
        }
        assert!(queue.dropped() >= 10, "{}", queue.dropped());
    }
}
