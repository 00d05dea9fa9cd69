//! Scopegate: everything that touches the world.

pub mod admin;
pub mod audit;
pub mod caller;
pub mod chance;
pub mod clock;
pub mod directory;
pub mod egress;
pub mod gateway;
pub mod grants;
pub mod http_client;
pub mod limits;
pub mod metrics;
pub mod store;
pub mod tasks;
pub mod vault;
