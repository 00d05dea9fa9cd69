//! An edit of a policy file comes into force by itself.
//!
//! Folders are watched, never files: an editor, a checkout and a mounted configuration map put another file in the place of
//! the old one. What to watch is worked out anew before each look, because an edit may move it, and before the files are
//! read, so that nothing falls between.
//!
//! **Invariant: a burst of changes is one reload**, made when it is over, or has lasted [`LONGEST`].

mod place;

use super::change::Occasion;
use super::policies::PolicyRoom;
use crate::clock::Clock;
use crate::tasks::Tasks;
use notify::{ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use place::Places;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long nothing must have changed before files are read: longer than whoever writes a file rests in the middle of it.
const QUIET: Duration = Duration::from_millis(300);

/// How long a burst may keep files from being read.
const LONGEST: Duration = Duration::from_secs(5);

/// Reloads `room` whenever its files were edited, until the process ends.
pub fn watch_policies(room: &Arc<PolicyRoom>, clock: &Clock, tasks: &Tasks) {
    let watching = Watching { room: Arc::clone(room), clock: clock.clone(), tasks: tasks.clone(), stirred: Arc::default(), ends: tasks.token() };
    tasks.spawn("policy files", watching.run());
}

struct Watching {
    room: Arc<PolicyRoom>,
    clock: Clock,
    tasks: Tasks,
    stirred: Arc<Notify>,
    ends: CancellationToken,
}

impl Watching {
    async fn run(self) {
        let mut watches = Watches::default();
        loop {
            let (room, stirred) = (Arc::clone(&self.room), Arc::clone(&self.stirred));
            // It comes back unless it panicked, and then nobody can say what is watched.
            let Ok(renewed) = self.tasks.blocking(move || watches.renewed(room.paths(), &stirred)).await else {
                tracing::error!("policy files are no longer watched; SIGHUP and the admin API still reload them");
                return;
            };
            watches = renewed;
            let (room, now) = (Arc::clone(&self.room), self.clock.timestamp());
            if self.tasks.blocking(move || room.reload_if_changed(now, Occasion::Edit)).await.is_err() {
                tracing::error!("the reload broke off; the old policies stay in force");
            }
            if self.ends.run_until_cancelled(self.settled()).await.is_none() {
                return;
            }
        }
    }

    /// Waits for a change, and then for its end.
    async fn settled(&self) {
        self.stirred.notified().await;
        let end = self.clock.instant().plus(LONGEST);
        while self.clock.instant() < end {
            tokio::select! {
                biased;
                () = self.stirred.notified() => {}
                () = self.clock.sleep(QUIET) => return,
            }
        }
    }
}

/// What the system watches for us, and whether somebody was told that it cannot.
#[derive(Default)]
struct Watches {
    /// Watches as long as it lives.
    watcher: Option<RecommendedWatcher>,
    told: bool,
}

impl Watches {
    /// Watches what `paths` lead to as it is now.
    fn renewed(self, paths: &[PathBuf], stirred: &Arc<Notify>) -> Self {
        let places = Arc::new(Places::of(paths));
        let (watcher, fault) = match begin(&places, stirred) {
            Ok((watcher, fault)) => (Some(watcher), fault),
            Err(fault) => (self.watcher, Some(fault)),
        };
        let lack = match (fault, places.elsewhere()) {
            (None, None) => None,
            (Some(fault), _) => Some(format!("policy files cannot all be watched ({fault})")),
            (None, Some(folder)) => Some(format!("{} may be changed by other machines, which is not seen here", folder.display())),
        };
        if let Some(lack) = lack.as_ref().filter(|_| !self.told) {
            tracing::warn!("{lack}; SIGHUP and the admin API still reload policies");
        }
        Self { watcher, told: lack.is_some() }
    }
}

/// Begins to watch; what it cannot watch besides is told along.
fn begin(places: &Arc<Places>, stirred: &Arc<Notify>) -> notify::Result<(RecommendedWatcher, Option<notify::Error>)> {
    let (known, stirred) = (Arc::clone(places), Arc::clone(stirred));
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if event.map_or(true, |event| known.concerns(&event)) {
            stirred.notify_one();
        }
    })?;
    let mut fault = None;
    for folder in places.folders() {
        if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive)
            && !is_gone(&error)
        {
            fault.get_or_insert(error);
        }
    }
    Ok((watcher, fault))
}

