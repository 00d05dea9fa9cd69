//! How far long work is, on stderr: a bar where somebody looks, else a line for each tenth.

use super::output::tell;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal as _;

/// Less than this takes no time worth telling of.
const LONG: usize = 1000;

/// How far the work is.
pub(super) struct Progress {
    deed: &'static str,
    done: usize,
    total: usize,
    shown: Shown,
}

enum Shown {
    Bar(ProgressBar),
    /// How many tenths were told.
    Tenths(usize),
    Nothing,
}

impl Progress {
    /// Begins to tell how far `deed` ("checked", "imported") is with `total` pieces.
    pub(super) fn new(deed: &'static str, total: usize) -> Self {
        let shown = if total < LONG {
            Shown::Nothing
        } else if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{msg} {human_pos} of {human_len} {wide_bar} {eta}");
            let bar = ProgressBar::new(total as u64).with_message(deed);
            Shown::Bar(style.map_or(bar.clone(), |style| bar.with_style(style)))
        } else {
            Shown::Tenths(0)
        };
        Self { deed, done: 0, total, shown }
    }

    /// So many more are done.
    pub(super) fn add(&mut self, pieces: usize) {
        self.done += pieces;
        match &mut self.shown {
            Shown::Bar(bar) => bar.inc(pieces as u64),
            Shown::Tenths(told) => {
                let tenths = self.done * 10 / self.total;
                if tenths > *told {
                    *told = tenths;
                    tell(&format!("{} {} of {}", self.deed, self.done, self.total));
                }
            }
            Shown::Nothing => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}
