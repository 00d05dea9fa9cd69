//! The audit as it stands in the files.

use crate::stage::Stage;
use serde_json::Value;

/// Ends the gateway, so that everything is written, and reads all events, oldest first.
pub(crate) fn all(stage: &mut Stage) -> Vec<Value> {
    let status = stage.stop();
    assert!(status.success(), "{status}: {}", stage.log());
    written(stage)
}

/// What a gateway that has ended has written, oldest first.
pub(crate) fn written(stage: &Stage) -> Vec<Value> {
    let mut files: Vec<_> = std::fs::read_dir(stage.path("data")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with("audit.jsonl"));
    let mut events: Vec<Value> = Vec::new();
    for file in files {
        events.extend(std::fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    events.sort_by_key(|event| event["seq"].as_u64());
    events
}
