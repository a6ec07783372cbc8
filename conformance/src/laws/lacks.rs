//! Checks turned round: what a store that lacks a capability has to do instead.

use crate::ask::{Ask, Store, event, key, name, one};
use crate::bus::{Crossing, World, add, sent};
use crate::inline::{TALLY, count};
use crate::issued::{Issued, Passing};
use crate::projections::{Projected, Sums, World as Projections, fold, sums};
use crate::rows::{AskRows, account, accounts, named};
use crate::sagas::{Code, Orchestrated, World as Sagas, script, trip};
use crate::{Broken, Trial, Verdict, expect, expect_eq, expect_is};
use core::time::Duration;
use portolan_kernel::application::Storage;
use portolan_kernel::ports::{
    AppendError, Capability, CommandBus, CommandError, EventStore, LeaseStore, ReadModelStore, SagaPhase, Snapshot,
    SnapshotError, SnapshotStore,
};
use portolan_kernel::values::{
    Append, Checkpoint, Edition, Expected, Find, Guard, Move, Name, Query, Revision, Timestamp, Token,
};

pub(crate) async fn event_store_without(trial: &Trial<dyn EventStore>, lacked: Capability) -> Verdict {
    let store = trial.open().await?;
    match lacked {
        Capability::Durability => {
            let identity = store.capabilities().identity;
            store.wrote(one("a-1", 0)).await?;
            drop(store);
            let next_life = trial.open().await?.capabilities().identity;
            expect!(next_life != identity, "a store that forgets has another identity in its next life");
        }
        Capability::SeveralProcesses => {
            let identity = store.capabilities().identity;
            if let Ok(second) = trial.try_open().await {
                let second = second.capabilities().identity;
                expect!(second != identity, "a second handle is refused, or is a store of its own");
            }
        }
        _ => refuses(&store, lacked).await?,
    }
    Ok(())
}

async fn refuses(store: &Store, lacked: Capability) -> Verdict {
    store.wrote(one("a-1", 0)).await?;
    let append = one("a-1", 1);
    let asked = match lacked {
        Capability::Guard => vec![append.guard(Guard::new(Query::stream(name("b-1")), None))],
        Capability::Keys => vec![append.key(key("k", 1))],
        Capability::Checkpoints => {
            let state = store.stands("c").await?;
            vec![append.checkpoint(Checkpoint::new(name("c"), state, Token(1), Move::Claim))]
        }
        Capability::SeveralStreams => vec![
            Append::new([event("a-1", 1), event("b-1", 0)]),
            append.expect(name("b-1"), Expected::NoStream),
            Append::default()
                .expect(name("a-1"), Expected::Exact(Revision::FIRST))
                .expect(name("b-1"), Expected::NoStream),
        ],
        other => unreachable!("{other} is no operation"),
    };
    for append in asked {
        let refusal = store.refused(append).await?;
        expect_is!(refusal, AppendError::Unsupported(said) if *said == lacked, "the refusal of what the store lacks");
        expect_eq!(store.log().await?.len(), 1, "events after the refusal");
    }
    Ok(())
}

/// A store that may forget loses a snapshot whole, or gives it as it was.
pub(crate) async fn snapshot_store_without(trial: &Trial<dyn SnapshotStore>, lacked: Capability) -> Verdict {
    let failed = |error: SnapshotError| Broken::new(format!("a store without {lacked}"), "no error", error.to_string());
    let store = trial.open().await?;
    let saved = Snapshot::new(name("a-1"), name("k"), Revision::FIRST, 1, "state", Timestamp::default());
    store.save(saved.clone()).await.map_err(failed)?;
    let loaded = store.load(name("a-1"), name("k"), None).await.map_err(failed)?;
    expect_eq!(loaded, Some(saved.clone()), "the snapshot in the life that saved it");
    drop(store);
    let loaded = trial.open().await?.load(name("a-1"), name("k"), None).await.map_err(failed)?;
    expect!(loaded.is_none() || loaded == Some(saved), "the snapshot or none in the next life, not {loaded:?}");
    Ok(())
}

/// A bus that something cannot cross refuses it or leaves it out, and never makes something else of it.
pub(crate) async fn command_bus_without(trial: &Trial<dyn CommandBus>, lacked: Crossing) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    match lacked {
        Crossing::TypedBodies => {
            let outcome = app.bus.dispatch(sent(add(&tally, &[1]))).await;
            expect_is!(outcome, Err(CommandError::Malformed(_)), "a typed body");
            expect_eq!(world.log().await?.len(), 0, "events after the refusal");
        }
        Crossing::Descriptions => {
            for info in app.bus.commands() {
                expect!(info.description.is_empty() && info.schema.is_none(), "no more than the name of {}", info.name);
            }
        }
        Crossing::Correlation => {
            let receipt = app.took(crate::bus::encoded(&add(&tally, &[1]))).await?;
            expect_eq!(receipt.correlation, None, "the correlation of a receipt");
        }
    }
    Ok(())
}

