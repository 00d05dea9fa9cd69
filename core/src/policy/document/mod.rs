//! Documents as they were written: YAML read into trees whose every piece remembers where it stands.

mod nearest;
mod node;
mod raw_case;
mod yaml;

pub use nearest::{nearest, suggestion};
pub use node::{Entry, Located, Node, Span, Value};
pub use raw_case::{Place, Placed, RawCase};
pub(crate) use yaml::read;
