//! The laws of authenticators, proven by wrong ones: each breaks exactly the laws it says, and each law is broken by one.
//! And the kernel's own keep them.
#![allow(unreachable_pub, reason = "a test binary has no one to reach it")]
#![allow(clippy::unwrap_used, clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "these are tests")]

#[path = "support/judging.rs"]
#[allow(dead_code, reason = "shared with other suites")]
mod judging;
#[path = "authenticators/keys.rs"]
mod keys;

use async_trait::async_trait;
use judging::{AGAIN, broken_by, complaint, complaints};
use keys::{ANN, BOB, Mutant, RIGHT};
use portolan_conformance::{Fixture, Issued, Outcome, Passing, Place, Runner, authenticator_laws, laws};
use portolan_kernel::drivers::StaticKeys;
use portolan_kernel::ports::{AuthenticationError, Authenticator, Caller, Clock, Credentials, Source};
use portolan_kernel::values::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What stands after the first space, whatever stands before it.
fn any_scheme(shown: &Credentials) -> Option<String> {
    Some(shown.authorization.as_deref()?.split_once(' ')?.1.trim_matches(' ').to_owned())
}

/// The token, after something was done to it that ought not to be.
fn token(shown: &Credentials, changed: impl Fn(&str) -> &str) -> Option<String> {
    shown.bearer().map(|token| changed(token).to_owned())
}

fn refused(words: String) -> AuthenticationError {
    AuthenticationError::Refused(words.into())
}

/// How many characters are as they should be.
fn right_ones(shown: &str) -> usize {
    let right = |key: &str| key.chars().zip(shown.chars()).take_while(|(one, other)| one == other).count();
    right(ANN).max(right(BOB))
}

