//! Scopegate: everything that touches the world.

pub mod admin;
pub mod app;
pub mod audit;
pub mod caller;
pub mod catalog;
pub mod chance;
pub mod cli;
pub mod clock;
pub mod dev;
pub mod directory;
pub mod egress;
pub mod gateway;
pub mod grants;
pub mod http_client;
pub mod limits;
pub mod logs;
pub mod metrics;
pub mod practice;
pub mod proxy;
pub mod settings;
pub mod store;
pub mod tasks;
pub mod vault;
