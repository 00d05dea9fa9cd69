//! What everybody is asked: the same requests by wrk, in another order of accounts and operations each time.

use crate::contender::Contender;
use crate::crm;
use crate::gateway::{Size, customer, identifier};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Connections at once.
const CONNECTIONS: usize = 32;
/// So many different requests, each in a session of its account's customer.
pub(crate) const REQUESTS: usize = 10_000;

/// A script for wrk.
pub(crate) struct Load {
    script: PathBuf,
    allowed: bool,
}

/// What one turn showed.
pub(crate) struct Turn {
    pub(crate) requests: f64,
    pub(crate) seconds: f64,
    pub(crate) median: Duration,
    pub(crate) slow: Duration,
    /// Time on processors of the one who was asked.
    pub(crate) used: Duration,
    /// In KiB.
    pub(crate) resident: u64,
}

impl Load {
    /// Requests that are allowed, or that are denied, of so many of the accounts in turn.
    pub(crate) fn new(folder: &Path, name: &str, size: Size, asking: usize, allowed: bool) -> Self {
        let script = folder.join(format!("{name}.lua"));
        let method = if allowed { "GET" } else { "POST" };
        let operations: Vec<usize> = crm::some(size.operations, 1_000, allowed).collect();
        let mut text = String::from("local paths, accounts = {}, {}\n");
        operations.iter().for_each(|operation| _ = writeln!(text, "paths[#paths + 1] = \"/crm{}\"", crm::path(*operation)));
        let accounts = (0..REQUESTS).map(|step| (step % asking * 7_919) % size.accounts);
        accounts.for_each(|account| _ = writeln!(text, "accounts[#accounts + 1] = {{\"{}\", \"run-{}\"}}", identifier(account), customer(account)));
        let _ = write!(
            text,
            r#"
local ready, at = {{}}, 0
function init()
  for number, account in ipairs(accounts) do
    local headers = {{}}
    headers["Scopegate-Account"] = account[1]
    headers["Scopegate-Session"] = account[2]
    headers["User-Agent"] = "python-requests/2.34.2"
    headers["Accept"] = "*/*"
    headers["Accept-Encoding"] = "gzip, deflate"
    ready[number] = wrk.format("{method}", paths[number % #paths + 1], headers)
  end
end
function request()
  at = at % #ready + 1
  return ready[at]
end
function done(summary, latency)
  io.write(string.format("measured %d %d %d %d %d %d\n", summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    summary.errors.status, summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"#
        );
        std::fs::write(&script, text).unwrap();
        Self { script, allowed }
    }

    /// So many seconds of it.
    pub(crate) fn run(&self, contender: &Contender, seconds: u64) -> Turn {
        let before = contender.used();
        let mut wrk = Command::new("wrk");
        wrk.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s"), "-s"]).arg(&self.script);
        let output = wrk.arg(format!("http://127.0.0.1:{}", contender.port())).output().expect("wrk");
        let used = contender.used() - before;
        let text = String::from_utf8_lossy(&output.stdout);
        let measured = text.lines().find_map(|line| line.strip_prefix("measured "));
        let numbers: Vec<f64> = measured.into_iter().flat_map(str::split_whitespace).filter_map(|number| number.parse().ok()).collect();
        let [requests, micros, median, slow, refused, 0.0] = numbers[..] else {
            panic!("{}: {text}{}", contender.name(), String::from_utf8_lossy(&output.stderr))
        };
        assert_eq!(refused, if self.allowed { 0.0 } else { requests }, "{} answers something else", contender.name());
        let micro = |value: f64| Duration::from_secs_f64(value / 1e6);
        Turn { requests, seconds: micros / 1e6, median: micro(median), slow: micro(slow), used, resident: contender.resident() }
    }
}
