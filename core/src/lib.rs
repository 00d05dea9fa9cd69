//! Words, nouns and rules of Scopegate: everything that decides, and nothing that touches the world.

pub mod account;
pub mod answer;
pub mod connector;
pub mod id;
pub mod inspect;
pub mod oauth;
pub mod policy;
pub mod refresh;
pub mod refusal;
pub mod request;
pub mod scope;
pub mod secret;
pub mod time;
