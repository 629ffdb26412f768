//! The kit finds bugs: a store that breaks one promise fails the rule of that promise.

#![allow(clippy::unwrap_used)]

mod store;
mod two_handles;

use std::sync::Arc;

use jwt_knox::MemoryStore;
use jwt_knox_testkit::{Opener, for_each_rule, rules, store_tests};

use crate::store::{Broken, Bug::*};

/// A store without a bug passes.
mod sound {
    use super::*;

    async fn open() -> Broken {
        Broken::new(Sound)
    }

    store_tests!(open);
}

/// What the rule says of the store; `None` if it finds nothing.
async fn verdict(rule: impl Future<Output = ()> + Send + 'static) -> Option<String> {
    let panic = tokio::spawn(rule).await.err()?.into_panic();
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
}

/// For each bug: the rules that must find it, and what they must say.
macro_rules! bugs_are_found {
    ($($bug:ident: $($rule:ident says $sentence:literal),+;)*) => {
        const RULES_THAT_FIND_A_BUG: &[&str] = &[$($(stringify!($rule)),+),*];

        #[allow(non_snake_case)]
        mod bug {
            $(
                mod $bug {
                    use super::super::*;

                    $(
                        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                        async fn $rule() {
                            // On a busy machine, calls that should meet may miss each other.
                            for _ in 0..5 {
                                if let Some(verdict) = verdict(rules::$rule(Arc::new(Broken::new($bug)))).await {
                                    assert!(verdict.contains($sentence), "the rule finds another bug: {verdict}");
                                    return;
                                }
                            }
                            panic!("the rule does not find the bug");
                        }
                    )+
                }
            )*
        }
    };
}

