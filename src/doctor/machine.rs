//! The machine: its clock, its disks, and how many files it lets us open.

use super::Check;
use crate::clock::Clock;
use crate::limits;
use crate::settings::Settings;
use scopegate_core::time::Timestamp;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

const CLOCK: &str = "clock";
const FILES: &str = "open files";

const MIB: u64 = 1 << 20;

/// Whether anything can be written in a folder, or where it is going to be.
pub(super) fn writable(check: &'static str, folder: &Path) -> Check {
    let there = existing(folder);
    match tempfile::Builder::new().prefix(".doctor-").tempfile_in(&there) {
        Ok(_) => Check::ok(check, format!("{} can be written", there.display())),
        Err(error) => {
            let message = format!("nothing can be written in {}: {error}", there.display());
            Check::fail(check, message, "let the user that runs the gateway own the folder")
        }
    }
}

/// Whether a folder's disk has room.
pub(super) fn space(check: &'static str, folder: &Path) -> Check {
    let there = existing(folder);
    match rustix::fs::statvfs(&there) {
        Ok(disk) => room(check, &there, disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize)),
        Err(error) => Check::warn(check, format!("the free space of {} is not known: {error}", there.display()), "look at the disk"),
    }
}

pub(super) fn room(check: &'static str, folder: &Path, free: u64, total: u64) -> Check {
    let message = format!("{} MiB are free for {}", free / MIB, folder.display());
    match free {
        _ if free < 100 * MIB => Check::fail(check, message, "make room: a full disk ends all calls"),
        _ if free < 1024 * MIB || free < total / 20 => Check::warn(check, message, "make room before it is needed"),
        _ => Check::ok(check, message),
    }
}

/// The folder, or the nearest one above it that is there.
fn existing(folder: &Path) -> PathBuf {
    let there = folder.ancestors().find(|path| path.is_dir()).filter(|path| !path.as_os_str().is_empty());
    there.map_or_else(|| ".".into(), Path::to_path_buf)
}

/// Whether the clock can be right: nothing here was written later than now.
pub(super) fn clock(settings: &Settings, clock: &Clock) -> Check {
    let audit = [settings.audit.file.clone()];
    let store = ["scopegate.db", "scopegate.db-wal"].map(|name| settings.store.join(name));
    let newest = audit.iter().chain(&store).chain([&settings.encryption.key_file]).filter_map(|path| changed(path)).max();
    plausible(clock.timestamp(), newest)
}

fn changed(path: &Path) -> Option<Timestamp> {
    let since = path.metadata().ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::default().plus(since))
}

/// `newest` is when the youngest of our files was changed.
pub(super) fn plausible(now: Timestamp, newest: Option<Timestamp>) -> Check {
    /// File systems round, and clocks are set by a little.
    const LEEWAY: Duration = Duration::from_secs(60);
    /// When this was written: 2026-01-01.
    const WRITTEN: Timestamp = Timestamp::from_millis(1_767_225_600_000);
    let help = "set the clock (NTP): tokens would be refreshed too late, or not at all";
    let ahead = newest.map_or(Duration::ZERO, |newest| newest.since(now));
    if now < WRITTEN {
        Check::fail(CLOCK, format!("it cannot be {now}"), help)
    } else if ahead > LEEWAY {
        Check::fail(CLOCK, format!("files here were written {} s later than now: the clock is slow, or was fast", ahead.as_secs()), help)
    } else {
        Check::ok(CLOCK, format!("{now} fits what was written"))
    }
}

/// How many files the process may open: each request in flight takes two.
pub(super) fn open_files() -> Check {
    match limits::files::raise() {
        Ok(limit) => enough(limit),
        Err(error) => Check::warn(FILES, format!("the limit is not known: {error}"), "look at `ulimit -Hn`"),
    }
}

pub(super) fn enough(limit: Option<u64>) -> Check {
    let Some(limit) = limit else { return Check::ok(FILES, "no limit") };
    let message = format!("{limit} at most");
    let help = "raise the hard limit, such as `LimitNOFILE=65536` of the service: each request in flight takes two";
    match limit {
        0..256 => Check::fail(FILES, message, help),
        256..8192 => Check::warn(FILES, message, help),
        8192.. => Check::ok(FILES, message),
    }
}
