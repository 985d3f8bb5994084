//! A panic of any thread or task ends the manager at once. A task that ended by a defect would leave a machine that waits
//! for it for ever, with a lease that the other tasks renew; PID 1 that ends takes everything of postgres with it, and its
//! successor begins from what the volume and the lease say.

use core::time::Duration;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};
use pgherd_telemetry::{LineQueue, LogSetup, error_line};
use serde_json::{Map, Value};
use std::panic::PanicHookInfo;

/// What Rust's own programs end with.
pub const EXIT_CODE: i32 = 101;
/// For the last line to be written.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// From now on a panic is told as one line of the log, and ends the process with [`EXIT_CODE`].
pub fn end_at_the_first(setup: &LogSetup, queue: &LineQueue) {
    let (setup, queue) = (setup.clone(), queue.clone());
    std::panic::set_hook(Box::new(move |panic| {
        // The fence first. Elsewhere than as PID 1 of a pod it would be somebody else's processes.
        if getpid().as_raw() == 1 {
            let _none_left = kill(Pid::from_raw(-1), Signal::SIGKILL);
        }
        // Not by way of the subscriber, in which this may have happened.
        queue.line(last_words(&setup, panic).into_bytes());
        queue.flush(LAST_WORDS);
        std::process::exit(EXIT_CODE);
    }));
}

fn last_words(setup: &LogSetup, panic: &PanicHookInfo<'_>) -> String {
    let what = panic.payload_as_str().unwrap_or("no words");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current().name().unwrap_or_default().to_owned();
    let fields = [("error", what.to_owned()), ("place", place), ("thread", thread)];
    let fields: Map<String, Value> = fields.into_iter().map(|(key, text)| (key.to_owned(), text.into())).collect();
    error_line(setup, "the manager ends by a defect of its own, and everything of postgres with it", fields)
}
