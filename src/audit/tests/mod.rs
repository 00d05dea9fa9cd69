//! The audit as a whole, on real files.

mod full_disk;

use super::chain::Head;
use super::event::tests::full_event;
use super::*;
use crate::clock::Hands;
use scopegate_core::id::RequestId;
use scopegate_core::refusal::Reason;
use scopegate_core::time::Timestamp;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use tempfile::TempDir;
use tokio::runtime::Handle;

struct Room {
    folder: TempDir,
    clock: Clock,
    hands: Hands,
    metrics: Metrics,
    rotation: Rotation,
}

impl Room {
    fn new() -> Self {
        // Files get the machine's time, so the clock starts with it.
        let (clock, hands) = Clock::manual(Clock::system().timestamp());
        let rotation = Rotation { size: 1 << 20, keep: Duration::from_hours(24 * 90) };
        Self { folder: tempfile::tempdir().unwrap(), clock, hands, metrics: Metrics::new(), rotation }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("data/audit.jsonl")
    }

    /// The audit of a process that has just started.
    fn audit(&self) -> AuditLog {
        AuditLog::open(&self.path(), self.rotation, self.clock.clone(), self.tasks(), self.metrics.clone()).unwrap()
    }

    fn tasks(&self) -> Tasks {
        Tasks::new(Handle::current())
    }

    fn event(&self, number: u8) -> Event {
        Event { time: self.clock.timestamp(), request_id: RequestId::from_bytes([number; 16]), ..full_event() }
    }

