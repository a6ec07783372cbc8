//! LS-01 to LS-05: leases.

use crate::ask::name;
use crate::law::law;
use crate::{Broken, Trial, Verdict, expect, expect_eq, expect_is};
use core::panic::Location;
use core::time::Duration;
use portolan_kernel::ports::{Lease, LeaseError, LeaseStore};
use portolan_kernel::values::{Name, Token};
use std::sync::Arc;

type Store = Arc<dyn LeaseStore>;

law! {
    dyn LeaseStore, ls_01_one_holder, "LS-01",
    "One holder at a time by the store's view. The holder renews; it, and only it, releases. Of several contenders one \
     wins.",
    checks: [
        one_holder_at_a_time,
        only_the_holder_renews_and_releases,
        one_of_many_contenders_wins,
        names_are_apart,
        a_release_frees_one_name,
        no_clock_ends_a_lease,
    ],
}

law! {
    dyn LeaseStore, ls_02_tokens, "LS-02",
    "Every grant has a larger token than all before it on the name, also after release, take-over and reopening. \
     Tokens begin at 1.",
    checks: [tokens_rise, tokens_rise_after_reopening if [Durability]],
}

law! {
    dyn LeaseStore, ls_03_take_over, "LS-03",
    "A record that was renewed, released or taken over since it was seen is not taken over: a contender has to watch \
     the new one.",
    checks: [
        an_unchanged_record_is_taken_over,
        an_answer_is_a_record_to_take_over,
        a_changed_record_is_not,
        one_of_many_takes_over,
    ],
}

law! {
    dyn LeaseStore, ls_04_answers, "LS-04",
    "`LeaseError::Held` tells by whom, for how long and under which token; a former holder is `LeaseError::Lost`.",
    checks: [held_tells_the_record, held_tells_every_time_to_live, a_former_holder_has_lost],
}

law! {
    dyn LeaseStore, ls_05_durability, "LS-05",
    "A grant is there after reopening and for other processes, on a store that is durable and shared.",
    checks: [is_there_after_reopening if [Durability], two_handles_are_one_store if [Durability, SeveralProcesses]],
}

const TTL: Duration = Duration::from_millis(30_500);

/// Times to live of all sizes. One has no end in decimal digits: a store keeps of it what [`Lease::new`] makes of it.
fn times_to_live() -> [Duration; 6] {
    let (third, ninety_days) = (Duration::from_secs(10) / 3, Duration::from_secs(90 * 86_400));
    [TTL, Duration::from_micros(1), Duration::from_millis(1), third, Duration::from_micros(59_999_999), ninety_days]
}

fn who(text: &str) -> Name {
    name(text)
}

#[track_caller]
fn grant(store: &Store, on: &str, holder: &str) -> impl Future<Output = Verdict<Lease>> {
    let (at, said) = (Location::caller(), format!("a lease on {on} for {holder}"));
    async move { granted(store.grant(who(on), who(holder), TTL).await, said, at) }
}

#[track_caller]
fn take_over(store: &Store, seen: &Lease, holder: &str) -> impl Future<Output = Verdict<Lease>> {
    let (at, said) = (Location::caller(), format!("{seen:?} taken over by {holder}"));
    async move { granted(store.take_over(seen.clone(), who(holder), TTL).await, said, at) }
}

fn granted<T>(answer: Result<T, LeaseError>, what: String, at: &'static Location<'static>) -> Verdict<T> {
    answer.map_err(|error| Broken::new(what, "a grant", error.to_string()).at(at))
}

fn sure<T>(answer: Result<T, LeaseError>, what: &str) -> Verdict<T> {
    answer.map_err(|error| Broken::new(what, "an answer", error.to_string()))
}

async fn one_holder_at_a_time(trial: &Trial<dyn LeaseStore>) -> Verdict {
    let store = trial.open().await?;
    let lease = grant(&store, "p", "one").await?;
    expect_eq!(lease, Lease::new(who("p"), who("one"), Token(1), TTL), "the first lease on a name");
    for contender in ["two", "one"] {
        let held = store.grant(who("p"), who(contender), TTL).await;
        expect_is!(held, Err(LeaseError::Held(_)), "a lease for {contender} on what is held");
    }
    sure(store.release(lease).await, "a release")?;
    let next = grant(&store, "p", "two").await?;
    expect_eq!(next.holder, who("two"), "the holder after a release");
    Ok(())
}

