//! A reader that is read on a thread of its own, a few blocks ahead: what reads (and decompresses) and what writes then
//! take a core each.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

/// Bytes of a block.
const BLOCK: usize = 256 << 10;
/// Blocks that wait.
const DEPTH: usize = 4;

/// The other end.
pub struct Ahead {
    blocks: Receiver<io::Result<Vec<u8>>>,
    current: Vec<u8>,
    at: usize,
}

impl Ahead {
    /// Begins to read; ends when `from` does, or when nobody wants any more.
    pub fn new<'scope, R: Read + Send + 'scope>(scope: &'scope Scope<'scope, '_>, from: R) -> Self {
        let (to, blocks) = sync_channel(DEPTH);
        scope.spawn(move || pump(from, &to));
        Self { blocks, current: Vec::new(), at: 0 }
    }
}

fn pump(mut from: impl Read, to: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut block = Vec::with_capacity(BLOCK);
        let read = from.by_ref().take(BLOCK as u64).read_to_end(&mut block);
        // What came before an error is good.
        if !block.is_empty() && to.send(Ok(block)).is_err() {
            return;
        }
        match read {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                let _gone = to.send(Err(error));
                return;
            }
        }
    }
}

impl Read for Ahead {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.current.len() {
            match self.blocks.recv() {
                Ok(block) => (self.current, self.at) = (block?, 0),
                // The thread has come to the end.
                Err(_) => return Ok(0),
            }
        }
        let rest = self.current.get(self.at..).unwrap_or_default();
        let length = rest.len().min(into.len());
        let (Some(into), Some(some)) = (into.get_mut(..length), rest.get(..length)) else { return Ok(0) };
        into.copy_from_slice(some);
        self.at = self.at.saturating_add(length);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(usize);

    impl Read for Broken {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let length = self.0.min(into.len());
            self.0 -= length;
            if length == 0 { Err(io::Error::other("broken")) } else { Ok(length) }
        }
    }

    #[test]
    fn everything_comes_in_order_and_an_error_comes_last() {
        for size in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 9 * BLOCK + 3] {
            let content: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let mut read = Vec::new();
            std::thread::scope(|scope| Ahead::new(scope, content.as_slice()).read_to_end(&mut read)).unwrap();
            assert!(read == content, "{size}");
            let mut read = Vec::new();
            let ended = std::thread::scope(|scope| Ahead::new(scope, Broken(size)).read_to_end(&mut read));
            assert_eq!((ended.unwrap_err().to_string().as_str(), read.len()), ("broken", size));
        }
    }

    #[test]
    fn a_reader_that_nobody_wants_any_more_is_left() {
        std::thread::scope(|scope| {
            let mut ahead = Ahead::new(scope, io::repeat(7));
            let mut some = [0; 100];
            ahead.read_exact(&mut some).unwrap();
        });
    }
}
