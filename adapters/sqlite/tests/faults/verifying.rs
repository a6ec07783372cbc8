//! Names, lists and heads that are damaged: reads that meet them notice, and `verify` names each place.

use crate::{Folder, event, key, name, read_all};
use portolan_kernel::ports::{AppendError, EventStore, ReadError, Snapshot, SnapshotStore};
use portolan_kernel::values::*;

/// 200 events in two streams, of two types, with tags; a key, a checkpoint and a snapshot; closed.
async fn filled() -> Folder {
    let folder = Folder::new();
    let store = folder.store().await;
    for n in 0..200_u32 {
        let stream = if n % 2 == 0 { "account-ann" } else { "order-17" };
        let mut told = event(stream, n.to_string()).with_tags([name(if n % 3 == 0 { "vip" } else { "common" })]);
        told.event_type = name(if n % 5 < 2 { "opened" } else { "closed" });
        store.append(Append::new([told]).key(key(&n.to_string()))).await.unwrap();
    }
    let moved = store.checkpoint(name("reader")).await.unwrap();
    let moved = Checkpoint::new(name("reader"), moved, Token(1), Move::At(Position::new(2).unwrap()));
    store.append(Append::default().checkpoint(moved)).await.unwrap();
    let state = Snapshot::new(name("account-ann"), name("state"), Revision::new(2), 1, "{}", Timestamp::default());
    store.save(state).await.unwrap();
    folder
}

fn by(item: Item) -> [Read; 2] {
    let query = Query::of(item);
    [Read::log(query.clone()).limit(500), Read::log(query).limit(500).backward()]
}

/// What is damaged, what `verify` calls it, and the reads that meet it.
fn damages() -> Vec<(&'static str, &'static str, Vec<Read>)> {
    let stream = || vec![Read::stream(name("account-ann")), Read::stream(name("account-ann")).backward()];
    let kind = || by(Item::new().event_type(name("opened"))).to_vec();
    let tag = || by(Item::new().tag(name("vip"))).to_vec();
    vec![
        (
            "UPDATE streams SET name = 'account-bob' WHERE name = 'account-ann'",
            "table streams",
            vec![Read::log(Query::all())],
        ),
        ("UPDATE streams SET last_revision = last_revision - 1 WHERE name = 'account-ann'", "table streams", stream()),
        ("UPDATE streams SET last_revision = last_revision + 1 WHERE name = 'account-ann'", "table streams", stream()),
        ("UPDATE streams SET checksum = 0 WHERE name = 'account-ann'", "table streams", stream()),
        ("UPDATE streams SET position = 197 WHERE name = 'account-ann'", "table streams", stream()),
        ("UPDATE log SET previous = previous - 2 WHERE position = 101", "table log, position 101", stream()),
        ("UPDATE log SET previous = previous - 1 WHERE position = 101", "table log, position 101", stream()),
        ("UPDATE log SET previous = 0 WHERE position = 101", "table log, position 101", stream()),
        (
            "UPDATE kinds SET type = 'opener' WHERE type = 'opened' AND category = 'account'",
            "table kinds",
            vec![Read::log(Query::all())],
        ),
        ("UPDATE kinds SET category = 'a' WHERE type = 'opened' AND category = 'account'", "table kinds", kind()),
        ("UPDATE kinds SET last = last - 1", "table kinds", kind()),
        ("UPDATE tags SET name = 'vips' WHERE name = 'vip'", "table tags", by(Item::new().tag(name("vips"))).to_vec()),
        ("UPDATE tags SET last = last - 1", "table tags", tag()),
        ("DELETE FROM kind_events WHERE n = 7", "kind_events", kind()),
        ("DELETE FROM kind_events WHERE n > 30", "kind_events", kind()),
        ("UPDATE kind_events SET position = position + 1 WHERE n = 7", "kind_events", kind()),
        ("DELETE FROM tag_events WHERE n = 7", "tag_events", tag()),
        ("DELETE FROM tag_events WHERE n > 30", "tag_events", tag()),
        ("UPDATE tag_events SET position = position + 1 WHERE n = 7", "tag_events", tag()),
        (
            "UPDATE log SET kind = 1 + kind % 2 WHERE position = 20",
            "table log, position 20",
            vec![Read::log(Query::all())],
        ),
    ]
}