async fn only_the_holder_renews_and_releases(trial: &Trial<dyn LeaseStore>) -> Verdict {
    let store = trial.open().await?;
    let never = Lease::new(who("p"), who("one"), Token(1), TTL);
    expect_is!(store.renew(never.clone()).await, Err(LeaseError::Lost { .. }), "the renewal of what nobody has");
    expect_is!(store.release(never).await, Err(LeaseError::Lost { .. }), "the release of what nobody has");
    let lease = grant(&store, "p", "one").await?;
    let first = sure(store.renew(lease.clone()).await, "a renewal")?;
    expect_eq!(first, lease.clone().renewed(1), "a lease after its first renewal");
    // Under the token alone: an answer that was lost is no reason to lose the lease.
    let second = sure(store.renew(lease.clone()).await, "a renewal by what it was before")?;
    expect_eq!(second, lease.clone().renewed(2), "a lease after its second renewal");
    for token in [0, 2] {
        let other = Lease::new(who("p"), who("one"), Token(token), TTL);
        expect_is!(
            store.renew(other.clone()).await,
            Err(LeaseError::Lost { token: Token(1), .. }),
            "another's renewal"
        );
        expect_is!(store.release(other).await, Err(LeaseError::Lost { token: Token(1), .. }), "another's release");
    }
    expect_is!(store.grant(who("p"), who("two"), TTL).await, Err(LeaseError::Held(_)), "a lease on what is still held");
    sure(store.release(lease).await, "a release by what it was before")
}

async fn race(
    store: &Store,
    on: impl Fn(Store, Name) -> futures::future::BoxFuture<'static, Result<Lease, LeaseError>>,
) -> Verdict<Lease> {
    let racers = (0..8).map(|n| tokio::spawn(on(store.clone(), who(&format!("racer-{n}")))));
    let mut won = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        match racer.await {
            Ok(Ok(lease)) => won.push(lease),
            Ok(Err(LeaseError::Held(_) | LeaseError::Busy(_))) => {}
            other => expect!(false, "a racer that wins or finds it held, and not {other:?}"),
        }
    }
    expect_eq!(won.len(), 1, "winners of eight");
    Ok(won.remove(0))
}

async fn one_of_many_contenders_wins(trial: &Trial<dyn LeaseStore>) -> Verdict {
    let store = trial.open().await?;
    for round in 1..=trial.rounds(20).max(5) as u64 {
        let won =
            race(&store, |store, holder| Box::pin(async move { store.grant(who("p"), holder, TTL).await })).await?;
        expect_eq!(won.token, Token(round), "the token of the winner");
        sure(store.release(won).await, "the winner's release")?;
    }
    Ok(())
}

async fn names_are_apart(trial: &Trial<dyn LeaseStore>) -> Verdict {
    let store = trial.open().await?;
    for on in ["p", "P", "p ", "q", "\u{e9}", "e\u{301}"] {
        expect_eq!(grant(&store, on, "one").await?.token, Token(1), "the first token on {on:?}");
    }
    Ok(())
}

async fn a_release_frees_one_name(trial: &Trial<dyn LeaseStore>) -> Verdict {
    let store = trial.open().await?;
    // Under equal tokens and by one holder, so that nothing but the name tells them apart.
    let (freed, kept) = (grant(&store, "p", "one").await?, grant(&store, "q", "one").await?);
    sure(store.release(freed).await, "a release")?;
    let held = store.grant(who("q"), who("two"), TTL).await;
    expect_is!(held, Err(LeaseError::Held(_)), "a lease on another name than the one released");
    sure(store.renew(kept).await, "the renewal of the other lease")?;
    grant(&store, "p", "two").await.map(|_| ())
}

/// How long to watch a lease whose time to live is over long before.
const LONG_AFTER: Duration = Duration::from_millis(30);

