//! What every store promises, held against each of them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "these are tests, also where a function is none"
)]

mod store_contract {
    pub(crate) mod backup;
    pub(crate) mod cast;
    pub(crate) mod embedded;
    pub(crate) mod leases;
    pub(crate) mod news;
    pub(crate) mod records;
}

use store_contract::cast::{Embedded, Home};
use store_contract::{leases, news, records};

/// Each promise as a test, for one kind of store.
macro_rules! promises {
    ($home:ty: $($module:ident::{$($name:ident),+ $(,)?}),+ $(,)?) => {$($(
        #[tokio::test]
        async fn $name() {
            $module::$name(&<$home>::new()).await;
        }
    )+)+};
}

macro_rules! every_promise {
    ($home:ty) => {
        promises! { $home:
            records::{
                an_account_is_inserted_once_and_updated_from_the_version_before,
                an_account_takes_its_own_handles_and_authorizations_along,
                a_grant_is_written_by_compare_and_set,
                of_many_writers_of_one_version_one_wins,
                a_batch_leaves_all_of_it_or_nothing,
                an_intent_stands_until_it_is_taken_back_or_the_grant_is_written,
                the_use_of_a_grant_is_noted_and_never_goes_back,
                an_authorization_is_found_by_what_somebody_has_to_show,
                a_session_belongs_to_whoever_was_first_until_it_is_over,
                there_is_one_digest_key,
                a_data_key_is_wrapped_anew_from_the_wrapping_that_was_read,
                what_a_data_key_seals_is_found_and_sealed_anew_without_a_new_version,
                what_was_answered_is_there_after_a_restart,
                what_has_ended_is_forgotten_and_nothing_else,
                what_waits_for_its_confirmation_is_found_and_stays,
            },
            leases::{
                a_lease_has_one_holder_until_it_is_given_back,
                a_lease_ends_unless_it_is_renewed,
                a_holder_whose_lease_is_gone_writes_nothing,
                a_holder_whose_process_is_gone_holds_nothing,
            },
            news::{
                a_follower_is_told_everything_and_then_each_change_before_its_writer_is_answered,
                a_conflict_is_no_news,
                another_process_is_told_of_a_change_and_ends_with_the_same,
            },
        }
    };
}

mod sqlite {
    use super::*;

    every_promise!(Embedded);
}
