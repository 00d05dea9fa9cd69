//! What may not become of this process: no core dump holds its memory, and no full quota ends it.

use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal, set_dumpable_behavior, setrlimit};
use std::io;
use tokio::signal::unix::{SignalKind, signal};

/// Whatever happens to this process, its memory, and the secrets in it, is written nowhere: not as a core file, not
/// by a collector of cores (which heeds no limit), and no process of the same user can read it.
///
/// # Errors
/// The system refuses.
pub fn leave_no_core() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// A file that may not grow is an error of the write, as on a full disk, and not the end of the process (`SIGXFSZ`).
/// Must be called on the runtime.
///
/// # Errors
/// The system refuses.
pub fn outlive_quotas() -> io::Result<()> {
    // The handler stays when its listener is gone.
    signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).map(drop)
}