async fn no_clock_ends_a_lease(trial: &Trial<dyn LeaseStore>) -> Verdict {
    let store = trial.open().await?;
    let brief = Duration::from_millis(1);
    let lease = sure(store.grant(who("p"), who("one"), brief).await, "a lease for a millisecond")?;
    tokio::time::sleep(LONG_AFTER).await;
    let held = store.grant(who("p"), who("two"), brief).await;
    expect_is!(held, Err(LeaseError::Held(_)), "a lease that nobody has taken over, long after");
    let renewed = sure(store.renew(lease).await, "the holder's renewal, long after")?;
    tokio::time::sleep(LONG_AFTER).await;
    sure(store.release(renewed).await, "the holder's release, long after")
}

async fn tokens_rise(trial: &Trial<dyn LeaseStore>) -> Verdict {
    let store = trial.open().await?;
    for round in 0..3 {
        let lease = grant(&store, "p", "one").await?;
        expect_eq!(lease.token, Token(round * 2 + 1), "the token of a grant after a release");
        let taken = take_over(&store, &lease, "two").await?;
        expect_eq!(taken.token, Token(round * 2 + 2), "the token of a take-over");
        sure(store.release(taken).await, "a release")?;
    }
    Ok(())
}

async fn tokens_rise_after_reopening(trial: &Trial<dyn LeaseStore>) -> Verdict {
    for life in 1..4 {
        let store = trial.open().await?;
        let lease = grant(&store, "p", "one").await?;
        expect_eq!(lease.token, Token(life), "the token of a grant in life {life}");
        sure(store.release(lease).await, "a release")?;
    }
    Ok(())
}

async fn an_unchanged_record_is_taken_over(trial: &Trial<dyn LeaseStore>) -> Verdict {
    let store = trial.open().await?;
    let lease = grant(&store, "p", "one").await?;
    let seen = sure(store.renew(lease.clone()).await, "a renewal")?;
    let taken = take_over(&store, &seen, "two").await?;
    expect_eq!(taken, Lease::new(who("p"), who("two"), Token(2), TTL), "a lease that was taken over");
    let held = store.grant(who("p"), who("three"), TTL).await;
    expect_is!(held, Err(LeaseError::Held(by)) if *by == taken, "what was taken over is held");
    Ok(())
}

/// The answer to a grant is the record that stands, whatever its time to live: the next contender names it, and has its
/// own time to live.
async fn an_answer_is_a_record_to_take_over(trial: &Trial<dyn LeaseStore>) -> Verdict {
    let store = trial.open().await?;
    let mut held = grant(&store, "p", "one").await?;
    for (token, time_to_live) in (2..).zip(times_to_live()) {
        let said = format!("{held:?} taken over for {time_to_live:?}");
        let taken = store.take_over(held, who("next"), time_to_live).await;
        held = granted(taken, said, Location::caller())?;
        let expected = Lease::new(who("p"), who("next"), Token(token), time_to_live);
        expect_eq!(held, expected, "a lease that was taken over for {time_to_live:?}");
    }
    // And so is the answer to a renewal.
    let renewed = sure(store.renew(held).await, "a renewal")?;
    take_over(&store, &renewed, "last").await.map(|_| ())
}

async fn a_changed_record_is_not(trial: &Trial<dyn LeaseStore>) -> Verdict {
    let store = trial.open().await?;
    let seen = grant(&store, "p", "one").await?;
    let renewed = sure(store.renew(seen.clone()).await, "a renewal")?;
    let held = store.take_over(seen.clone(), who("two"), TTL).await;
    expect_is!(held, Err(LeaseError::Held(by)) if *by == renewed, "the take-over of what was renewed since");
    let taken = take_over(&store, &renewed, "two").await?;
    let held = store.take_over(renewed, who("three"), TTL).await;
    expect_is!(held, Err(LeaseError::Held(by)) if *by == taken, "the take-over of what was taken over since");
    sure(store.release(taken.clone()).await, "a release")?;
    let next = grant(&store, "p", "four").await?;
    let held = store.take_over(taken, who("five"), TTL).await;
    expect_is!(held, Err(LeaseError::Held(by)) if *by == next, "the take-over of what was released since");
    Ok(())
}

