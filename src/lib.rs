//! Scopegate: everything that touches the world.

pub mod audit;
pub mod chance;
pub mod clock;
pub mod directory;
pub mod egress;
pub mod http_client;
pub mod metrics;
pub mod store;
pub mod tasks;
pub mod vault;
