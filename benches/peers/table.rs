//! What was measured, in one table.

use crate::load::Turn;
use std::fmt::Write as _;

/// Turns by name, in the order of their first ones.
#[derive(Default)]
pub(crate) struct Table(Vec<(String, Vec<Turn>)>);

impl Table {
    pub(crate) fn add(&mut self, name: &str, turn: Turn) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, turns)) => turns.push(turn),
            None => self.0.push((name.to_owned(), vec![turn])),
        }
    }

    /// The medians of all turns; `base` is what the others are compared with.
    pub(crate) fn beside(&self, base: &str) -> String {
        let micros = |turns: &[Turn]| median(turns.iter().map(|turn| turn.used.as_secs_f64() * 1e6 / turn.requests));
        let base = self.0.iter().find(|(name, _)| name == base).map_or(f64::NAN, |(_, turns)| micros(turns));
        let mut text = String::from("| | CPU µs a request | ratio | requests/s | p50 ms | p99 ms | MiB |\n|---|---:|---:|---:|---:|---:|---:|\n");
        for (name, turns) in &self.0 {
            let used = micros(turns);
            let rate = median(turns.iter().map(|turn| turn.requests / turn.seconds));
            let millis = |of: fn(&Turn) -> f64| median(turns.iter().map(of)) * 1e3;
            let (half, slow) = (millis(|turn| turn.median.as_secs_f64()), millis(|turn| turn.slow.as_secs_f64()));
            let resident = turns.iter().map(|turn| turn.resident).max().unwrap_or_default() / 1024;
            let _ = writeln!(text, "| {name} | {used:.1} | {:.2} | {rate:.0} | {half:.2} | {slow:.2} | {resident} |", used / base);
        }
        text
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
