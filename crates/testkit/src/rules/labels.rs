//! What a session is called.

use std::sync::Arc;

use jwt_knox::{SessionRecord, TokenStore};

use crate::fixture::{Probe, at, evict_oldest, evicting, labelled, session, session_until, subject};

/// `set_label` changes the label, also to none and to the one that it is already, and nothing else.
pub async fn set_label_changes_the_label_alone(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let owner = subject();
    let mut record = labelled(&owner, "phone", 0);
    record.expires_at = Some(at(600));
    record.last_used_at = Some(at(5));
    record.attributes.insert("device".into(), "1".into());
    let other = labelled(&owner, "phone", 1);
    store.add_all([&record, &other]).await;
    let longest = "é\u{1f511}".repeat(SessionRecord::MAX_LABEL_CHARS / 2) + "!";
    for label in [Some("kitchen tablet"), Some("kitchen tablet"), None, None, Some("Kitchen tablet "), Some(&*longest)]
    {
        let written = store.set_label(&record.session_ref(), label, at(10)).await;
        assert!(written, "set_label: the label of an active session is written, also if it had that one: {label:?}");
        record.label = label.map(str::to_owned);
        assert_eq!(
            store.find(&record.session_ref()).await.as_ref(),
            Some(&record),
            "set_label: the label is what was asked for, and nothing else has changed: {label:?}"
        );
    }
    assert_eq!(store.list(&owner, at(10)).await, [other, record], "set_label: other sessions keep their label");
}

/// `set_label` neither makes a record nor brings one back: one that is missing, removed, evicted, revoked or expired stays
/// so.
pub async fn set_label_needs_an_active_session(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let owner = subject();
    let missing = session(&owner, 0);
    assert!(
        !store.set_label(&missing.session_ref(), Some("new"), at(1)).await,
        "set_label: a missing record is not written"
    );
    assert_eq!(store.find(&missing.session_ref()).await, None, "set_label: a missing record is not made");

    let gone = [(); 3].map(|()| session_until(&subject(), 0, 600));
    store.add_all(&gone).await;
    let [removed, evicted, revoked] = &gone;
    assert!(store.remove(&removed.session_ref()).await, "remove: a record that was there is `true`");
    let outcome = store.insert(&session(&evicted.subject, 1), Some(evict_oldest(1)), at(1)).await;
    assert_eq!(outcome, evicting([evicted]), "evict: one too many evicts one");
    assert_eq!(store.remove_all(&revoked.subject, None, at(1)).await, 1, "remove_all: the session was active");
    for gone in &gone {
        assert!(
            !store.set_label(&gone.session_ref(), Some("new"), at(2)).await,
            "set_label: a revoked session is not written"
        );
        assert_eq!(store.find(&gone.session_ref()).await, None, "set_label: a revoked session is not brought back");
    }

    let expired = session_until(&owner, 0, 100);
    store.add(&expired).await;
    for now in [at(100), at(101)] {
        assert!(
            !store.set_label(&expired.session_ref(), Some("new"), now).await,
            "set_label: an expired session is not written"
        );
        if let Some(found) = store.find(&expired.session_ref()).await {
            assert_eq!(found, expired, "set_label: an expired session does not change");
        }
    }
}