/// What does not pass is good at any time; whether there is something that passes is looked at wherever it is opened.
pub(crate) async fn authenticator_without(trial: &Trial<Issued>, lacked: Passing) -> Verdict {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);
    let issued = trial.issued().await?;
    if lacked == Passing::Expiry {
        trial.clock().advance(CENTURY);
    }
    for (text, caller) in issued.known() {
        issued.knows(text, caller, &format!("good credentials, without {lacked}")).await?;
    }
    Ok(())
}

/// A store that may forget, or that nobody shares, forgets its rows and their checkpoint together.
pub(crate) async fn read_model_store_without(trial: &Trial<dyn ReadModelStore>, lacked: Capability) -> Verdict {
    let store = accounts(trial).await?;
    store.moved("p", 1, |batch| batch.put(named("accounts"), 1, account("a", "Ann", 1))).await?;
    let kept = if lacked == Capability::Durability { None } else { Some(store) };
    let Ok(other) = trial.try_open().await else { return Ok(()) };
    let rows = match other.find(Find::all(named("accounts"))).await {
        Ok(set) => set.rows.len(),
        Err(_) => 0,
    };
    let stands = other.stands("p").await?.is_some();
    expect_eq!(stands, rows == 1, "a checkpoint where its {rows} rows are, without {lacked}");
    drop(kept);
    Ok(())
}

/// A store that may forget, or that nobody shares, forgets events and rows together; what it does not support is not
/// applied.
pub(crate) async fn inline_without(trial: &Trial<Storage>, lacked: Capability) -> Verdict {
    let store = trial.open_tally().await?;
    store.events.wrote(count("tally-a", "added", 1)).await?;
    match lacked {
        Capability::Durability => drop(store),
        Capability::SeveralProcesses => {
            trial.open_tally().await?.never_behind(&TALLY, Edition::first(1)).await?;
            store.never_behind(&TALLY, Edition::first(1)).await?;
            return Ok(());
        }
        _ => {
            let refused = store.events.refused(count("tally-a", "added", 2).key(key("k", 1))).await?;
            expect_is!(refused, AppendError::Unsupported(said) if *said == lacked, "what the store lacks");
        }
    }
    trial.open_tally().await?.never_behind(&TALLY, Edition::first(1)).await.map(drop)
}

/// A store that may forget, or that nobody shares, grants anew what it has forgotten.
pub(crate) async fn lease_store_without(trial: &Trial<dyn LeaseStore>, lacked: Capability) -> Verdict {
    let (name, ttl) = (|text| name::<Name>(text), Duration::from_secs(1));
    let store = trial.open().await?;
    let granted = store.grant(name("p"), name("one"), ttl).await;
    expect!(granted.is_ok(), "a first grant, and not {granted:?}");
    let kept = if lacked == Capability::Durability { None } else { Some(store) };
    if let Ok(other) = trial.try_open().await {
        let again = other.grant(name("p"), name("two"), ttl).await;
        let fresh = again.as_ref().is_ok_and(|lease| lease.token == Token(1));
        expect!(fresh || again.is_err(), "what is forgotten is granted anew, without {lacked}: {again:?}");
    }
    drop(kept);
    Ok(())
}

/// Rows are a fold of whatever log there is in the next life, or for the next who comes.
pub(crate) async fn projections_without(trial: &Trial<Projected>, lacked: Capability) -> Verdict {
    let world = Projections::open(trial).await?;
    let app = world.start(|app| app.projection::<Sums>()).await?;
    let last = world.append(sums("a", &[1, 2])).await?;
    app.reaches("sums", last).await?;
    let kept = if lacked == Capability::Durability {
        app.shut_down().await;
        drop((app, world));
        None
    } else {
        Some((app, world))
    };
    if trial.try_open().await.is_err() {
        return Ok(());
    }
    let world = Projections::open(trial).await?;
    let app = world.start(|app| app.projection::<Sums>()).await?;
    let last = world.append(sums("b", &[3])).await?;
    app.reaches("sums", last).await?;
    let (_, rows) = app.rows("sums", None).await?;
    expect_eq!(rows, fold(&world.log_until(Some(last)).await?, 1), "rows of what there is, without {lacked}");
    drop(kept);
    Ok(())
}

/// Whatever it lacks, sagas are driven to their ends as long as a process lives; and where a place can be opened again, it is
/// one that works.
pub(crate) async fn sagas_without(trial: &Trial<Orchestrated>, lacked: Capability) -> Verdict {
    for id in ["one", "two"] {
        let world = Sagas::open(trial).await?;
        let process = world.start(Code::First).await?;
        let saga = process.start(trip(id, script([]))).await?;
        process.reaches(&saga, SagaPhase::Completed).await?;
        expect_eq!(world.entered(&saga).await?, ["pay", "leave"], "what a trip has entered, without {lacked}");
        process.shut_down().await?;
        drop(world);
        if trial.try_open().await.is_err() {
            break;
        }
    }
    Ok(())
}
