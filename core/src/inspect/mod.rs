//! What a body says, where a policy asks for it. Each reader has limits, and refuses
//! what two servers could read differently.

mod json;

pub use json::{InvalidPointer, Json, Pointer};
