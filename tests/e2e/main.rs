//! Scopegate from the outside: the built binary between a practice provider and a practice API, spoken to over sockets.
//! One module per promise that a user relies on.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "these are tests, also where a function is none")]

mod audit;
mod canary;
mod certified;
mod chromium;
mod deadline;
mod fountain;
mod frames;
mod http2;
mod lookalike;
mod moody;
mod mortal;
mod nginx;
mod oauth_server;
mod raw;
mod recorder;
mod scripted;
mod secure_upstream;
mod stage;

mod changes_its_policies_whole;
mod changes_its_wrapping_key;
mod comes_back_from_a_backup;
mod counts_without_names;
mod customers_connect_in_a_browser;
mod customers_connect_over_http;
mod decides_alike_everywhere;
mod decides_what_content_holds;
mod deploys_as_shipped;
mod dev_keeps_its_promises;
mod differs_as_it_decides;
mod doctor_looks_and_changes_nothing;
mod ends_at_once;
mod every_verb_speaks_json;
mod forwards_exactly_what_it_decided;
mod gives_back_what_may_pass;
mod imports_many_accounts;
mod init_makes_a_project_that_serves;
mod injects_the_right_customer;
mod keeps_connections_straight;
mod keeps_sessions_to_their_customer;
mod keeps_to_rfc_9113;
mod keeps_what_the_store_does_not_take;
mod leaves_others_undisturbed;
mod loses_nothing_when_it_is_killed;
mod never_tells_secrets;
mod one_event_per_request;
mod operators_look_around;
mod outlives_a_full_disk;
mod reads_every_split_alike;
mod refreshes_once_for_many;
mod refuses_what_no_policy_names;
mod sends_again_within_bounds;
mod serves_behind_nginx;
mod serves_real_clients;
mod shows_in_the_readme_what_works;
mod speaks_http2_and_tls;
mod speaks_to_upstreams_over_tls;
mod speaks_with_a_real_oauth_server;
mod streams_without_holding;
mod survives_a_kill;
mod takes_its_secrets_along;
mod tells_each_change_of_a_grant_once;
mod tells_what_happened;
