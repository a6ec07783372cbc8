//! One flipped bit anywhere in the file: whatever is read is right, or an error.

use crate::read_models::{filled as filled_rows, row};
use crate::{Folder, event, name};
use alloc::sync::Arc;
use portolan_kernel::ports::{EventStore, ReadError, ReadModelStore, RowError};
use portolan_kernel::values::*;
use portolan_sqlite::SqliteStore;
use std::fs;

const STREAMS: [&str; 5] = ["account-ann", "account-bob", "order-17", "order-18", "lonely"];
const TYPES: [&str; 3] = ["opened", "deposited", "withdrawn"];
const TAGS: [&str; 4] = ["city:Bergen", "city:Oslo", "currency:EUR", "vip"];

async fn filled() -> Folder {
    let folder = Folder::new();
    let store = folder.store().await;
    for n in 0..120_usize {
        let mut told = event(STREAMS[n * 7 % 5], format!("\"{n}\""));
        told.event_type = name(TYPES[n * 5 % 3]);
        let tags = (0..n % 3).map(|tag| name(TAGS[(n * 11 + tag) % 4]));
        store.append(Append::new([told.with_tags(tags)])).await.unwrap();
    }
    folder
}

/// One in so many bytes is flipped.
const SAMPLED: u32 = 128;

/// One in so many bytes of a file, and the bit of it that is flipped. The first page is SQLite's own: what the tables
/// are.
fn sampled(whole: &[u8]) -> Vec<(usize, u32)> {
    let mut random = fastrand::Rng::with_seed(26);
    let some = (4_096..whole.len()).filter(|at| whole[*at] != 0 && random.u32(0..SAMPLED) == 0).collect::<Vec<_>>();
    some.into_iter().map(|at| (at, random.u32(0..8))).collect()
}

/// What is asked, and the events that are the answer.
fn reads() -> Vec<Read> {
    let mut reads: Vec<_> = STREAMS.map(|stream| Read::stream(name(stream))).into();
    let by_stream = STREAMS.map(|stream| Query::stream(name(stream)));
    let by_type = TYPES.map(|event_type| Query::of(Item::new().event_type(name(event_type))));
    let by_category = ["account", "order", "lonely"].map(|category| Query::of(Item::new().category(name(category))));
    let by_tag = TAGS.map(|tag| Query::of(Item::new().tag(name(tag))));
    let by_both = Query::of(Item::new().category(name("account")).event_type(name("opened")));
    let queries = by_stream.into_iter().chain(by_type).chain(by_category).chain(by_tag).chain([by_both, Query::all()]);
    for query in queries {
        reads.push(Read::log(query.clone()).limit(9));
        reads.push(Read::log(query).limit(9).backward());
    }
    reads
}

async fn answer(store: &SqliteStore, read: Read) -> Result<Vec<Arc<Recorded>>, ReadError> {
    let (mut events, mut next) = (Vec::new(), Some(read));
    while let Some(read) = next {
        let page = store.read(read).await?;
        events.extend(page.events);
        next = page.next;
    }
    Ok(events)
}

#[tokio::test]
async fn a_flipped_bit_is_never_a_wrong_answer() {
    let folder = filled().await;
    let reads = reads();
    let mut truth = Vec::new();
    {
        let store = folder.store().await;
        for read in &reads {
            truth.push(answer(&store, read.clone()).await.unwrap());
        }
    }
    let whole = fs::read(folder.file()).unwrap();
    let mut flips = sampled(&whole);
    // In an index a text becomes a blob of the same bytes: it stands elsewhere in the order, and looks alike.
    let entry = b"\x1f\x17\x01withdrawnorder";
    flips.push((whole.windows(entry.len()).position(|window| window == entry).unwrap(), 0));
    let (tried, mut noticed, mut wrong) = (flips.len(), 0, Vec::new());
    for (at, bit) in flips {
        let damaged = Folder::new();
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << bit;
        fs::write(damaged.file(), bytes).unwrap();
        let Ok(store) = SqliteStore::open(damaged.file()).await else {
            noticed += 1;
            continue;
        };
        let mut failed = false;
        for (read, truth) in reads.iter().zip(&truth) {
            match answer(&store, read.clone()).await {
                Err(_) => failed = true,
                Ok(found) if found == *truth => {}
                Ok(found) => wrong.push(format!(
                    "page {}, byte {}, bit {bit}: {read:?} finds {} of {}",
                    at / 4_096 + 1,
                    at % 4_096,
                    found.len(),
                    truth.len()
                )),
            }
        }
        noticed += usize::from(failed);
    }
    assert!(wrong.is_empty(), "{} of {tried} flips, {noticed} noticed:\n{}", wrong.len(), wrong.join("\n"));
    assert!(noticed * 2 > tried, "{noticed} of {tried} flips were noticed");
}

/// All that a store tells of the rows that `filled_rows` made.
async fn rows(store: &SqliteStore) -> Vec<Result<Vec<KeyedRow>, RowError>> {
    let mut all = Vec::new();
    for version in [1, 2] {
        let find = Find::all(name("balances"));
        let by_amount = Find::equal(name("balances"), name("by_amount"), Vec::new());
        for find in [find.clone(), find.backward(), by_amount] {
            all.push(store.find(find.version(version).limit(200)).await.map(|page| page.rows));
        }
        let keys = (0..100).map(|n| row(n).key).collect();
        all.push(store.get(name("balances"), Some(version), keys).await.map(|page| page.rows));
    }
    all
}

#[tokio::test]
async fn a_flipped_bit_of_a_row_is_never_a_wrong_row_and_verify_finds_what_hides_one() {
    let folder = filled_rows().await;
    let truth: Vec<_> = rows(&folder.store().await).await.into_iter().map(Result::unwrap).collect();
    assert!(truth.iter().all(|rows| rows.len() == 100));
    let whole = fs::read(folder.file()).unwrap();
    let (mut noticed, mut hidden, mut wrong) = (0, 0, Vec::new());
    for (at, bit) in sampled(&whole) {
        let damaged = Folder::new();
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << bit;
        fs::write(damaged.file(), bytes).unwrap();
        let Ok(store) = SqliteStore::open(damaged.file()).await else { continue };
        let answers = rows(&store).await;
        noticed += usize::from(answers.iter().any(Result::is_err));
        for (answer, truth) in answers.iter().zip(&truth) {
            let Ok(answer) = answer else { continue };
            if answer.iter().any(|row| !truth.contains(row)) {
                wrong.push(format!("page {}, byte {}, bit {bit}: another row", at / 4_096 + 1, at % 4_096));
            } else if answer != truth {
                hidden += 1;
                if store.verify().await.is_ok_and(|places| places.is_empty()) {
                    wrong.push(format!("page {}, byte {}, bit {bit}: unseen", at / 4_096 + 1, at % 4_096));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{noticed} noticed, {hidden} hidden:\n{}", wrong.join("\n"));
    assert!(noticed > 10 && hidden > 0, "{noticed} noticed, {hidden} hidden");
}
