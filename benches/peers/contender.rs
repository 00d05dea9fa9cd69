//! A server under measurement: its processes, and what they use.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ends with this value.
pub(crate) struct Contender {
    name: &'static str,
    port: u16,
    child: Child,
}

impl Contender {
    /// Starts `command`, and waits until it listens.
    pub(crate) fn start(name: &'static str, port: u16, command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).spawn().unwrap_or_else(|error| panic!("{name}: {error}; has `scripts/set-up bench` been run?"));
        let mut contender = Self { name, port, child };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = contender.child.try_wait().unwrap() {
                panic!("{name} ended with {status}");
            }
            assert!(began.elapsed() < Duration::from_secs(300), "{name} does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        eprintln!("{name} listens after {:.1} s", began.elapsed().as_secs_f64());
        contender
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Time on processors so far, of it and its children.
    pub(crate) fn used(&self) -> Duration {
        let ticks: u64 = self.processes().iter().map(|process| ticks(*process)).sum();
        // USER_HZ, which is 100 on every Linux that Rust knows
        Duration::from_millis(ticks * 10)
    }

    /// Memory of it and its children, in KiB.
    pub(crate) fn resident(&self) -> u64 {
        self.processes().iter().map(|process| resident(*process)).sum()
    }

    fn processes(&self) -> Vec<u32> {
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        let children = fs::read_to_string(children).unwrap_or_default();
        std::iter::once(self.child.id()).chain(children.split_whitespace().filter_map(|id| id.parse().ok())).collect()
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        // pingora alone would linger for five minutes
        for _ in 0..200 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody uses now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().port()
}

/// The upstream of all of them.
pub(crate) fn upstream() -> Contender {
    let port = free_port();
    Contender::start("direct", port, Command::new(std::env::current_exe().unwrap()).args(["upstream", &port.to_string()]))
}

/// `utime` and `stime`, proc(5).
fn ticks(process: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let behind_name = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    behind_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or_default()
}
