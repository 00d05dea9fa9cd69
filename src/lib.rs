//! Scopegate: everything that touches the world.

pub mod egress;
pub mod http_client;
