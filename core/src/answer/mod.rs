//! What may come back from an API: headers by rule, links through the gateway, no token in it.
//!
//! An answer is never read as a whole and never waits for more than it must: everything here takes chunks as they come.

mod headers;
mod links;
mod mask;
mod unpack;

pub use headers::{AnswerHeaders, AnswerRules, Redirects};
pub use links::{Door, Links};
pub use mask::{Holding, Mask, Needle};
pub use unpack::{Packing, UnpackError, Unpacker};