async fn one_of_many_takes_over(trial: &Trial<dyn LeaseStore>) -> Verdict {
    let store = trial.open().await?;
    let mut held = grant(&store, "p", "one").await?;
    for _ in 0..trial.rounds(20).max(5) {
        let seen = held.clone();
        held = race(&store, move |store, holder| {
            let seen = seen.clone();
            Box::pin(async move { store.take_over(seen, holder, TTL).await })
        })
        .await?;
    }
    Ok(())
}

async fn held_tells_the_record(trial: &Trial<dyn LeaseStore>) -> Verdict {
    let store = trial.open().await?;
    let lease = grant(&store, "p", "one").await?;
    let seen = store.grant(who("p"), who("two"), TTL * 2).await;
    expect_is!(seen, Err(LeaseError::Held(by)) if *by == lease, "who holds a lease, as {lease:?}");
    let renewed = sure(store.renew(lease).await, "a renewal")?;
    let seen = store.grant(who("p"), who("two"), TTL * 2).await;
    expect_is!(seen, Err(LeaseError::Held(by)) if *by == renewed, "who holds a renewed lease, as {renewed:?}");
    Ok(())
}

async fn held_tells_every_time_to_live(trial: &Trial<dyn LeaseStore>) -> Verdict {
    let store = trial.open().await?;
    for (n, time_to_live) in times_to_live().into_iter().enumerate() {
        let on = format!("p-{n}");
        let lease = sure(store.grant(who(&on), who("one"), time_to_live).await, "a lease")?;
        let expected = Lease::new(who(&on), who("one"), Token(1), time_to_live);
        expect_eq!(lease, expected, "a lease for {time_to_live:?}");
        let held = store.grant(who(&on), who("two"), TTL * 2).await;
        expect_is!(held, Err(LeaseError::Held(by)) if *by == lease, "who holds a lease for {time_to_live:?}");
        let renewed = sure(store.renew(lease.clone()).await, "a renewal")?;
        expect_eq!(renewed.time_to_live, lease.time_to_live, "the time to live after a renewal");
    }
    Ok(())
}

async fn a_former_holder_has_lost(trial: &Trial<dyn LeaseStore>) -> Verdict {
    let store = trial.open().await?;
    let former = grant(&store, "p", "one").await?;
    let taken = take_over(&store, &former, "two").await?;
    let lost = |answer: &LeaseError| matches!(answer, LeaseError::Lost { name, token: Token(2) } if *name == "p");
    let renewed = store.renew(former.clone()).await;
    expect!(renewed.as_ref().is_err_and(lost), "a former holder's renewal, as Lost: {renewed:?}");
    let released = store.release(former).await;
    expect!(released.as_ref().is_err_and(lost), "a former holder's release, as Lost: {released:?}");
    sure(store.release(taken.clone()).await, "a release")?;
    let renewed = store.renew(taken).await.map(|_| ());
    expect!(renewed.as_ref().is_err_and(lost), "a renewal after the release, as Lost: {renewed:?}");
    Ok(())
}

async fn is_there_after_reopening(trial: &Trial<dyn LeaseStore>) -> Verdict {
    let store = trial.open().await?;
    let lease = grant(&store, "p", "one").await?;
    let lease = sure(store.renew(lease).await, "a renewal")?;
    drop(store);
    let store = trial.open().await?;
    let held = store.grant(who("p"), who("two"), TTL).await;
    expect_is!(held, Err(LeaseError::Held(by)) if *by == lease, "who holds a lease, after reopening");
    sure(store.renew(lease).await, "the holder's renewal after reopening").map(|_| ())
}

async fn two_handles_are_one_store(trial: &Trial<dyn LeaseStore>) -> Verdict {
    let (one, other) = (trial.open().await?, trial.open().await?);
    let lease = grant(&one, "p", "one").await?;
    let held = other.grant(who("p"), who("two"), TTL).await;
    expect_is!(held, Err(LeaseError::Held(by)) if *by == lease, "a lease, seen by another handle");
    let taken = take_over(&other, &lease, "two").await?;
    expect_is!(one.renew(lease).await, Err(LeaseError::Lost { .. }), "a lease that another handle took over");
    sure(one.release(taken).await, "the release by another handle")
}
