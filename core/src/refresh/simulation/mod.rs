//! A deterministic world around [`Life`](super::Life): callers, processes that crash, a store, a provider and an API that fail,
//! clocks that jump, an operator and a customer who interfere. Each seed is one history, and each promise is checked as it runs.

mod broken;
mod callers;
mod dice;
mod driver;
mod provider;
mod world;

use broken::Rules;
use world::{Tally, World};

const SEEDS: u64 = 10_000;

/// Plays one history after the other. The first that breaks a promise is told with the command that plays it again.
fn play(seeds: impl Iterator<Item = u64>) -> Tally {
    let mut tally = Tally::default();
    for seed in seeds {
        match World::new(seed, Rules::Sound).run() {
            Ok(counts) => tally.add(&counts),
            Err(wrong) => {
                panic!("seed {seed}: {wrong}\nto see it again: SCOPEGATE_SEED={seed} cargo test -p scopegate-core one_history -- --nocapture")
            }
        }
    }
    tally
}

#[test]
fn no_history_of_an_even_seed_breaks_a_promise() {
    play((0..SEEDS).step_by(2)).assert_worth_something();
}

#[test]
fn no_history_of_an_odd_seed_breaks_a_promise() {
    play((1..SEEDS).step_by(2)).assert_worth_something();
}

/// The history of `SCOPEGATE_SEED`, event by event.
#[test]
fn one_history() {
    #[expect(clippy::disallowed_methods, reason = "whoever looks at a history chooses it here")]
    let seed = std::env::var("SCOPEGATE_SEED").map_or(1, |seed| seed.parse().expect("SCOPEGATE_SEED is a number"));
    let (world, mut told) = (World::new(seed, Rules::Sound), Vec::new());
    let ended = world.told(&mut told).run();
    println!("{}", told.join("\n"));
    match ended {
        Ok(tally) => println!("seed {seed}: every promise was kept: {tally:?}"),
        Err(wrong) => panic!("seed {seed}: {wrong}"),
    }
}

#[test]
fn a_rule_with_a_hole_in_it_is_found() {
    for rules in Rules::BROKEN {
        let found = (0..SEEDS).find_map(|seed| World::new(seed, rules).run().err().map(|wrong| (seed, wrong)));
        let (seed, wrong) = found.unwrap_or_else(|| panic!("{rules:?}: no history tells it from sound rules"));
        println!("{rules:?}: seed {seed}: {wrong}");
    }
}