const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "reads a scheme in its own case alone",
        breaks: &["AU-01"],
        shown: |shown| {
            shown.authorization.as_deref()?.strip_prefix("Bearer ").map(|token| token.trim_matches(' ').to_owned())
        },
        ..RIGHT
    },
    Mutant {
        name: "forgets roles",
        breaks: &["AU-01"],
        caller: |mut caller| {
            caller.roles.clear();
            caller
        },
        ..RIGHT
    },
    Mutant {
        name: "does not tell until when",
        breaks: &["AU-01"],
        caller: |mut caller| {
            caller.until = None;
            caller
        },
        ..RIGHT
    },
    Mutant { name: "believes what everybody says", breaks: &["AU-01"], caller: Caller::speaking_for_others, ..RIGHT },
    Mutant { name: "lets nobody in after ten refusals", breaks: &["AU-01"], patience: 10, ..RIGHT },
    Mutant { name: "mixes up who asks at once", breaks: &["AU-01"], mixes: true, ..RIGHT },
    Mutant {
        name: "ends a second early",
        breaks: &["AU-01"],
        ended: |now, until| now.as_micros() + 1_000_000 >= until.as_micros(),
        ..RIGHT
    },
    Mutant { name: "ends a moment late", breaks: &["AU-02"], ended: |now, until| now > until, ..RIGHT },
    Mutant { name: "never ends", breaks: &["AU-02"], ended: |_: Timestamp, _| false, ..RIGHT },
    Mutant { name: "takes what was revoked", breaks: &["AU-02"], revokes: false, ..RIGHT },
    Mutant { name: "folds case", breaks: &["AU-02"], fits: str::eq_ignore_ascii_case, ..RIGHT },
    Mutant {
        name: "takes whatever begins with a key",
        breaks: &["AU-02"],
        fits: |key, shown| shown.starts_with(key),
        ..RIGHT
    },
    Mutant {
        name: "takes the beginning of a key",
        breaks: &["AU-02"],
        fits: |key, shown| shown.len() > 16 && key.starts_with(shown),
        ..RIGHT
    },
    Mutant {
        name: "takes the end of a key",
        breaks: &["AU-02"],
        fits: |key, shown| shown.len() > 16 && key.ends_with(shown),
        ..RIGHT
    },
    Mutant {
        name: "takes whatever has a key in it",
        breaks: &["AU-02"],
        fits: |key, shown| shown.contains(key),
        ..RIGHT
    },
    Mutant {
        name: "looks at the length and the ends",
        breaks: &["AU-02"],
        fits: |key, shown| {
            key.len() == shown.len()
                && key.bytes().take(20).eq(shown.bytes().take(20))
                && key.as_bytes().last() == shown.as_bytes().last()
        },
        ..RIGHT
    },
    Mutant { name: "takes any scheme", breaks: &["AU-02"], shown: any_scheme, ..RIGHT },
    Mutant {
        name: "needs no scheme",
        breaks: &["AU-02"],
        shown: |shown| shown.bearer().or(shown.authorization.as_deref()).map(str::to_owned),
        ..RIGHT
    },
    Mutant {
        name: "overlooks padding",
        breaks: &["AU-02"],
        shown: |shown| token(shown, |token| token.trim_end_matches('=')),
        ..RIGHT
    },
    Mutant { name: "overlooks line ends", breaks: &["AU-02"], shown: |shown| token(shown, str::trim), ..RIGHT },
    Mutant {
        name: "takes the last of several",
        breaks: &["AU-02"],
        shown: |shown| {
            let last = shown.authorization.as_deref()?.rsplit(", ").next()?;
            Credentials::new(last).bearer().map(str::to_owned)
        },
        ..RIGHT
    },
    Mutant {
        name: "takes the first word",
        breaks: &["AU-02"],
        shown: |shown| token(shown, |token| token.split(' ').next().unwrap_or_default()),
        ..RIGHT
    },
    Mutant {
        name: "takes off quotes",
        breaks: &["AU-02"],
        shown: |shown| token(shown, |token| token.trim_matches('"')),
        ..RIGHT
    },
    Mutant {
        name: "looks at each part alone",
        breaks: &["AU-02"],
        fits: |key, shown| {
            let (key, shown): (Vec<_>, Vec<_>) = (key.split('.').collect(), shown.split('.').collect());
            shown.len() == 3
                && shown[1] == key[1]
                && [ANN, BOB].iter().any(|known| known.ends_with(shown[2]) && shown[2].len() > 9)
        },
        ..RIGHT
    },
    Mutant {
        name: "takes a token that says it has no signature",
        breaks: &["AU-02"],
        fits: |key, shown| {
            let claims = key.split('.').nth(1).unwrap_or_default();
            key == shown || shown == format!("eyJhbGciOiJub25lIn0.{claims}.")
        },
        ..RIGHT
    },
    Mutant {
        name: "takes an empty one for anybody's",
        breaks: &["AU-02"],
        shown: |shown| {
            let text = shown.authorization.as_deref()?;
            if text.is_empty() { Some(ANN.to_owned()) } else { shown.bearer().map(str::to_owned) }
        },
        ..RIGHT
    },
    Mutant {
        name: "panics where a character is not a byte",
        breaks: &["AU-02", "AU-04"],
        shown: |shown| {
            token(shown, |token| {
                let _ = (token.len() > 4).then(|| token.split_at(token.len() - 1));
                token
            })
        },
        ..RIGHT
    },
    Mutant {
        name: "panics when it is shown too much",
        breaks: &["AU-02", "AU-04"],
        refusal: |shown| {
            assert!(shown.len() < 100_000, "too much");
            (RIGHT.refusal)(shown)
        },
        ..RIGHT
    },
    Mutant {
        name: "says that it is busy with what it does not know",
        breaks: &["AU-02"],
        refusal: |_| AuthenticationError::Busy(Source::new("no such key")),
        ..RIGHT
    },
    Mutant {
        name: "takes a wrong one for none",
        breaks: &["AU-02"],
        refusal: |_| AuthenticationError::Missing,
        ..RIGHT
    },
    Mutant {
        name: "refuses whoever shows nothing",
        breaks: &["AU-03"],
        nobody: |_, _| Err(refused("none".into())),
        ..RIGHT
    },
    Mutant { name: "lets in whoever shows nothing", breaks: &["AU-03"], nobody: |_, _| Ok(Caller::nobody()), ..RIGHT },
    Mutant {
        name: "takes nobody for the first it knows",
        breaks: &["AU-03"],
        nobody: |callers, _| Ok(callers[0].clone()),
        ..RIGHT
    },
    Mutant {
        name: "takes nobody for whoever came before",
        breaks: &["AU-03"],
        nobody: |_, last| last.ok_or(AuthenticationError::Missing),
        ..RIGHT
    },
    Mutant {
        name: "says what was shown",
        breaks: &["AU-04"],
        refusal: |shown| refused(format!("nobody has {shown}")),
        ..RIGHT
    },
    Mutant {
        name: "says how it ends",
        breaks: &["AU-04"],
        refusal: |shown| {
            let at = shown.len().saturating_sub(10);
            refused(format!("nobody has …{}", shown.get(at..).unwrap_or_default()))
        },
        ..RIGHT
    },
    Mutant {
        name: "says how much was right",
        breaks: &["AU-04"],
        refusal: |shown| refused(format!("wrong after {} characters", right_ones(shown))),
        ..RIGHT
    },
    Mutant {
        name: "says whose key is nearly right",
        breaks: &["AU-04"],
        refusal: |shown| {
            refused(if right_ones(shown) > 12 { "a wrong signature".into() } else { "nobody's key".into() })
        },
        ..RIGHT
    },
    Mutant {
        name: "asks for a key and tells it",
        breaks: &["AU-04"],
        challenge: "Bearer example=\"b2YtYW5u.c2lnbmVk\"",
        ..RIGHT
    },
    Mutant { name: "asks for nothing", breaks: &["AU-04"], challenge: "", ..RIGHT },
];

