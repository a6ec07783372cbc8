//! The laws of authenticators, under each kind of key.
#![allow(clippy::unwrap_used, clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "these are tests")]
#![allow(unreachable_pub, reason = "a test binary has no one to reach it")]

#[allow(dead_code, reason = "shared with other tests")]
mod support;

use portolan_conformance::{Issued, Place};
use portolan_jwt::{JwtAlgorithm, JwtAuthenticator, JwtKeys};
use portolan_kernel::ports::Caller;
use portolan_kernel::values::Timestamp;
use serde_json::json;
use std::time::Duration;
use support::Issuer;

const LEEWAY: u64 = 5;

fn issued(place: &Place, algorithm: JwtAlgorithm) -> Issued {
    let (issuer, stranger) = (Issuer::of(algorithm, 0), Issuer::of(algorithm, 1));
    let clock = place.clock();
    let now = clock.now().as_micros() / 1_000_000;
    let (noon, evening) = (now + 3_600, now + 7_200);
    let until = |seconds: u64| Timestamp::from_micros((seconds + LEEWAY) * 1_000_000);
    let claims = |more| support::with(json!({"aud": "bank", "iss": "https://login.example"}), more);
    let token = |more| format!("Bearer {}", issuer.signed(json!({}), claims(more)));
    let authenticator = JwtAuthenticator::new(JwtKeys::from_iter([issuer.key()]), clock)
        .audience("bank")
        .issuer("https://login.example")
        .tenant_from("org.id")
        .leeway(Duration::from_secs(LEEWAY));
    let ann = json!({"sub": "ann", "exp": noon, "nbf": now, "org": {"id": "north"}, "roles": ["teller", "clerk"]});
    let bob = json!({"sub": "bob", "exp": evening, "org": {"id": "south"}});
    let is_over = json!({"sub": "bob", "exp": now - LEEWAY, "org": {"id": "south"}});
    Issued::by(authenticator)
        .good(
            token(ann.clone()),
            Caller::new("ann").in_tenant("north").with_role("teller").with_role("clerk").until(until(noon)),
        )
        .good(token(bob), Caller::new("bob").in_tenant("south").until(until(evening)))
        .spent(token(is_over))
        .spent(format!("Bearer {}", stranger.signed(json!({}), claims(ann))))
}

macro_rules! laws_under {
    ($($name:ident: $algorithm:ident),* $(,)?) => {$(
        mod $name {
            use super::*;

            portolan_conformance::authenticator_laws! {
                open: async |place: &Place| Ok::<_, String>(issued(place, JwtAlgorithm::$algorithm)),
            }
        }
    )*};
}

laws_under! { secret: HS256, rsa: RS256, rsa_pss: PS384, p_256: ES256, p_384: ES384, ed25519: EdDSA }
