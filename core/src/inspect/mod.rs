//! What a body says, where a policy asks for it. Each reader has limits, and refuses
//! what two servers could read differently.

mod graphql;
mod json;
mod soql;
#[cfg(test)]
mod tape;

pub use graphql::{Asked, Call, GraphqlKind, GraphqlLimits};
pub use json::{InvalidPointer, Json, Pointer};
pub use soql::{ByType, Select, Source};
#[cfg(test)]
pub(crate) use tape::{Tape, tapes};
