//! What a body says, where a policy asks for it. Each reader has limits, and refuses
//! what two servers could read differently.

mod batch;
mod form;
mod graphql;
mod json;
mod soql;
#[cfg(test)]
mod tape;

pub use batch::{Batch, BatchFault, BatchFormat, BatchShape, InvalidLine, JsonShape, Line, Part, PartShape, Pattern, Piece};
pub use form::Form;
pub use graphql::{Asked, Call, GraphqlKind, GraphqlLimits};
pub use json::{InvalidPointer, Json, Pointer};
pub use soql::{ByType, Select, Source};
#[cfg(test)]
pub(crate) use tape::{Tape, tapes};
