//! Scopegate beside other proxies, all in one run: `scripts/set-up bench && cargo bench --bench peers`.
//!
//! Everybody has one worker thread, the same upstream and the same load (wrk, one thread), and takes turns: a round is a few seconds of
//! each. What counts is the processor's time for each request, read from /proc; requests per second and latencies depend on what else
//! the machine does, which here is the upstream and the load itself.
//!
//! `-- --scale` compares Scopegate with itself: 100 to 50,000 operations, 100 to 1,000,000 accounts.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark says what it measured, and ends where it cannot go on"
)]
#![expect(clippy::disallowed_methods, reason = "it measures time, and starts threads and processes of its own")]

mod contender;
#[path = "../crm.rs"]
mod crm;
mod gateway;
mod load;
mod pass_through;
mod peers;
mod table;
mod upstream;

use clap::{Parser, Subcommand};
use contender::Contender;
use gateway::{Gateway, Size};
use load::{Load, REQUESTS};
use std::path::Path;
use table::Table;

/// As Scopegate has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Arguments {
    /// How often everybody has a turn.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// How long a turn takes, in seconds.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Compare Scopegate with itself, at several sizes.
    #[arg(long)]
    scale: bool,
    /// The largest number of accounts for `--scale`.
    #[arg(long, default_value_t = 1_000_000)]
    accounts: usize,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What this program is when it starts itself.
#[derive(Subcommand)]
enum Role {
    /// Answers everything, as quickly as may be.
    Upstream { port: u16 },
    /// Pingora, and nothing else.
    PassThrough { port: u16, upstream: u16 },
}

fn main() {
    let arguments = Arguments::parse();
    match arguments.role {
        Some(Role::Upstream { port }) => upstream::serve(port),
        Some(Role::PassThrough { port, upstream }) => pass_through::serve(port, upstream),
        None if arguments.scale => scale(&arguments),
        None => beside_others(&arguments),
    }
}

fn beside_others(arguments: &Arguments) {
    let folder = tempfile::tempdir().unwrap();
    let upstream = contender::upstream();
    let size = Size { operations: 5_000, accounts: 100_000 };
    let gateway = Gateway::start(&folder.path().join("gateway"), size, &upstream);
    let load = |name, allowed| Load::new(folder.path(), name, size, REQUESTS, allowed);
    let (allowed, denied) = (load("allowed", true), load("denied", false));
    let mut turns: Vec<(&str, &Contender, &Load)> = vec![("direct", &upstream, &allowed)];
    let others = peers::all(folder.path(), &upstream, size.accounts);
    turns.extend(others.iter().map(|peer| (peer.name(), peer, &allowed)));
    turns.push(("Scopegate", gateway.contender(), &allowed));
    turns.push(("Scopegate, denied", gateway.contender(), &denied));
    let table = measure(&turns, arguments);
    println!("{}", table.beside("pingora's pass-through"));
}

fn scale(arguments: &Arguments) {
    let folder = tempfile::tempdir().unwrap();
    let upstream = contender::upstream();
    let sizes = [(100, 100), (5_000, 100), (50_000, 100), (5_000, 100_000), (5_000, arguments.accounts)];
    let sizes = sizes.map(|(operations, accounts)| Size { operations, accounts });
    let names = sizes.map(|size| format!("{} operations, {} accounts", size.operations, size.accounts));
    let (gateways, restarts): (Vec<_>, Vec<_>) = sizes
        .iter()
        .map(|size| Gateway::start(&folder.path().join(format!("{}-{}", size.operations, size.accounts)), *size, &upstream).restarted())
        .unzip();
    // The same hundred ask as often in a small crowd as in a large one; in a large one ten thousand others may ask too.
    let asking = sizes.map(|size| [FEW, REQUESTS].into_iter().filter(|asking| *asking <= size.accounts).collect::<Vec<_>>());
    let mut turns: Vec<(String, &Contender, Load)> = Vec::new();
    for (((size, name), gateway), asking) in sizes.iter().zip(&names).zip(&gateways).zip(&asking) {
        for asking in asking {
            let name = format!("{name}, {asking} ask");
            turns.push((name.clone(), gateway.contender(), Load::new(folder.path(), &name, *size, *asking, true)));
        }
    }
    let table = measure(&turns.iter().map(|(name, contender, load)| (name.as_str(), *contender, load)).collect::<Vec<_>>(), arguments);
    println!("{}", table.beside(&turns.first().unwrap().0));
    for (name, restart) in names.iter().zip(restarts) {
        println!(
            "{name}: {} MiB resident behind the import; after a restart listening in {:.2} s, ready in {:.2} s with {} MiB",
            restart.before,
            restart.listens.as_secs_f64(),
            restart.ready.as_secs_f64(),
            restart.resident
        );
    }
}

/// So many accounts ask at every size.
const FEW: usize = 100;

/// So many seconds fill the caches of everybody with everything that is asked for.
const WARM: u64 = 4;

/// Everybody in turn, round after round; what came first is left out.
fn measure(turns: &[(&str, &Contender, &Load)], arguments: &Arguments) -> Table {
    let mut table = Table::default();
    for (_, contender, load) in turns {
        load.run(contender, WARM);
    }
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {}", arguments.rounds);
        for (name, contender, load) in turns {
            table.add(name, load.run(contender, arguments.seconds));
        }
    }
    table
}

/// Where `scripts/set-up bench` leaves what is no Debian package.
fn target() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_scopegate")).ancestors().nth(2).expect("a target folder")
}