    /// Lets a process write these events and end.
    async fn run(&self, numbers: &[u8]) {
        let audit = self.audit();
        numbers.iter().for_each(|number| audit.note(&self.event(*number)));
        end(audit).await;
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path().parent().unwrap()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn sound(&self) -> Verified {
        let verified = verify(&self.path()).unwrap();
        assert_eq!(verified.findings, []);
        verified
    }

    fn append(&self, bytes: &[u8]) {
        OpenOptions::new().append(true).open(self.path()).unwrap().write_all(bytes).unwrap();
    }
}

/// Waits until the writer has let go of the current file.
async fn end(audit: AuditLog) {
    audit.flush().await;
    let lock = fs::File::open(audit.files.current()).unwrap();
    let tasks = audit.tasks.clone();
    drop(audit);
    tasks.blocking(move || lock.lock().unwrap()).await.unwrap();
}

fn numbers(events: &[Recorded]) -> Vec<u8> {
    events.iter().map(|recorded| recorded.event.request_id.as_bytes()[0]).collect()
}

#[tokio::test]
async fn events_of_all_kinds_of_ends_are_on_disk_after_a_flush() {
    let room = Room::new();
    let audit = room.audit();
    audit.reserve().unwrap().write(&room.event(1));
    audit.note(&room.event(2));
    let open = audit.reserve().unwrap();
    audit.flush().await;
    let text = fs::read_to_string(room.path()).unwrap();
    let events: Vec<Recorded> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(numbers(&events), [1, 2]);
    assert_eq!(room.metrics.audit_queue.get(), 1);
    drop(open);
    assert_eq!((room.metrics.audit_queue.get(), room.metrics.audit_events.get()), (0, 2));
}

#[tokio::test]
async fn many_writers_leave_one_chain() {
    let room = Room::new();
    let audit = room.audit();
    let writers = (0..8).map(|number| {
        let (audit, event) = (audit.clone(), room.event(number));
        room.tasks().blocking(move || (0..100).for_each(|_| audit.reserve().unwrap().write(&event)))
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    audit.flush().await;
    assert_eq!(room.sound().events, 800);
}

/// Tells this program, started once more, where to write instead of testing.
const CHILD: &str = "SCOPEGATE_AUDIT_TEST_FOLDER";

/// No test: what a process does that is about to be killed. Says after each flush how many events were before it.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "how this program is told that it is a child, and answers")]
async fn writes_until_it_is_killed_where_it_is_told_to() {
    let Ok(folder) = std::env::var(CHILD) else { return };
    let room = Room { folder: TempDir::with_prefix_in("child", folder).unwrap(), ..Room::new() };
    let audit = room.audit();
    println!("\nat {}", room.path().display());
    for number in (10..).step_by(10) {
        (0..10).for_each(|_| audit.note(&room.event(1)));
        audit.flush().await;
        println!("\nflushed {number}");
    }
}

#[tokio::test]
async fn a_kill_loses_no_flushed_event_and_breaks_no_chain() {
    let room = Room::new();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "audit::tests::writes_until_it_is_killed_where_it_is_told_to", "--nocapture"]);
    let mut child = command.env(CHILD, room.folder.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let path = lines.by_ref().find_map(|line| line.strip_prefix("at ").map(PathBuf::from)).unwrap();
    lines.by_ref().find(|line| line == "flushed 50").unwrap();
    child.kill().unwrap();
    let flushed = lines.filter_map(|line| line.strip_prefix("flushed ")?.parse().ok()).last().unwrap_or(50);
    child.wait().unwrap();

    let child_folder = path.parent().unwrap().parent().unwrap();
    fs::rename(child_folder.join("data"), room.folder.path().join("data")).unwrap();
    assert!(room.sound().events >= flushed);
    room.run(&[2]).await;
    let verified = room.sound();
    assert!(verified.events > flushed && verified.torn.is_none());
}

#[tokio::test]
async fn each_process_begins_a_file_and_goes_on_with_the_chain() {
    let room = Room::new();
    room.run(&[1, 2]).await;
    room.run(&[]).await;
    room.run(&[3]).await;
    room.run(&[4]).await;
    assert_eq!(room.files(), ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"]);
    let verified = room.sound();
    assert_eq!((verified.events, verified.files, verified.first_seq), (4, 3, Some(1)));
    assert_eq!(fs::metadata(room.path()).unwrap().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn two_processes_side_by_side_write_two_sound_files() {
    let room = Room::new();
    room.run(&[1]).await;
    let old = room.audit();
    old.note(&room.event(2));
    old.flush().await;
    let new = room.audit();
    for (audit, number) in [(&old, 3), (&new, 4), (&old, 5), (&new, 6)] {
        audit.note(&room.event(number));
        audit.flush().await;
    }
    room.sound();
    assert_eq!(numbers(&new.search(Filter::default(), None, 10).await.unwrap().events), [6, 4, 5, 3, 2, 1]);
    let onwards = Filter { after_seq: Some(0), ..Filter::default() };
    assert_eq!(numbers(&new.search(onwards.clone(), None, 10).await.unwrap().events), [1, 2, 3, 5, 4, 6]);
    end(new).await;
    drop(old);
    room.run(&[7]).await;
    assert_eq!(room.sound().events, 7);

    let room = Room::new();
    let (old, new) = (room.audit(), room.audit());
    for (audit, number) in [(&old, 1), (&new, 2), (&old, 3)] {
        audit.note(&room.event(number));
        audit.flush().await;
    }
    room.sound();
    assert_eq!(numbers(&new.search(onwards, None, 10).await.unwrap().events), [1, 3, 2]);
}

#[tokio::test]
async fn a_line_torn_by_a_kill_is_moved_aside_and_the_chain_goes_on() {
    for (torn, kept) in [(&b"{\"time\":\"2026-11"[..], 2), (b"\0\0\0\0", 2), (b"{\"time\":1}\n{\"ti", 2), (b"\n\n", 2)] {
        let room = Room::new();
        room.run(&[1, 2]).await;
        room.append(torn);
        let before = verify(&room.path()).unwrap();
        assert_eq!(before.findings.is_empty(), !torn.ends_with(b"\n") && !torn.starts_with(b"{\"time\":1}"), "{torn:?}");
        room.run(&[3]).await;
        assert_eq!(room.sound().events, kept + 1);
        let aside = room.files().into_iter().find(|name| name.starts_with("torn-audit.jsonl-")).unwrap();
        assert_eq!(fs::read(room.folder.path().join("data").join(aside)).unwrap(), torn);
    }
}

#[tokio::test]
async fn a_line_that_lacks_its_line_feed_alone_is_kept() {
    let room = Room::new();
    room.run(&[1, 2]).await;
    let text = fs::read(room.path()).unwrap();
    fs::write(room.path(), &text[..text.len() - 1]).unwrap();
    assert_eq!(room.sound().events, 2);
    room.run(&[3]).await;
    assert_eq!(room.sound().events, 3);
    assert_eq!(room.files(), ["audit.jsonl", "audit.jsonl.1"]);
}

#[tokio::test]
async fn whatever_was_changed_afterwards_is_found() {
    let room = Room::new();
    room.run(&[1, 2]).await;
    room.run(&[3, 4, 5, 6]).await;
    let whole = fs::read_to_string(room.path()).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let forged = [
        whole.replacen("\"status\":403", "\"status\":200", 1),
        whole.replacen("researcher", "resercher", 1),
        whole.replacen("\"hash\":\"", "\"hash\":\"0", 1),
        [lines[0], lines[2], lines[3]].concat(),
        [lines[1], lines[2], lines[3]].concat(),
        [lines[1], lines[0], lines[2], lines[3]].concat(),
        [lines[0], lines[1], lines[1], lines[2], lines[3]].concat(),
        [lines[0], "not an event\n", lines[1]].concat(),
        [lines[0], "\n", lines[1]].concat(),
    ];
    for text in forged {
        assert_ne!(text, whole);
        fs::write(room.path(), &text).unwrap();
        assert_ne!(verify(&room.path()).unwrap().findings, [], "{text}");
        assert_ne!(verify_end(&room.path()).unwrap().unwrap().findings, [], "{text}");
    }
    fs::write(room.path(), &whole).unwrap();
    room.sound();
    let end = verify_end(&room.path()).unwrap().unwrap();
    assert_eq!((end.events, end.first_seq, &end.findings[..]), (4, Some(3), &[][..]));
    let older = room.folder.path().join("data/audit.jsonl.1");
    let first = fs::read_to_string(&older).unwrap();
    for cut in [first.lines().next().unwrap().len() + 1, first.len() - 10] {
        fs::write(&older, &first.as_bytes()[..cut]).unwrap();
        assert_ne!(verify(&room.path()).unwrap().findings, [], "cut after {cut} bytes");
        assert_ne!(verify_end(&room.path()).unwrap().unwrap().findings, [], "cut after {cut} bytes");
    }
    fs::remove_file(&older).unwrap();
    let what = "event 3 is the first that is kept, and nothing was deleted for its age: events were removed or exchanged".to_owned();
    let gone = [Finding { file: room.path(), line: 1, what }];
    assert_eq!((verify(&room.path()).unwrap().findings, verify_end(&room.path()).unwrap().unwrap().findings), (gone.to_vec(), gone.to_vec()));
    fs::write(room.path(), "").unwrap();
    assert!(verify_end(&room.path()).unwrap().is_none(), "there is no event");
}

#[tokio::test]
async fn a_finding_names_file_line_and_number() {
    let room = Room::new();
    room.run(&[1, 2, 3]).await;
    let whole = fs::read_to_string(room.path()).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    fs::write(room.path(), [lines[0], lines[2]].concat()).unwrap();
    let what = "event 3 does not go on from the event before it: events were removed, added or exchanged".into();
    assert_eq!(verify(&room.path()).unwrap().findings, [Finding { file: room.path(), line: 2, what }]);
}

#[tokio::test]
async fn files_end_by_size_and_age_and_are_deleted_when_too_old() {
    let mut room = Room::new();
    room.rotation.size = 1_000;
    let audit = room.audit();
    for number in 1..=5 {
        audit.note(&room.event(number));
        audit.flush().await;
    }
    assert_eq!(room.files().len(), 3, "two events fill a file");
    room.sound();

    room.hands.advance(Duration::from_hours(24));
    audit.note(&room.event(6));
    audit.flush().await;
    assert_eq!(room.files().len(), 4, "a day ends a file");
    assert_eq!(numbers(&audit.search(Filter::default(), None, 10).await.unwrap().events), [6, 5, 4, 3, 2, 1]);

    room.hands.advance(room.rotation.keep);
    audit.note(&room.event(7));
    audit.flush().await;
    assert_eq!(room.files(), ["audit.jsonl", "pruned-audit.jsonl"], "all others are too old");
    let verified = room.sound();
    assert_eq!((verified.first_seq, verified.last_seq), (Some(7), Some(7)));
    assert_eq!(verify_end(&room.path()).unwrap().unwrap().findings, []);
}

#[tokio::test]
async fn what_is_missing_beyond_what_was_too_old_is_found() {
    let mut room = Room::new();
    room.rotation.size = 1;
    let audit = room.audit();
    for number in 1..=6 {
        audit.note(&room.event(number));
        audit.flush().await;
    }
    end(audit).await;
    let old = (Clock::system().timestamp().millis() / 1000 - 91 * 86_400).unsigned_abs();
    for number in 1..=3 {
        let file = OpenOptions::new().append(true).open(room.path().with_extension(format!("jsonl.{number}"))).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(old)).unwrap();
    }
    room.run(&[7]).await;
    let verified = room.sound();
    assert_eq!((verified.first_seq, verified.last_seq), (Some(4), Some(7)));
    fs::remove_file(room.path().with_extension("jsonl.4")).unwrap();
    let what = "event 5 is the first that is kept, and what was deleted for its age ends with 3: events were removed or exchanged";
    assert_eq!(verify(&room.path()).unwrap().findings.iter().map(|one| one.what.as_str()).collect::<Vec<_>>(), [what]);
}

#[tokio::test]
async fn files_are_deleted_when_they_are_too_old_also_while_nothing_happens() {
    let room = Room::new();
    room.run(&[1]).await;
    let (mut segment, _) = Segment::begin(Files::at(&room.path()), room.clock.timestamp()).unwrap();
    assert_eq!(room.files(), ["audit.jsonl", "audit.jsonl.1"]);
    room.hands.advance(room.rotation.keep + Duration::from_secs(1));
    segment.rotate(room.rotation, room.clock.timestamp()).unwrap();
    assert_eq!(room.files(), ["audit.jsonl", "pruned-audit.jsonl"]);
}

#[tokio::test]
async fn whoever_reads_does_not_keep_others_from_beginning_a_file() {
    let room = Room::new();
    room.run(&[1, 2]).await;
    let mut read = 0;
    read_past(&room.path(), |_| {
        read += 1;
        Files::at(&room.path()).folder().unwrap().try_lock().unwrap();
    })
    .unwrap();
    assert_eq!(read, 2);
    let audit = room.audit();
    for number in 0..=255_u8 {
        (0..10).for_each(|_| audit.note(&room.event(number)));
    }
    audit.flush().await;
    let mut told = 0;
    let verified = verify_watched(&room.path(), &mut |_| {
        told += 1;
        let (began, _) = Segment::begin(Files::at(&room.path()), room.clock.timestamp()).unwrap();
        drop(began);
    });
    assert_eq!((verified.unwrap().findings, told), (vec![], 1), "what is walked is more than a MiB");
}

#[tokio::test]
async fn a_file_that_somebody_moved_away_is_followed_by_a_new_one() {
    for left_behind in [None, Some("")] {
        let room = Room::new();
        let audit = room.audit();
        audit.note(&room.event(1));
        audit.flush().await;
        fs::rename(room.path(), room.folder.path().join("data/audit.jsonl.1")).unwrap();
        if let Some(text) = left_behind {
            fs::write(room.path(), text).unwrap();
        }
        audit.reopen();
        audit.note(&room.event(2));
        audit.flush().await;
        audit.reopen();
        audit.note(&room.event(3));
        audit.flush().await;
        assert_eq!(fs::read_to_string(room.path()).unwrap().lines().count(), 2);
        assert_eq!(room.sound().events, 3);
    }
}

#[tokio::test]
async fn events_are_found_by_each_filter_over_all_files() {
    let mut room = Room::new();
    room.rotation.size = 1;
    let audit = room.audit();
    let noon: Timestamp = "2020-11-26T12:00:00Z".parse().unwrap();
    let at = |seconds| noon.plus(Duration::from_secs(seconds));
    for (number, event) in [
        (1, Event { time: at(1), account: Some("nobody there".into()), reason: Some(Reason::UnknownAccount), customer: None, ..full_event() }),
        (2, Event { time: at(2), operation: Some("report.left+report.right".into()), session: None, ..full_event() }),
        (3, Event { time: at(3), connector: Some("desk".parse().unwrap()), customer: Some("globex".parse().unwrap()), ..full_event() }),
        (4, Event { time: at(4), decision: Verdict::Allow, reason: None, operation: None, ..full_event() }),
    ] {
        audit.note(&Event { request_id: RequestId::from_bytes([number; 16]), ..event });
        audit.flush().await;
    }
    assert_eq!(room.files().len(), 4, "each event has a file of its own");
    let all = Filter::default;
    for (filter, expected) in [
        (all(), &[4, 3, 2, 1][..]),
        (Filter { account: Some("nobody there".into()), ..all() }, &[1]),
        (Filter { account: full_event().account.map(|account| account.to_string()), ..all() }, &[4, 3, 2]),
        (Filter { customer: Some("globex".parse().unwrap()), ..all() }, &[3]),
        (Filter { session: Some("run-1".parse().unwrap()), ..all() }, &[4, 3, 1]),
        (Filter { session: Some("run".parse().unwrap()), ..all() }, &[]),
        (Filter { connector: Some("crm".parse().unwrap()), ..all() }, &[4, 2, 1]),
        (Filter { operation: Some("opportunity.update".into()), ..all() }, &[3, 1]),
        (Filter { operation: Some("desk.opportunity.update".into()), ..all() }, &[3]),
        (Filter { operation: Some("report.right".into()), ..all() }, &[2]),
        (Filter { operation: Some("crm.report.left+report.right".into()), ..all() }, &[2]),
        (Filter { decision: Some(Verdict::Deny), ..all() }, &[3, 2, 1]),
        (Filter { reason: Some(Reason::UnknownAccount), ..all() }, &[1]),
        (Filter { since: Some(at(3)), ..all() }, &[4, 3]),
        (Filter { until: Some(at(3)), ..all() }, &[2, 1]),
        (Filter { since: Some(at(2)), until: Some(at(3)), ..all() }, &[2]),
        (Filter { since: Some("2099-01-01T00:00:00Z".parse().unwrap()), ..all() }, &[]),
        (Filter { reason: Some(Reason::RoleLacksScope), connector: Some("desk".parse().unwrap()), ..all() }, &[3]),
    ] {
        let page = audit.search(filter.clone(), None, 10).await.unwrap();
        assert_eq!(numbers(&page.events), expected, "{filter:?}");
        assert_eq!(page.next, None);
        let (mut one_by_one, mut cursor) = (Vec::new(), None);
        loop {
            let page = audit.search(filter.clone(), cursor, 1).await.unwrap();
            one_by_one.extend(numbers(&page.events));
            let Some(next) = page.next else { break };
            cursor = Some(next);
        }
        assert_eq!(one_by_one, expected, "{filter:?}, a page for each");
    }
    let run = audit.session(&"run-1".parse().unwrap()).await.unwrap();
    assert_eq!((numbers(&run.events), run.truncated), (vec![1, 3, 4], false));
}

#[tokio::test]
async fn of_a_session_with_very_many_events_the_beginning_is_shown_and_that_it_is_not_all() {
    let mut room = Room::new();
    room.rotation.size = 1 << 22;
    let audit = room.audit();
    for (more, truncated) in [(SESSION, false), (2, true)] {
        for _ in 0..more {
            room.hands.advance(Duration::from_millis(1));
            audit.note(&room.event(7));
        }
        let run = audit.session(&"run-1".parse().unwrap()).await.unwrap();
        assert_eq!((run.events.len(), run.truncated), (SESSION, truncated));
        let time = |event: Option<&Recorded>| event.unwrap().event.time;
        assert_eq!(time(run.events.last()).since(time(run.events.first())), Duration::from_millis(SESSION as u64 - 1));
    }
    assert!(room.files().len() > 1, "{:?}", room.files());
}

#[tokio::test]
async fn a_search_goes_on_at_its_cursor_whatever_was_written_and_rotated_since() {
    let mut room = Room::new();
    room.rotation.size = 2_000;
    let audit = room.audit();
    (1..=5).for_each(|number| audit.note(&room.event(number)));
    let (mut seen, mut cursor) = (Vec::new(), None);
    for later in 6.. {
        let page = audit.search(Filter::default(), cursor.clone(), 2).await.unwrap();
        seen.extend(numbers(&page.events));
        let Some(next) = page.next else { break };
        cursor = Some(next.to_string().parse().unwrap());
        (0..3).for_each(|_| audit.note(&room.event(later)));
        audit.flush().await;
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
    for after_seq in [None, Some(0)] {
        for text in [format!("0-{}", "0".repeat(64)), cursor.clone().unwrap().to_string().replacen('-', "0-", 1)] {
            let filter = Filter { after_seq, ..Filter::default() };
            let unknown = audit.search(filter, Some(text.parse().unwrap()), 2).await;
            assert!(matches!(unknown, Err(AuditError::UnknownCursor)), "{text}: {unknown:?}");
        }
    }
}

#[tokio::test]
async fn behind_a_number_events_come_as_they_happened_over_all_files() {
    let mut room = Room::new();
    // The first file is large enough to be halved.
    room.rotation.size = 400_000;
    let audit = room.audit();
    for number in 0..1_000_u32 {
        let account = if number % 100 == 7 { "seven" } else { "other" };
        audit.note(&Event { account: Some(account.into()), ..room.event(0) });
        if number % 300 == 299 {
            audit.flush().await;
        }
    }
    audit.flush().await;
    assert_eq!(room.files().len(), 2);
    let seqs = |page: &Page| page.events.iter().map(|event| event.seq).collect::<Vec<_>>();
    let after = |seq| Filter { after_seq: Some(seq), ..Filter::default() };
    for seq in [0, 1, 2, 299, 300, 598, 599, 600, 601, 899, 900, 901, 998, 999, 1_000, 2_000] {
        let page = audit.search(after(seq), None, 3).await.unwrap();
        let expected: Vec<u64> = (seq + 1..=1_000).take(3).collect();
        assert_eq!((seqs(&page), page.next.is_some()), (expected, seq < 997), "behind {seq}");
        assert_eq!(page.last_seq, Some((seq + 3).min(1_000)), "behind {seq}");
    }
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = audit.search(after(5), cursor, 199).await.unwrap();
        seen.extend(seqs(&page));
        let Some(next) = page.next else { break };
        cursor = Some(next);
    }
    assert_eq!(seen, (6..=1_000).collect::<Vec<_>>());
    let narrowed = audit.search(Filter { account: Some("seven".into()), ..after(500) }, None, 10).await.unwrap();
    assert_eq!((seqs(&narrowed), narrowed.last_seq), (vec![508, 608, 708, 808, 908], Some(1_000)), "what was left out counts as looked at");
    let newest = audit.search(Filter { account: Some("seven".into()), ..Filter::default() }, None, 1).await.unwrap();
    assert_eq!((seqs(&newest), newest.last_seq), (vec![908], Some(1_000)));
}
