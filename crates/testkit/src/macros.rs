//! The macro that makes a test of each rule.

/// Makes one `#[test]` for each rule of the [`TokenStore`](jwt_knox::TokenStore) contract, in the modules `bare`,
/// `boxed` and `arced`, for the store as it is, in a `Box` and in an `Arc`.
///
/// Takes the path of an async function that opens the store, and perhaps the word `durable`: two handles from it see
/// the same data. The function may return an `Option`; see the [front page](crate#a-store-that-is-not-everywhere).
///
/// # Examples
///
/// ```test_harness
/// use jwt_knox::MemoryStore;
///
/// async fn open() -> MemoryStore {
///     MemoryStore::new()
/// }
///
/// jwt_knox_testkit::store_tests!(open);
/// ```
#[macro_export]
macro_rules! store_tests {
    ($open:path) => {
        $crate::store_tests!(@wrappings $open, shared {
            a_record_comes_back_whole
            moments_far_ahead_are_kept
            an_unknown_record_is_not_found
            a_record_is_inserted_once
            subjects_compare_byte_for_byte
            ids_of_different_subjects_do_not_mix
            list_is_newest_first
            list_gives_the_live_records_of_one_subject
            touch_notes_the_use
            touch_moves_the_deadline_only_forwards
            touch_gives_no_deadline_to_a_record_without_one
            an_older_touch_is_refused
            touch_needs_a_live_record
            remove_is_precise_and_may_be_repeated
            remove_all_ends_all_and_counts_the_live
            remove_all_spares_the_exception
            remove_all_leaves_other_subjects_alone
            replace_swaps_a_record_once
            replace_of_a_missing_record_inserts_nothing
            a_denying_limit_refuses_one_too_many
            an_evicting_limit_ends_the_oldest
            an_evicting_limit_lets_the_new_record_in
            a_limit_by_use_ends_the_longest_unused
            a_login_replaces_those_of_the_same_label
            replacing_comes_before_the_limit
            a_lowered_limit_applies_to_the_next_login
            a_limit_counts_its_own_subject_only
            expired_records_count_in_no_limit
            without_a_limit_nothing_is_evicted
            remove_expired_removes_only_what_is_over
            remove_expired_keeps_to_its_batch
            remove_expired_loses_no_login_that_happens_meanwhile
            remove_expired_spares_a_login_that_is_used_meanwhile
            parallel_logins_keep_to_a_denying_limit
            parallel_logins_keep_to_an_evicting_limit
            parallel_logins_keep_to_a_limit_by_use
            parallel_logins_of_one_label_leave_one
            a_use_that_is_noted_saves_from_eviction
            a_record_is_removed_or_evicted_and_not_both
            parallel_rotations_have_one_winner
            parallel_removals_have_one_winner
            a_touch_revives_nothing
            a_login_is_removed_whole_or_there_whole
            remove_all_counts_every_login_it_ends
            a_rotation_does_not_outlive_remove_all
            a_rotation_does_not_slip_past_the_limit
            calls_of_all_kinds_at_once_are_answered
        });
    };
    ($open:path, durable) => {
        $crate::store_tests!($open);
        mod durable {
            #[allow(unused_imports)]
            use super::*;

            $crate::store_tests!(@wrappings $open, durable {
                reopening_sees_every_committed_record
                a_removal_is_seen_through_every_handle
                a_limit_holds_over_two_handles
                a_rotation_has_one_winner_over_two_handles
            });
        }
    };
    (@wrappings $open:path, $how:ident { $($rule:ident)* }) => {
        $crate::store_tests!(@rules bare Bare $open, $how { $($rule)* });
        $crate::store_tests!(@rules boxed Boxed $open, $how { $($rule)* });
        $crate::store_tests!(@rules arced Arced $open, $how { $($rule)* });
    };
    (@rules $module:ident $wrapping:ident $open:path, $how:ident { $($rule:ident)* }) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[test]
                fn $rule() {
                    $crate::run::$how($open, $crate::run::Wrapping::$wrapping, $crate::rules::$rule);
                }
            )*
        }
    };
}
