//! Wrong in keys.

use super::store::{Mutant, State};
use portolan_kernel::ports::AppendError;
use portolan_kernel::values::{Append, Name, Timestamp};

const fn wrong(name: &'static str, breaks: &'static [&'static str]) -> Mutant {
    Mutant::new(name, breaks)
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Whether the append's key is known, expired or not.
fn recorded(state: &State, append: &Append) -> bool {
    append.key.as_ref().is_some_and(|key| state.keys.contains_key(&(key.scope.clone(), key.id.clone())))
}

pub const MUTANTS: &[Mutant] = &[
    wrong("keys are not kept", &["ES-06", "ES-09", "ES-10", "ES-12", "ES-model"]).append(|state, append, now| {
        let done = state.model.append(append, now);
        state.keys.clear();
        done
    }),
    wrong("keys have no scope", &["ES-09"]).append(|state, append, now| {
        let mut append = append.clone();
        if let Some(key) = &mut append.key {
            key.scope = name("scope");
        }
        state.model.append(&append, now)
    }),
    wrong("scope and id run into one", &["ES-09"]).append(|state, append, now| {
        let mut append = append.clone();
        if let Some(key) = &mut append.key
            && key.scope != "scope"
            && key.scope.len() + key.id.len() <= 512
        {
            (key.id, key.scope) = (name(&format!("{}{}", key.scope, key.id)), name("scope"));
        }
        state.model.append(&append, now)
    }),
    wrong("the note is lost on repetition", &["ES-09", "ES-10", "ES-model"]).append(|state, append, now| {
        let done = state.model.append(append, now)?;
        Ok(if done.repeated { done.with_note(Default::default()) } else { done })
    }),
    wrong("the note is the repetition's", &["ES-09"]).append(|state, append, now| {
        let done = state.model.append(append, now)?;
        let note = append.key.as_ref().map(|key| key.note.clone()).unwrap_or_default();
        Ok(if done.repeated { done.with_note(note) } else { done })
    }),
    wrong("the digest is not asked", &["ES-06", "ES-09", "ES-model"]).append(|state, append, now| {
        let mut append = append.clone();
        if let Some(key) = &mut append.key {
            let known = state.recall(&key.scope, &key.id, now);
            key.digest = known.map_or(key.digest, |known| known.digest);
        }
        state.model.append(&append, now)
    }),
    wrong("half of the digest is asked", &["ES-09"]).append(|state, append, now| {
        let mut append = append.clone();
        if let Some(key) = &mut append.key
            && let Some(known) = state.recall(&key.scope, &key.id, now)
            && known.digest[..16] == key.digest[..16]
        {
            key.digest = known.digest;
        }
        state.model.append(&append, now)
    }),
    wrong("a reused key is a repetition that failed", &["ES-06", "ES-09", "ES-model"]).append(|state, append, now| {
        state.model.append(append, now).map_err(|error| match error {
            AppendError::KeyReused { .. } => AppendError::Invalid("the key is taken".into()),
            error => error,
        })
    }),
    wrong("a repetition does not say so", &["ES-09", "ES-10", "ES-model"]).append(|state, append, now| {
        let mut done = state.model.append(append, now)?;
        done.repeated = false;
        Ok(done)
    }),
    wrong("a repetition tells the revisions of today", &["ES-09", "ES-10", "ES-model"]).append(|state, append, now| {
        let mut done = state.model.append(append, now)?;
        done.streams.iter_mut().for_each(|(stream, last)| *last = state.last(stream));
        Ok(done)
    }),
    wrong("a repetition writes again", &["ES-09", "ES-12", "ES-model"]).append(|state, append, now| {
        let done = state.model.append(append, now)?;
        if done.repeated {
            state.model.write(&Append::new(append.events.clone()), now);
        }
        Ok(done)
    }),
    wrong("a repetition moves the checkpoint", &["ES-09"]).append(|state, append, now| {
        let done = state.model.append(append, now)?;
        if let (true, Some(checkpoint)) = (done.repeated, &append.checkpoint) {
            state.model.write(&Append::default().checkpoint(checkpoint.clone()), now);
        }
        Ok(done)
    }),
    wrong("keys expire a moment late", &["ES-09"]).append(|state, append, now| {
        state.model.append(
            append,
            Timestamp::from_micros(now.as_micros() - u64::from(append.key.is_some() && recorded(state, append))),
        )
    }),
    wrong("keys expire a moment early", &["ES-09"]).append(|state, append, now| {
        state.model.append(
            append,
            Timestamp::from_micros(now.as_micros() + u64::from(append.key.is_some() && recorded(state, append))),
        )
    }),
    Mutant {
        recall: |state, scope, id, _| Some(state.keys.get(&(scope.clone(), id.clone()))?.recalled.clone()),
        ..wrong("recall tells of expired keys", &["ES-09"])
    },
    Mutant { recall: |_, _, _, _| None, ..wrong("recall tells nothing", &["ES-09", "ES-10", "ES-model"]) },
    Mutant {
        recall: |state, scope, id, now| {
            let mut recalled = state.recall(scope, id, now)?;
            recalled.appended.repeated = false;
            Some(recalled)
        },
        ..wrong("recall does not say repeated", &["ES-09", "ES-10", "ES-model"])
    },
    Mutant {
        recall: |state, _, id, now| {
            let scope = state.keys.keys().find(|(_, known)| known == id)?.0.clone();
            state.recall(&scope, id, now)
        },
        ..wrong("recall asks no scope", &["ES-09"])
    },
    wrong("a repetition renews its key", &["ES-09"]).append(|state, append, now| {
        let done = state.model.append(append, now)?;
        if let (true, Some(key)) = (done.repeated, &append.key) {
            state.keys.get_mut(&(key.scope.clone(), key.id.clone())).unwrap().at = now;
        }
        Ok(done)
    }),
    Mutant { reopen: |state| state.keys.clear(), ..wrong("keys are forgotten with the life", &["ES-09", "ES-model"]) },
    wrong("only 200 keys are kept", &["ES-09"]).append(|state, append, now| {
        let done = state.model.append(append, now);
        if state.keys.len() > 200 {
            state.keys.pop_first();
        }
        done
    }),
];
