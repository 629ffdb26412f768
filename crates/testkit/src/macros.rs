//! The list of the rules, and the macro that makes a test of each.

/// Gives the names of all rules to a macro: `callback! { shared { … } durable { … } }`.
///
/// Those in `shared` are the functions in [`rules`](crate::rules) that take a store, and those in `durable` the ones
/// that take an [`Opener`](crate::Opener). Tokens after the name of the callback are passed on, in front of the rules.
/// [`store_tests!`](crate::store_tests) is one such callback; use this list for a different test harness, or for a
/// store that keeps most of the rules.
///
/// # Examples
///
/// ```
/// macro_rules! names {
///     (shared { $($shared:ident)* } durable { $($durable:ident)* }) => {
///         [$(stringify!($shared),)* $(stringify!($durable),)*]
///     };
/// }
///
/// let rules = jwt_knox_testkit::for_each_rule!(names);
/// assert!(rules.contains(&"a_record_comes_back_whole"));
/// ```
#[macro_export]
macro_rules! for_each_rule {
    ($($callback:ident)::+ $(, $($arguments:tt)*)?) => {
        $($callback)::+! {
            $($($arguments)*)?
            shared {
                a_record_comes_back_whole
                times_far_ahead_are_kept
                an_unknown_record_is_not_found
                a_record_is_inserted_once
                subjects_compare_byte_for_byte
                ids_of_different_subjects_do_not_mix
                list_is_newest_first
                list_gives_the_active_sessions_of_one_subject
                list_gives_the_newest_thousand
                touch_records_the_use
                touch_moves_the_expiry_only_forwards
                touch_gives_no_expiry_to_a_session_without_one
                an_older_touch_is_rejected
                touch_needs_an_active_session
                remove_is_precise_and_may_be_repeated
                remove_all_ends_all_and_counts_the_active
                remove_all_spares_the_exception
                remove_all_leaves_other_subjects_alone
                a_login_that_began_before_remove_all_is_superseded
                a_superseded_login_changes_nothing
                set_label_changes_the_label_alone
                set_label_needs_an_active_session
                rotate_changes_the_secret_once
                rotate_of_a_missing_session_changes_nothing
                rotate_never_moves_times_back
                a_rotated_session_keeps_its_id_and_all_else
                a_denying_limit_rejects_one_too_many
                an_evicting_limit_ends_the_oldest
                an_evicting_limit_inserts_the_new_session
                a_limit_by_use_ends_the_least_recently_used
                a_login_replaces_the_sessions_of_the_same_label
                replacing_comes_before_the_limit
                a_lowered_limit_applies_to_the_next_login
                a_limit_counts_one_subject_only
                expired_sessions_count_in_no_limit
                eviction_names_the_sessions
                without_a_limit_nothing_is_evicted
                remove_expired_removes_only_what_has_expired
                remove_expired_keeps_to_its_batch
                remove_expired_loses_no_parallel_login
                remove_expired_spares_a_session_that_is_used_in_parallel
                remove_expired_forgets_no_revocation
                parallel_logins_keep_to_a_denying_limit
                parallel_logins_keep_to_an_evicting_limit
                parallel_logins_keep_to_a_limit_by_use
                parallel_logins_of_one_label_leave_one
                parallel_inserts_of_one_record_have_one_winner
                a_recorded_use_saves_from_eviction
                a_session_is_removed_or_evicted_and_not_both
                parallel_rotations_have_one_winner
                parallel_removals_have_one_winner
                a_touch_revives_nothing
                a_session_is_removed_whole_or_there_whole
                remove_all_counts_every_session_it_ends
                a_login_under_way_never_survives_remove_all
                a_new_label_revives_nothing
                a_new_label_undoes_no_rotation
                a_rotation_revives_nothing
                a_rotation_does_not_outlive_remove_all
                a_rotation_does_not_slip_past_the_limit
                calls_of_all_kinds_at_once_are_answered
            }
            durable {
                reopening_sees_every_committed_record
                a_removal_is_seen_through_every_handle
                a_limit_holds_over_two_handles
                a_rotation_has_one_winner_over_two_handles
                a_revocation_supersedes_logins_of_every_handle
                a_call_that_is_dropped_harms_no_later_one
            }
        }
    };
}

/// Makes one `#[test]` for each rule of the [`TokenStore`](jwt_knox::TokenStore) contract, named like the rule.
///
/// Takes attributes that go on every test, the path of an async function that opens the store, and perhaps the word
/// `durable`: two handles from that function see the same data.
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
///
/// Tests that need a server are ignored where there is none:
///
/// ```test_harness
/// # use jwt_knox::MemoryStore;
/// # async fn open() -> MemoryStore { MemoryStore::new() }
/// jwt_knox_testkit::store_tests!(#[ignore = "needs a server"] open, durable);
/// ```
#[macro_export]
macro_rules! store_tests {
    // An invocation by `for_each_rule!`. `@` keeps these arms apart from the ones below.
    (@shared $attributes:tt $open:path, shared { $($rule:ident)* } durable $durable:tt) => {
        $($crate::store_tests! { @test $attributes shared $open, $rule })*
    };
    (@durable $attributes:tt $open:path, shared $shared:tt durable { $($rule:ident)* }) => {
        $crate::store_tests! { @shared $attributes $open, shared $shared durable {} }
        $($crate::store_tests! { @test $attributes durable $open, $rule })*
    };
    (@test [$($attribute:tt)*] $run:ident $open:path, $rule:ident) => {
        $($attribute)*
        #[test]
        fn $rule() {
            $crate::run::$run($open, $crate::rules::$rule);
        }
    };
    ($(#[$attribute:meta])* $open:path) => {
        $crate::for_each_rule! { $crate::store_tests, @shared [$(#[$attribute])*] $open, }
    };
    ($(#[$attribute:meta])* $open:path, durable) => {
        $crate::for_each_rule! { $crate::store_tests, @durable [$(#[$attribute])*] $open, }
    };
}

#[cfg(test)]
mod tests {
    macro_rules! names {
        (shared { $($shared:ident)* } durable { $($durable:ident)* }) => {
            vec![$(stringify!($shared),)* $(stringify!($durable),)*]
        };
    }

    /// A rule that is not in the list would never be checked.
    #[test]
    fn the_list_has_every_rule() {
        let sources = [
            include_str!("rules/dropped.rs"),
            include_str!("rules/durable.rs"),
            include_str!("rules/labels.rs"),
            include_str!("rules/limits.rs"),
            include_str!("rules/purge.rs"),
            include_str!("rules/races.rs"),
            include_str!("rules/records.rs"),
            include_str!("rules/revocation.rs"),
            include_str!("rules/rotation.rs"),
        ];
        let lines = sources.iter().flat_map(|source| source.lines());
        let functions = lines.filter_map(|line| line.strip_prefix("pub async fn ")?.split_once('('));
        let mut rules: Vec<&str> = functions.map(|(name, _)| name).collect();
        let mut listed = for_each_rule!(names);
        rules.sort_unstable();
        listed.sort_unstable();
        assert_eq!(listed, rules);
    }
}
