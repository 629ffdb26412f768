//! What a session is called.

use std::sync::Arc;

use jwt_knox::{SessionRecord, TokenStore};

use super::records::needs_an_active_session;
use crate::fixture::{Probe, at, labelled, subject};

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

/// `set_label` neither makes a record nor brings one back: one that is missing, removed, evicted, revoked or expired
/// stays so.
pub async fn set_label_needs_an_active_session(store: Arc<dyn TokenStore>) {
    needs_an_active_session(Probe(store), "set_label", |store, key, now| async move {
        store.set_label(&key, Some("new"), now).await
    })
    .await;
}
