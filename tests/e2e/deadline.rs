//! A test that never ends is told by name, instead of holding up whoever waits for all of them.

use std::io::Write as _;
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Many times what the longest of these tests takes in a debug build on a busy machine. It decides nothing but that a test hangs.
const ENDLESS: Duration = Duration::from_mins(15);

/// As long as this lives, a test is under way that has to end.
pub(crate) struct Deadline {
    /// Nothing is sent: that it is gone tells the end.
    _under_way: SyncSender<()>,
}

impl Deadline {
    /// For the test whose thread this is, which has no gateway.
    pub(crate) fn of_this() -> Self {
        Self::of_this_test(&Arc::default())
    }

    /// For the test whose thread this is. `log` is what its gateway has said, which is shown with its name.
    pub(crate) fn of_this_test(log: &Arc<Mutex<Vec<u8>>>) -> Self {
        let (under_way, end) = mpsc::sync_channel(0);
        let (test, log) = (thread::current().name().unwrap_or("a test").to_owned(), Arc::clone(log));
        let watch = move || {
            if end.recv_timeout(ENDLESS) == Err(RecvTimeoutError::Timeout) {
                // Not by a macro: what those print is kept back until a test ends.
                let log = log.lock().map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default();
                let last = log.lines().rev().take(40).collect::<Vec<_>>();
                let shown = last.into_iter().rev().collect::<Vec<_>>().join("\n");
                let _ = writeln!(std::io::stderr(), "{shown}\n{test} does not end; above is what its gateway said last");
                // No server outlives its test, also this way.
                let _ = Command::new("sh")
                    .args(["-c", "for child in $(cat /proc/$PPID/task/*/children); do [ $child = $$ ] || kill -KILL $child; done"])
                    .status();
                std::process::exit(101);
            }
        };
        scopegate::tasks::thread("deadline", watch).unwrap();
        Self { _under_way: under_way }
    }
}
