//! Scopegate from the outside: the built binary between a practice provider and a practice API, spoken to over sockets.
//! One module per promise that a user relies on.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "these are tests, also where a function is none"
)]

mod audit;
mod raw;
mod recorder;
mod scripted;
mod stage;

mod customers_connect_over_http;
mod decides_alike_everywhere;
mod decides_what_content_holds;
mod dev_keeps_its_promises;
mod forwards_exactly_what_it_decided;
mod injects_the_right_customer;
mod keeps_connections_straight;
mod never_tells_secrets;
mod one_event_per_request;
mod reads_every_split_alike;
mod refreshes_once_for_many;
mod refuses_what_no_policy_names;
mod serves_real_clients;
mod survives_a_kill;