/// Whether the folder is there no more: the folder that held it tells.
fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(cause) => cause.kind() == io::ErrorKind::NotFound,
        ErrorKind::Generic(_) | ErrorKind::WatchNotFound | ErrorKind::InvalidConfig(_) | ErrorKind::MaxFilesWatch => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::policies::PolicyPlaces;
    use super::*;
    use crate::clock::Hands;
    use crate::metrics::{Metrics, ResultLabels};
    use scopegate_core::time::Timestamp;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use tokio::runtime::Handle;

    fn policy(role: &str) -> String {
        format!("version: 1\nroles:\n  {role}: {{allow: {{}}}}\n")
    }

    /// A room whose files are watched, on a clock that stands still.
    struct Watched {
        folder: tempfile::TempDir,
        room: Arc<PolicyRoom>,
        metrics: Metrics,
        hands: Hands,
        tasks: Tasks,
    }

    impl Watched {
        /// `arrange` makes the folder; the paths are relative to it.
        fn of(paths: &[&str], arrange: impl FnOnce(&Path)) -> Self {
            let folder = tempfile::tempdir().unwrap();
            arrange(folder.path());
            let (clock, hands) = Clock::manual(Timestamp::default());
            let (metrics, tasks) = (Metrics::new(), Tasks::new(Handle::current()));
            let paths = paths.iter().map(|path| folder.path().join(path)).collect();
            let room = PolicyRoom::open(PolicyPlaces { paths, ..PolicyPlaces::default() }, clock.timestamp(), metrics.clone()).unwrap();
            let room = Arc::new(room);
            watch_policies(&room, &clock, &tasks);
            Self { folder, room, metrics, hands, tasks }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn reloads(&self, result: &'static str) -> u64 {
            self.metrics.reloads.get_or_create(&ResultLabels { result }).get()
        }

        /// Lets time go on until this role is there.
        async fn until(&self, role: &str) {
            let role = role.parse().unwrap();
            while !self.room.policies().has_role(&role) {
                self.hands.advance(QUIET);
                tokio::task::yield_now().await;
            }
        }

        /// Lets time go on until so many attempts were rejected.
        async fn until_rejected(&self, times: u64) {
            while self.reloads("rejected") < times {
                self.hands.advance(QUIET);
                tokio::task::yield_now().await;
            }
        }
    }

    impl Drop for Watched {
        fn drop(&mut self) {
            self.tasks.token().cancel();
        }
    }

    fn replace(path: &Path, text: &str) {
        let beside = path.with_extension("yaml~");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, path).unwrap();
    }

    #[tokio::test]
    async fn what_is_written_while_nothing_rests_is_one_reload_and_no_half_is_told() {
        let watched = Watched::of(&["policies"], |folder| {
            fs::create_dir(folder.join("policies")).unwrap();
            fs::write(folder.join("policies/roles.yaml"), policy("first")).unwrap();
        });
        replace(&watched.path("policies/roles.yaml"), &policy("begun"));
        watched.until("begun").await;
        // The clock stands still meanwhile, so nothing has settled.
        fs::write(watched.path("policies/roles.yaml"), "version: 1\nrols: {").unwrap();
        for number in 0..200 {
            fs::write(watched.path(&format!("policies/{number}.yaml")), policy(&format!("role-{number}"))).unwrap();
        }
        fs::write(watched.path("policies/roles.yaml"), policy("second")).unwrap();
        watched.until("second").await;
        assert_eq!((watched.room.in_force().generation, watched.reloads("accepted"), watched.reloads("rejected")), (3, 2, 0));
        assert!(watched.room.policies().has_role(&"role-199".parse().unwrap()));
    }

    #[tokio::test]
    async fn a_rejected_edit_stays_visible_until_a_good_one_and_is_told_once() {
        let watched = Watched::of(&["roles.yaml"], |folder| fs::write(folder.join("roles.yaml"), policy("first")).unwrap());
        replace(&watched.path("roles.yaml"), "version: 1\nrols: {}\n");
        watched.until_rejected(1).await;
        assert!(watched.room.last_rejected().is_some_and(|rejected| rejected.errors() == 1));
        // The same again, and a file that nobody reads, are no further attempts.
        replace(&watched.path("roles.yaml"), "version: 1\nrols: {}\n");
        fs::write(watched.path("other.yaml"), "no policy").unwrap();
        fs::remove_file(watched.path("roles.yaml")).unwrap();
        watched.until_rejected(2).await;
        assert!(watched.room.last_rejected().is_some_and(|rejected| rejected.hash.is_none()), "it is gone");
        // Back to what is in force: good again.
        fs::write(watched.path("roles.yaml"), policy("first")).unwrap();
        while watched.room.last_rejected().is_some() {
            watched.hands.advance(QUIET);
            tokio::task::yield_now().await;
        }
        assert_eq!((watched.reloads("accepted"), watched.reloads("rejected")), (1, 2));
    }

    #[tokio::test]
    async fn files_are_followed_however_others_take_their_place() {
        let watched = Watched::of(&["current/policies", "single.yaml"], |folder| {
            for version in ["one", "two"] {
                fs::create_dir_all(folder.join(format!("{version}/policies/more"))).unwrap();
                fs::write(folder.join(format!("{version}/policies/more/roles.yaml")), policy(version)).unwrap();
            }
            symlink("one", folder.join("current")).unwrap();
            fs::write(folder.join("elsewhere.yaml"), policy("single")).unwrap();
            symlink("elsewhere.yaml", folder.join("single.yaml")).unwrap();
        });
        // An editor writes beside and renames.
        replace(&watched.path("one/policies/more/roles.yaml"), &policy("renamed"));
        watched.until("renamed").await;
        // A link is swapped, as configuration maps are.
        symlink("two", watched.path("next")).unwrap();
        fs::rename(watched.path("next"), watched.path("current")).unwrap();
        watched.until("two").await;
        // What it leads to is edited.
        fs::write(watched.path("two/policies/more/roles.yaml"), policy("edited")).unwrap();
        watched.until("edited").await;
        // A folder takes the place of another, and is edited then.
        fs::rename(watched.path("two/policies"), watched.path("two/aside")).unwrap();
        fs::create_dir_all(watched.path("two/policies")).unwrap();
        fs::write(watched.path("two/policies/new.yaml"), policy("replaced")).unwrap();
        watched.until("replaced").await;
        fs::create_dir_all(watched.path("two/policies/deep/deeper")).unwrap();
        fs::write(watched.path("two/policies/deep/deeper/roles.yaml"), policy("deep")).unwrap();
        watched.until("deep").await;
        fs::write(watched.path("two/policies/deep/deeper/roles.yaml"), policy("deeper")).unwrap();
        watched.until("deeper").await;
        // All of it goes away, and comes back.
        fs::remove_dir_all(watched.path("two")).unwrap();
        let rejected = watched.reloads("rejected");
        watched.until_rejected(rejected + 1).await;
        fs::create_dir_all(watched.path("two/policies")).unwrap();
        fs::write(watched.path("two/policies/roles.yaml"), policy("back")).unwrap();
        watched.until("back").await;
        // And where a link of a single file leads.
        fs::write(watched.path("elsewhere.yaml"), policy("last")).unwrap();
        watched.until("last").await;
    }
}