#[tokio::test]
async fn damage_to_names_and_lists_is_noticed_where_it_is_met() {
    for (damage, _, reads) in damages() {
        let folder = filled().await;
        folder.other().execute(damage, []).unwrap();
        let store = folder.store().await;
        for read in reads {
            let answer = store.read(read.clone()).await;
            assert!(matches!(answer, Err(ReadError::Corrupt { .. })), "{damage}: {read:?} answers {answer:?}");
        }
    }
}

#[tokio::test]
async fn verify_names_the_place() {
    let folder = filled().await;
    assert_eq!(folder.store().await.verify().await.unwrap(), [""; 0]);
    let others = [
        ("UPDATE log SET payload = '7' WHERE position = 3", "table log, position 3"),
        ("DELETE FROM log WHERE position = 3", "table log, position 3"),
        ("DELETE FROM log WHERE position = 200", "table log, position 200"),
        ("UPDATE log SET previous = 1 WHERE position = 1", "table log, position 1"),
        ("UPDATE log SET jump = 1 WHERE position = 1", "table log, position 1"),
        ("UPDATE log SET jump = jump + 2 WHERE position = 107", "table log, position 107"),
        ("UPDATE log SET jump = 0 WHERE position = 107", "table log, position 107"),
        ("UPDATE log SET jump = previous - 2 WHERE jump = 0 AND position = 103", "table log, position 103"),
        ("UPDATE keys SET note = x'01' WHERE id = '7'", "table keys, scope test, id 7"),
        ("DELETE FROM keys WHERE id = '7'", "table keys, number 8"),
        ("UPDATE keys SET id = CAST(x'ff' AS TEXT) WHERE id = '7'", "table keys, number 8"),
        ("INSERT INTO key_index VALUES (7, 7)", "table key_index: it has entries of other keys"),
        ("UPDATE keys_indexed SET last = 7", "table keys_indexed"),
        ("DELETE FROM keys_indexed", "table keys_indexed"),
        ("UPDATE checkpoints SET token = 2", "table checkpoints, name reader"),
        ("UPDATE snapshots SET state = '[]'", "table snapshots, stream account-ann"),
        ("DELETE FROM streams WHERE name = 'order-17'", "table streams"),
        ("DELETE FROM tags WHERE name = 'vip'", "tag_events"),
        ("DELETE FROM kinds WHERE type = 'opened' AND category = 'account'", "table kinds"),
        ("INSERT INTO tag_events VALUES (1, 500, 7)", "tag_events"),
    ];
    let damages = damages().into_iter().map(|(damage, place, _)| (damage, place)).chain(others);
    for (damage, place) in damages {
        let folder = filled().await;
        folder.other().execute(damage, []).unwrap();
        let places = folder.store().await.verify().await.unwrap();
        assert!(places.iter().any(|found| found.contains(place)), "{damage}: {places:?}");
    }
}

#[tokio::test]
async fn a_guard_does_not_trust_a_damaged_list() {
    let folder = filled().await;
    folder.other().execute("DELETE FROM tag_events WHERE n > 30", []).unwrap();
    let store = folder.store().await;
    let guard = Guard::new(Query::of(Item::new().tag(name("vip"))), Position::new(120));
    let refused = store.append(Append::default().guard(guard)).await.unwrap_err();
    assert!(matches!(refused, AppendError::Corrupt { .. }), "{refused:?}");
}

#[tokio::test]
async fn verify_goes_on_past_ruins_and_beside_writes() {
    let folder = filled().await;
    let store = folder.store().await;
    folder.other().execute("UPDATE log SET payload = '7' WHERE position % 50 = 0", []).unwrap();
    let (places, appended) = futures::join!(store.verify(), store.append(Append::new([event("s", "1")])));
    appended.unwrap();
    let places = places.unwrap();
    assert_eq!(places.len(), 4, "{places:?}");
    assert!(read_all(&store).await.is_err());
}