bugs_are_found! {
    CaseInsensitive: subjects_compare_byte_for_byte says "subjects compare byte for byte";
    TrimsSubjects: subjects_compare_byte_for_byte says "subjects compare byte for byte";
    MixesIds: ids_of_different_subjects_do_not_mix says "ids belong to a subject";
    LosesMicroseconds: a_record_comes_back_whole says "every field comes back";
    LosesScope: a_record_comes_back_whole says "every field comes back";
    LosesPrevious: a_record_comes_back_whole says "every field comes back";
    LosesClaims: a_record_comes_back_whole says "every field comes back";
    DerivesIds: a_record_comes_back_whole says "every field comes back";
    EndsIn2038: times_far_ahead_are_kept says "a hundred years ahead";
    CutsLabels: a_record_comes_back_whole says "every field comes back";
    CutsScopes: a_record_comes_back_whole says "every field comes back";
    CutsAttributes: a_record_comes_back_whole says "every field comes back";
    OverwritesOnInsert: a_record_is_inserted_once says "a key that is taken is an error";
    InsertIsTwoSteps: parallel_inserts_of_one_record_have_one_winner says "exactly one succeeds";
    UnknownIsAnError: an_unknown_record_is_not_found says "find: the store must answer";
    ListsOldestFirst: list_is_newest_first says "newest first";
    ListsExpired: list_gives_the_active_sessions_of_one_subject
        says "all active sessions of the subject and no others";
    ListsExpiringOnly: list_gives_the_active_sessions_of_one_subject says "all active sessions",
        a_session_is_removed_whole_or_there_whole says "there whole";
    ListsAll: list_gives_the_newest_thousand says "at most 1000 sessions";
    ListsTheOldestThousand: list_gives_the_newest_thousand says "the newest 1000 active sessions";
    ListsExpiredInTheThousand: list_gives_the_newest_thousand says "as many if there are more";
    LimitCountsTheListed: list_gives_the_newest_thousand says "limit: sessions that are too many for the list";
    TouchForgets: touch_records_the_use says "last_used_at is the time of use";
    LabelForgets: set_label_changes_the_label_alone says "the label is what was asked for";
    LabelKeepsTheOld: set_label_changes_the_label_alone says "also if it had that one";
    LabelCountsAsUse: set_label_changes_the_label_alone says "nothing else has changed";
    LabelsExpired: set_label_needs_an_active_session says "an expired session is not written";
    LabelsTheMissing: set_label_needs_an_active_session says "a missing record is not written";
    LabelRevives: a_new_label_revives_nothing says "does not bring the record back",
        a_new_label_undoes_no_rotation says "a rotation at the same time stays";
    TouchesExpired: touch_needs_an_active_session says "an expired session is not written";
    TouchBackwards: an_older_touch_is_rejected says "a use before the last one is not written";
    TouchRepeats: an_older_touch_is_rejected says "a use at the time of the last one is not written";
    TouchMovesExpiryBack: touch_moves_the_expiry_only_forwards says "the expiry moves only forwards";
    TouchGivesExpiry: touch_gives_no_expiry_to_a_session_without_one
        says "a session without an expiry never gets one";
    TouchRevives: touch_needs_an_active_session says "a revoked session is not written",
        a_touch_revives_nothing says "does not bring the record back";
    RemoveLies: remove_is_precise_and_may_be_repeated says "doing it again is no error, and `false`";
    RemovesTheWholeSubject: remove_is_precise_and_may_be_repeated says "the subject's other records stay";
    RemoveIsTwoSteps: parallel_removals_have_one_winner says "of parallel calls exactly one removed the record";
    RemoveAllForgetsExcept: remove_all_spares_the_exception says "the exception stays";
    RemoveAllSparesUnknown: remove_all_spares_the_exception says "an exception that is not there spares nothing";
    RemoveAllCountsExpired: remove_all_ends_all_and_counts_the_active says "the count is that of the active sessions";
    RemoveAllLeavesExpired: remove_all_ends_all_and_counts_the_active says "also expired ones",
        list_gives_the_newest_thousand says "remove_all: sessions that are too many for the list";
    RemoveAllIgnoresSubject: remove_all_leaves_other_subjects_alone says "counts one subject only";
    RemoveAllMiscounts: remove_all_counts_every_session_it_ends says "also of those that began in the meantime";
    RemoveAllRestoresTheException: a_rotation_does_not_outlive_remove_all says "the exception stays as it is";
    SupersededIsIgnored: a_login_that_began_before_remove_all_is_superseded says "an hour before it is rejected",
        a_superseded_login_changes_nothing says "is rejected for that, whatever the limit",
        remove_expired_forgets_no_revocation says "remove_all is remembered for a day",
        a_login_under_way_never_survives_remove_all says "no session is there that began before it";
    SupersededAtTheSameTime: a_login_that_began_before_remove_all_is_superseded
        says "after remove_all, a login that began at the same time is accepted";
    SupersededToTheMillisecond: a_login_that_began_before_remove_all_is_superseded
        says "a microsecond before it is rejected";
    SupersededByNow: a_login_that_began_before_remove_all_is_superseded
        says "after remove_all, a login that began an hour before it is rejected";
    SupersededForgetsTheExceptionCase: a_login_that_began_before_remove_all_is_superseded
        says "after remove_all with an exception, a login that began a microsecond before it";
    SupersededForgetsWithTheLastSession: a_login_that_began_before_remove_all_is_superseded
        says "the removal of the last session";
    SupersededMovesBack: a_login_that_began_before_remove_all_is_superseded says "and one with an earlier time";
    SupersededNeedsASession: a_login_that_began_before_remove_all_is_superseded
        says "after remove_all of a subject without sessions";
    SupersededIsGlobal: a_login_that_began_before_remove_all_is_superseded says "concerns no other subject";
    SupersededIsInserted: a_login_that_began_before_remove_all_is_superseded
        says "a login that is rejected is not there";
    SupersededEvicts: a_superseded_login_changes_nothing says "a login that is rejected changes nothing";
    SupersededAfterTheLimit: a_superseded_login_changes_nothing says "is rejected for that, whatever the limit";
    SupersededIsTwoSteps: a_login_under_way_never_survives_remove_all says "no session is there that began before it";
    RotateIgnoresDigest: rotate_changes_the_secret_once says "with a digest that was rotated away, it is `false`";
    RotateKeepsPrevious: rotate_changes_the_secret_once says "the digest and the previous secret are written";
    RotateForgetsUse: rotate_changes_the_secret_once says "and the time of use";
    RotateForgetsExpiry: rotate_changes_the_secret_once says "and a later expiry";
    RotateMakesSessions: rotate_of_a_missing_session_changes_nothing says "a session that is not there is not made";
    RotateMovesUseBack: rotate_never_moves_times_back says "move only forwards";
    RotateMovesExpiryBack: rotate_never_moves_times_back says "move only forwards";
    RotateGivesExpiry: rotate_never_moves_times_back says "a session without an expiry never gets one";
    RotateChangesId: a_rotated_session_keeps_its_id_and_all_else says "the session is found by its id";
    RotateLosesLabel: a_rotated_session_keeps_its_id_and_all_else says "keeps all that a rotation does not change";
    RotateRestartsSession: a_rotated_session_keeps_its_id_and_all_else
        says "keeps all that a rotation does not change";
    RotateIsTwoSteps: parallel_rotations_have_one_winner says "exactly one wins";
    RotateRevives: a_rotation_revives_nothing says "does not bring the session back",
        a_rotation_does_not_outlive_remove_all says "does not outlive it",
        a_rotation_does_not_slip_past_the_limit says "leaves exactly 2 active sessions";
    LimitReadsThenActs: parallel_logins_keep_to_a_denying_limit says "leave exactly 3 active sessions",
        parallel_logins_keep_to_an_evicting_limit says "leave exactly 3 active sessions",
        parallel_logins_keep_to_a_limit_by_use says "leave exactly 3 active sessions";
    LimitIsOffByOne: a_denying_limit_rejects_one_too_many says "one too many is rejected";
    LimitCountsExpired: expired_sessions_count_in_no_limit says "an expired session does not count";
    LimitIsGlobal: a_limit_counts_one_subject_only says "the sessions of other subjects do not count";
    DenyInsertsAnyway: a_denying_limit_rejects_one_too_many says "a rejected record is not there";
    EvictsNewest: an_evicting_limit_ends_the_oldest says "evicts one, the oldest";
    EvictsOthers: an_evicting_limit_ends_the_oldest says "the oldest goes",
        eviction_names_the_sessions says "what is listed as evicted is gone, and nothing else";
    EvictsByIdOnly: an_evicting_limit_ends_the_oldest says "by created_at and then by id";
    EvictsTheNewcomer: an_evicting_limit_inserts_the_new_session says "the new record is there";
    EvictsOneOnly: a_lowered_limit_applies_to_the_next_login says "a lowered limit evicts down to it";
    EvictionListsOthers: eviction_names_the_sessions says "the ids are those of the active sessions that go";
    EvictionListsExpired: eviction_names_the_sessions says "the ids are those of the active sessions that go";
    EvictionListsTwice: eviction_names_the_sessions says "each once",
        parallel_logins_keep_to_an_evicting_limit says "is listed once",
        parallel_logins_keep_to_a_limit_by_use says "is listed once",
        parallel_logins_of_one_label_leave_one says "is listed once";
    EvictionListsNone: eviction_names_the_sessions says "the ids are those of the active sessions that go";
    EvictsWithoutLimit: without_a_limit_nothing_is_evicted says "without a limit all sessions stay";
    UnusedMeansOldest: a_limit_by_use_ends_the_least_recently_used says "by last_used_at or else created_at";
    UnusedMeansNeverUsed: a_limit_by_use_ends_the_least_recently_used says "by last_used_at or else created_at";
    IgnoresLabels: a_login_replaces_the_sessions_of_the_same_label says "the same label are replaced and listed";
    ReplacesWithoutCase: a_login_replaces_the_sessions_of_the_same_label says "and no others";
    ReplacesUnlabelled: a_login_replaces_the_sessions_of_the_same_label
        says "a session without a label replaces none";
    ReplacesUncounted: a_login_replaces_the_sessions_of_the_same_label says "are replaced and listed";
    ReplacesExpired: a_login_replaces_the_sessions_of_the_same_label says "the active sessions with the same label";
    ReplacesThenDenies: replacing_comes_before_the_limit says "a record that is rejected replaces nothing";
    DeniesThenReplaces: replacing_comes_before_the_limit says "what is replaced makes room";
    ReplacingIsTwoSteps: parallel_logins_of_one_label_leave_one says "leave exactly one active session of it";
    EvictionIsTwoSteps: a_session_is_removed_or_evicted_and_not_both says "is not counted as evicted too",
        a_recorded_use_saves_from_eviction says "by its last use, also if that comes in the meantime";
    PurgesActive: remove_expired_removes_only_what_has_expired says "what is active stays",
        remove_expired_loses_no_parallel_login says "a session that begins during the purge stays";
    PurgesUnlimited: remove_expired_removes_only_what_has_expired says "what never expires";
    PurgeLeavesTheExpiryItself: remove_expired_removes_only_what_has_expired says "from its expiry on";
    PurgesNothing: remove_expired_keeps_to_its_batch says "fewer than a batch means that nothing is left";
    IgnoresBatch: remove_expired_keeps_to_its_batch says "at most a batch of 3";
    PurgeNeverEnds: remove_expired_keeps_to_its_batch says "never says that it is done";
    PurgeStopsEarly: remove_expired_keeps_to_its_batch says "fewer than a batch means that nothing is left";
    PurgeForgetsRevocations: remove_expired_forgets_no_revocation says "remove_all is remembered for a day";
    PurgeIsTwoSteps: remove_expired_spares_a_session_that_is_used_in_parallel says "is used or purged, not both";
    FailsWhenBusy: calls_of_all_kinds_at_once_are_answered says "remove: the store must answer here";
}

