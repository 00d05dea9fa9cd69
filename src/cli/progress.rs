//! How far long work is, on stderr: a bar where somebody looks, else a line now and then. Of short work nothing is told.

use super::output::tell;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal as _;

/// Where nobody knows how much there is, a line comes after so many pieces.
const STRIDE: usize = 10_000;

/// How far the work is.
pub(super) struct Progress {
    deed: &'static str,
    unit: &'static str,
    done: usize,
    shown: Shown,
}

enum Shown {
    Bar(ProgressBar),
    /// Of a total, so many tenths were told.
    Tenths {
        total: usize,
        told: usize,
    },
    /// So many strides were told.
    Strides(usize),
    Nothing,
}

impl Progress {
    /// Begins to tell how far `deed` ("checked", "imported") is with `total` pieces; less than `long` of them take no time worth telling of.
    pub(super) fn new(deed: &'static str, unit: &'static str, total: usize, long: usize) -> Self {
        let shown = if total < long {
            Shown::Nothing
        } else if std::io::stderr().is_terminal() {
            let template = format!("{deed} {{human_pos}} of {{human_len}} {unit} {{wide_bar}} {{eta}}");
            let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
            Shown::Bar(ProgressBar::new(total as u64).with_style(style))
        } else {
            Shown::Tenths { total, told: 0 }
        };
        Self { deed, unit, done: 0, shown }
    }

    /// The same where nobody knows how much there is.
    pub(super) fn of_unknown(deed: &'static str, unit: &'static str) -> Self {
        let shown = if std::io::stderr().is_terminal() {
            let template = format!("{{spinner}} {deed} {{human_pos}} {unit}");
            let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_spinner());
            Shown::Bar(ProgressBar::new_spinner().with_style(style))
        } else {
            Shown::Strides(0)
        };
        Self { deed, unit, done: 0, shown }
    }

    /// So many more are done.
    pub(super) fn add(&mut self, pieces: usize) {
        self.done += pieces;
        let Self { deed, unit, done, shown } = self;
        match shown {
            Shown::Bar(bar) => bar.inc(pieces as u64),
            Shown::Tenths { total, told } if *done * 10 / *total > *told => {
                *told = *done * 10 / *total;
                tell(&format!("{deed} {done} of {total} {unit}"));
            }
            Shown::Strides(told) if *done / STRIDE > *told => {
                *told = *done / STRIDE;
                tell(&format!("{deed} {done} {unit}"));
            }
            Shown::Tenths { .. } | Shown::Strides(_) | Shown::Nothing => {}
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