authenticator_laws! {
    open: async |place: &Place| Ok::<_, String>(RIGHT.open(place)),
}

#[test]
fn each_mutant_breaks_exactly_its_laws() {
    let wrong = complaints(MUTANTS.iter().collect(), 2, AGAIN, |mutant, again| {
        complaint(mutant.name, &Runner::new(|| mutant.fixture()), laws::authenticator, mutant.breaks, again)
    });
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn each_law_is_broken_by_a_mutant() {
    let broken: BTreeSet<_> = MUTANTS.iter().flat_map(|mutant| mutant.breaks).copied().collect();
    let laws: BTreeSet<_> = laws::authenticator().iter().map(|law| law.id).collect();
    assert_eq!(broken, laws);
}

/// A law is as good as its checks: each finds one of the mutants by itself.
#[test]
fn each_check_finds_something_alone() {
    for number in 0..laws::authenticator().len() {
        let law = || laws::authenticator().swap_remove(number);
        for (at, check) in law().checks.iter().enumerate() {
            let alone = || {
                let mut law = law();
                law.checks = vec![law.checks.swap_remove(at)];
                law
            };
            let mut of_law = MUTANTS.iter().filter(|mutant| mutant.breaks.contains(&law().id));
            let finds = |mutant: &'static Mutant| {
                let judged = Runner::new(move || mutant.fixture()).quick().judge(&alone());
                matches!(judged, Outcome::Broken { .. })
            };
            assert!(of_law.any(finds), "{} of {} finds nothing", check.name, law().id);
        }
    }
}

