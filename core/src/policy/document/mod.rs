//! Documents as they were written: YAML read into trees whose every piece remembers where it stands.
//!
//! A YAML text is read strictly: what another reader could understand differently (a key twice, aliases, merge keys,
//! tags, a second document) is a finding. Readers of values report and go on, so that all mistakes come out at once.

mod fields;
mod nearest;
mod node;
mod quote;
mod raw_case;
pub mod values;
mod yaml;

pub use fields::Fields;
pub use nearest::{Patience, nearest, suggestion, suggestion_within};
pub use node::{Entry, Located, Node, Span, Value};
pub use quote::{in_block, in_flow};
pub use raw_case::{Place, Placed, RawCase};
pub use yaml::read;
