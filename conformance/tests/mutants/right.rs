//! Stores that are right in unusual ways: the suite must let them pass.

use super::store::Mutant;
use portolan_conformance::Capability;
use portolan_kernel::values::{Page, Query};

const fn right(name: &'static str) -> Mutant {
    Mutant::new(name, &[])
}

pub fn stores() -> Vec<(Mutant, &'static [Capability])> {
    let sparse = right("positions with gaps").append(|state, append, now| {
        state.next_position += 6;
        state.model.append(append, now)
    });
    let small_pages = Mutant { born: |state| state.capabilities.limits.page_events = 2, ..right("pages of two") };
    let late_end = right("an empty last page").read(|state, read| {
        let mut page = state.model.read(read)?;
        if let (None, Some(last)) = (&page.next, page.events.last()) {
            page.next = Some(read.clone().after(last).until(page.frontier));
        }
        Ok(page)
    });
    // Looks at three events of the log a page, and shows those that match.
    let scanning = right("a page a stretch of the log").read(|state, read| {
        use portolan_kernel::values::Start;
        let Start::Log(query, after) = &read.from else { return state.model.read(read) };
        state.capabilities.check_read(read)?;
        let mut whole = read.clone();
        whole.from = Start::Log(Query::all().with_system(), *after);
        let stretch = state.model.read(&whole.limit(3.min(read.limit)))?;
        let events = stretch.events.iter().filter(|event| query.matches(event)).cloned().collect();
        let next = stretch
            .next
            .as_ref()
            .and_then(|_| stretch.events.last())
            .map(|last| read.clone().after(last).until(stretch.frontier));
        Ok(Page::new(events, stretch.frontier, next, None))
    });
    let small_limits = Mutant {
        born: |state| {
            state.capabilities.limits = portolan_conformance::least_limits();
        },
        ..right("the least limits")
    };
    let for_good = Mutant { born: |state| state.capabilities.key_retention = None, ..right("keys for good") };
    let eager = Mutant { changed: |_, _, _| Box::pin(async { Ok(()) }), ..right("a hint that always says yes") };
    let mut stores: Vec<(Mutant, &[Capability])> =
        [right("the reference"), sparse, small_pages, late_end, scanning, small_limits, for_good, eager]
            .map(|store| (store, &[][..]))
            .into();
    stores.extend(lacking());
    stores
}

/// A store without each of the capabilities, and one without any.
fn lacking() -> Vec<(Mutant, &'static [Capability])> {
    use Capability::{Checkpoints, Durability, Guard, Keys, SeveralProcesses, SeveralStreams};
    fn lack(state: &mut super::store::State, lacks: &[Capability]) {
        state.capabilities.lacks.extend(lacks);
        fresh(state);
    }
    fn fresh(state: &mut super::store::State) {
        if !state.capabilities.has(Durability) {
            let mut capabilities = state.capabilities.clone();
            capabilities.identity =
                portolan_kernel::ports::StoreId::from_bytes(std::array::from_fn(|_| fastrand::u8(..)));
            state.model = portolan_conformance::Model::new(capabilities);
        }
    }
    macro_rules! without {
        ($($name:literal: $lacks:expr),*) => {
            vec![$((Mutant { born: |state| lack(state, &$lacks), reopen: fresh, ..right($name) }, &$lacks[..])),*]
        };
    }
    let mut stores = without! {
        "no guards": [Guard], "no keys": [Keys], "no checkpoints": [Checkpoints], "one stream": [SeveralStreams],
        "in memory": [Durability], "alone": [SeveralProcesses],
        "the core alone": [Guard, Keys, Checkpoints, SeveralStreams, Durability, SeveralProcesses]
    };
    for (store, lacks) in &mut stores {
        store.alone = lacks.contains(&SeveralProcesses);
    }
    stores
}