/// Who asks without credentials may be meant to be somebody; then that is law.
#[test]
fn nobody_is_who_is_meant() {
    let guest = || Caller::new("guest").with_role("visitor");
    let judged = |nobody, meant: Caller| {
        let mutant = Mutant { nobody, ..RIGHT };
        let open = move || {
            let meant = meant.clone();
            Fixture::authenticator(async move |place: &Place| {
                Ok::<_, String>(mutant.open(place).without(meant.clone()))
            })
        };
        broken_by(&Runner::new(open), laws::authenticator()).0
    };
    assert_eq!(judged(|_, _| Ok(Caller::new("guest").with_role("visitor")), guest()), BTreeSet::new());
    assert_eq!(judged(|_, _| Err(AuthenticationError::Missing), guest()), BTreeSet::from(["AU-03"]));
    assert_eq!(judged(|_, _| Ok(Caller::nobody()), guest()), BTreeSet::from(["AU-03"]));
    // Nobody is meant to be somebody who has credentials.
    let ann = || Caller::new("ann").in_tenant("north").with_role("teller").with_role("clerk");
    assert_eq!(judged(|callers, _| Ok(callers[0].clone()), ann()), BTreeSet::from(["AU-03"]));
}

/// What proves nothing is not kept.
#[test]
fn a_fixture_that_has_nothing_to_try_is_told() {
    let one = || {
        Fixture::authenticator(async |_: &Place| {
            let keys = StaticKeys::from_json(br#"[{"key": "0n1y-f0r-tr7ing-0ut", "actor": "ann"}]"#);
            keys.map(|keys| Issued::by(keys).good("Bearer 0n1y-f0r-tr7ing-0ut", Caller::new("ann")))
        })
        .lacks(Passing::Expiry, "a key is good until it is taken out")
        .lacks(Passing::Revocation, "there was no other key")
    };
    for law in laws::authenticator() {
        match Runner::new(one).judge(&law) {
            Outcome::Broken { broken, .. } => assert!(broken.expected.contains("two callers"), "{broken}"),
            other => panic!("{} proves nothing with one caller: {other:?}", law.id),
        }
    }
}

/// Good until a year has passed, whatever its callers say.
struct Ending {
    keys: StaticKeys,
    clock: Arc<dyn Clock>,
    end: u64,
}

#[async_trait]
impl Authenticator for Ending {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Caller, AuthenticationError> {
        let found = self.keys.authenticate(credentials).await;
        if found.is_ok() && self.clock.now().as_micros() > self.end {
            return Err(refused("a year is enough".into()));
        }
        found
    }
}

const FOR_EVER: (Passing, &str) = (Passing::Expiry, "a key is good until it is taken out");
const NONE_OUT: (Passing, &str) = (Passing::Revocation, "no key was taken out");

/// What nothing can be tried on is declared, with a reason, and is true.
#[test]
fn lacks_are_declared_and_true() {
    const KEYS: &[u8] =
        br#"[{"key": "0n1y-f0r-tr7ing-0ut", "actor": "ann"}, {"key": "an0ther-0ne-t0-try", "actor": "bob"}]"#;
    const YEAR: u64 = 365 * 86_400_000_000;
    fn keys(years: u64) -> Fixture<Issued> {
        Fixture::authenticator(async move |place: &Place| {
            let clock = place.clock();
            let end = clock.now().as_micros() + years * YEAR;
            let ending = StaticKeys::from_json(KEYS).map(|keys| Ending { keys, clock, end });
            ending.map(|ending| {
                Issued::by(ending)
                    .good("Bearer 0n1y-f0r-tr7ing-0ut", Caller::new("ann"))
                    .good("Bearer an0ther-0ne-t0-try", Caller::new("bob"))
            })
        })
    }
    let judged = |fixture: fn(u64) -> Fixture<Issued>, years: u64, lacks: &[(Passing, &'static str)]| {
        let lacks = lacks.to_vec();
        let open = move || lacks.iter().fold(fixture(years), |fixture, (lack, why)| fixture.lacks(*lack, why));
        let runner = Runner::new(open);
        laws::authenticator().iter().map(|law| (law.id, runner.judge(law))).collect::<Vec<_>>()
    };
    let told = |judged: Vec<(&'static str, Outcome)>, words: &str| {
        for (law, outcome) in judged {
            match outcome {
                Outcome::Broken { broken, .. } => assert!(broken.expected.contains(words), "{law}: {broken}"),
                other => panic!("{law} is not refused: {other:?}"),
            }
        }
    };
    for (law, outcome) in judged(keys, 1_000, &[FOR_EVER, NONE_OUT]) {
        let Outcome::Kept { lacked, .. } = outcome else { panic!("{law}: {outcome:?}") };
        let lacked: Vec<_> = lacked.into_keys().collect();
        let expected: &[&str] = match law {
            "AU-01" => &["expiry"],
            "AU-02" => &["expiry", "revocation"],
            _ => &[],
        };
        assert_eq!(lacked, expected, "{law}");
    }
    told(judged(keys, 1_000, &[]), "credentials to try expiry on, or its declared lack");
    told(judged(keys, 1_000, &[FOR_EVER]), "credentials to try revocation on, or its declared lack");
    told(judged(keys, 1_000, &[(Passing::Expiry, " "), NONE_OUT]), "a reason for lacking expiry");
    told(judged(|_| RIGHT.fixture(), 0, &[FOR_EVER]), "no declared lack of expiry, which the fixture shows");
    told(judged(|_| RIGHT.fixture(), 0, &[NONE_OUT]), "no declared lack of revocation, which the fixture shows");
    // What ends without a word lacks no end.
    for (law, outcome) in judged(keys, 1, &[FOR_EVER, NONE_OUT]) {
        let is_broken = matches!(outcome, Outcome::Broken { .. });
        assert_eq!(is_broken, ["AU-01", "AU-02"].contains(&law), "{law}: {outcome:?}");
    }
}

mod static_keys {
    use super::*;
    use portolan_kernel::drivers::StaticKeyError;

    const KEYS: &[u8] = br#"[
        {"key": "0n1y-f0r-tr7ing-0ut", "actor": "ann", "tenant": "north", "roles": ["teller", "clerk"]},
        {"key": "0n1y-f0r-tr7ing-two", "actor": "bob", "roles": ["auditor"]},
        {"key": "c3VjaCBhcyBvcGVuc3NsIG1ha2Vz+/==", "speaks_for_others": true},
        {"sha256": "9a2a3a31b3cc6e3d0a8a4ea4fbd8f5dd4a2ad64ae3a5d6b5b9c3f0cc5c0fbd3e", "actor": "whose key nobody knows"}
    ]"#;

    authenticator_laws! {
        open: async |_: &Place| Ok::<_, StaticKeyError>(
            Issued::by(StaticKeys::from_json(KEYS)?)
                .good(
                    "Bearer 0n1y-f0r-tr7ing-0ut",
                    Caller::new("ann").in_tenant("north").with_role("teller").with_role("clerk"),
                )
                .good("Bearer 0n1y-f0r-tr7ing-two", Caller::new("bob").with_role("auditor"))
                .good("Bearer c3VjaCBhcyBvcGVuc3NsIG1ha2Vz+/==", Caller::nobody().speaking_for_others()),
        ),
        lacks: {
            Expiry: "a key is good until it is taken out",
            Revocation: "a key that was taken out is as one that never was",
        },
    }

    /// Who has read the file of keys has no key by that.
    #[tokio::test]
    async fn a_hash_is_no_key() {
        let keys = StaticKeys::from_json(KEYS).unwrap();
        let hash = "9a2a3a31b3cc6e3d0a8a4ea4fbd8f5dd4a2ad64ae3a5d6b5b9c3f0cc5c0fbd3e";
        let shown = keys.authenticate(&Credentials::new(format!("Bearer {hash}"))).await;
        assert!(matches!(shown, Err(AuthenticationError::Refused(_))), "{shown:?}");
    }
}
