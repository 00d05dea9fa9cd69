//! How many files this process may have open: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one, which is the operator's. What the process may have open then; none: as many as it likes.
/// # Errors
/// The system refuses; the soft limit stays.
pub fn raise() -> std::io::Result<Option<u64>> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    Ok(maximum)
}

/// What listeners, store, audit, token endpoints and the admin plane may have open besides.
const OTHERS: u64 = 256;

/// How many of the wanted connections fit into so many open files: each may need another one, to its API.
#[must_use]
pub fn connections(wanted: usize, files: Option<u64>) -> usize {
    let fit = files.map_or(usize::MAX, |files| usize::try_from(files.saturating_sub(OTHERS) / 2).unwrap_or(usize::MAX));
    if fit < wanted {
        tracing::warn!(wanted, fit, "`gateway.connections` is more than the limit of open files allows (ulimit -n, LimitNOFILE)");
    }
    wanted.min(fit.max(16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let raised = raise().unwrap();
        assert_eq!(getrlimit(Resource::Nofile).current, raised);
    }

    #[test]
    fn connections_are_no_more_than_files_allow() {
        for (wanted, files, allowed) in
            [(10_000, None, 10_000), (10_000, Some(1_048_576), 10_000), (10_000, Some(1_024), 384), (10_000, Some(100), 16), (10, Some(1_024), 10)]
        {
            assert_eq!(connections(wanted, files), allowed, "{wanted} of {files:?}");
        }
    }
}