/// Two stores that know nothing of each other are no two handles.
mod durable {
    use super::*;

    macro_rules! amnesia_is_found {
        ($($rule:ident says $sentence:literal;)*) => {
            pub(super) const RULES_THAT_FIND_A_BUG: &[&str] = &[$(stringify!($rule)),*];

            $(
                #[test]
                #[should_panic(expected = $sentence)]
                fn $rule() {
                    let runtime = tokio::runtime::Runtime::new().unwrap();
                    runtime.block_on(rules::$rule(Opener::new(async || MemoryStore::new())));
                }
            )*
        };
    }

    amnesia_is_found! {
        reopening_sees_every_committed_record says "the same records when it is opened again";
        a_removal_is_seen_through_every_handle says "what one has inserted, the other finds";
        a_limit_holds_over_two_handles says "the outcomes add up";
        a_rotation_has_one_winner_over_two_handles says "what one has inserted, the other finds";
        a_revocation_supersedes_logins_of_every_handle says "supersedes earlier logins through the other";
        a_call_that_is_dropped_harms_no_later_one says "is there for all";
    }
}

/// A rule that finds no bug could as well be left out.
#[test]
fn every_rule_finds_a_bug() {
    macro_rules! names {
        (shared { $($shared:ident)* } durable { $($durable:ident)* }) => {
            [&[$(stringify!($shared)),*][..], &[$(stringify!($durable)),*][..]]
        };
    }

    let [shared, durable] = for_each_rule!(names);
    for (rules, proven) in [(shared, RULES_THAT_FIND_A_BUG), (durable, durable::RULES_THAT_FIND_A_BUG)] {
        for rule in rules {
            assert!(proven.contains(rule), "no bug shows that `{rule}` can fail");
        }
    }
}
