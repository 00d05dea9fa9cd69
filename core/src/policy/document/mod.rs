//! Documents as they were written: YAML read into trees whose every piece remembers where it stands.

mod raw_case;

pub use raw_case::{Place, Placed, RawCase};
