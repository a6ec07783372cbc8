//! An authenticator that is as simple as can be, and how it can be wrong.

use async_trait::async_trait;
use portolan_conformance::{Fixture, Issued, Place};
use portolan_kernel::ports::{AuthenticationError, Authenticator, Caller, Clock, Credentials};
use portolan_kernel::values::Timestamp;
use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Tokens of three parts, as many have them, in which letters of both cases and signs stand.
pub const ANN: &str = "aGVhZGVy.b2YtYW5u.c2lnbmVkLWFubg";
pub const BOB: &str = "aGVhZGVy.b2YtYm9i.c2lnbmVkLWJvYg";
pub const EVE: &str = "aGVhZGVy.b2YtZXZl.c2lnbmVkLWV2ZQ";

const HOUR: u64 = 3_600_000_000;

/// How one is wrong; `RIGHT` where it is right.
#[derive(Clone, Copy)]
pub struct Mutant {
    pub name: &'static str,
    pub breaks: &'static [&'static str],
    /// The key that is shown, if there is one.
    pub shown: fn(&Credentials) -> Option<String>,
    /// Whether what is shown passes for a key.
    pub fits: fn(&str, &str) -> bool,
    /// Whether a key that has been revoked is still taken.
    pub revokes: bool,
    /// Whether a key has ended by now.
    pub ended: fn(Timestamp, Timestamp) -> bool,
    /// What becomes of the caller.
    pub caller: fn(Caller) -> Caller,
    /// Who asks without credentials, of the callers there are and the last one.
    pub nobody: fn(&[Caller], Option<Caller>) -> Result<Caller, AuthenticationError>,
    /// How a key that fits none is refused.
    pub refusal: fn(&str) -> AuthenticationError,
    /// So many refusals, and nobody is let in any more.
    pub patience: usize,
    /// Whether the caller is kept for whoever comes next, as between two threads.
    pub mixes: bool,
    pub challenge: &'static str,
}

fn refused(words: impl Into<Cow<'static, str>>) -> AuthenticationError {
    AuthenticationError::Refused(words.into())
}

pub const RIGHT: Mutant = Mutant {
    name: "right",
    breaks: &[],
    shown: |shown| shown.bearer().map(str::to_owned),
    fits: |key, shown| key == shown,
    revokes: true,
    ended: |now, until| now >= until,
    caller: |caller| caller,
    nobody: |_, _| Err(AuthenticationError::Missing),
    refusal: |_| refused("nobody has this key"),
    patience: usize::MAX,
    mixes: false,
    challenge: "Bearer",
};

pub struct Keys {
    mutant: Mutant,
    clock: Arc<dyn Clock>,
    keys: Vec<(&'static str, Caller)>,
    refusals: AtomicUsize,
    last: Mutex<Option<Caller>>,
}

impl Mutant {
    pub fn open(self, place: &Place) -> Issued {
        let clock = place.clock();
        let until = Timestamp::from_micros(clock.now().as_micros() + HOUR);
        let ann = Caller::new("ann").in_tenant("north").with_role("teller").with_role("clerk");
        let bob = Caller::new("bob").until(until);
        let keys = vec![(ANN, ann.clone()), (BOB, bob.clone()), (EVE, Caller::new("eve"))];
        let keys = Keys { mutant: self, clock, keys, refusals: AtomicUsize::new(0), last: Mutex::default() };
        Issued::by(keys)
            .good(format!("Bearer {ANN}"), ann)
            .good(format!("Bearer {BOB}"), bob)
            .spent(format!("Bearer {EVE}"))
    }

    pub fn fixture(self) -> Fixture<Issued> {
        Fixture::authenticator(async move |place: &Place| Ok::<_, String>(self.open(place)))
    }
}

#[async_trait]
impl Authenticator for Keys {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Caller, AuthenticationError> {
        let callers: Vec<_> = self.keys.iter().map(|(_, caller)| caller.clone()).collect();
        if credentials.authorization.is_none() {
            return (self.mutant.nobody)(&callers, self.last.lock().unwrap().clone());
        }
        let shown = (self.mutant.shown)(credentials).ok_or_else(|| refused("a bearer key is needed"))?;
        let found = self.keys.iter().find(|(key, _)| (self.mutant.fits)(key, &shown));
        let Some((key, caller)) = found.filter(|_| self.refusals.load(Ordering::SeqCst) < self.mutant.patience) else {
            self.refusals.fetch_add(1, Ordering::SeqCst);
            return Err((self.mutant.refusal)(&shown));
        };
        if self.mutant.revokes && *key == EVE {
            return Err(refused("this key has been revoked"));
        }
        if caller.until.is_some_and(|until| (self.mutant.ended)(self.clock.now(), until)) {
            return Err(refused("this key has expired"));
        }
        let caller = (self.mutant.caller)(caller.clone());
        *self.last.lock().unwrap() = Some(caller.clone());
        if self.mutant.mixes {
            tokio::task::yield_now().await;
            return Ok(self.last.lock().unwrap().clone().unwrap());
        }
        Ok(caller)
    }

    fn challenge(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.mutant.challenge)
    }
}
