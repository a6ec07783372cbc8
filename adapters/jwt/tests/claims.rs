//! What a token says, and what becomes of it.
#![allow(clippy::unwrap_used, clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "these are tests")]
#![allow(unreachable_pub, reason = "a test binary has no one to reach it")]

#[allow(dead_code, reason = "shared with other tests")]
mod support;

use portolan_jwt::{JwtAlgorithm, JwtAuthenticator};
use portolan_kernel::ports::{AuthenticationError, Authenticator as _, Caller, Credentials};
use portolan_kernel::values::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;
use support::{Issuer, NOT_OURS, NOW, Standing, authenticator, shown, words};

static ISSUER: LazyLock<Issuer> = LazyLock::new(|| Issuer::of(JwtAlgorithm::HS256, 0));

fn plain() -> JwtAuthenticator {
    authenticator(ISSUER.key())
}

async fn says(to: &JwtAuthenticator, claims: Value) -> Result<Caller, AuthenticationError> {
    shown(to, &ISSUER.token(claims)).await
}

#[track_caller]
fn roles(caller: Result<Caller, AuthenticationError>) -> Vec<String> {
    caller.unwrap().roles.into_iter().collect()
}

#[tokio::test]
async fn claims_become_a_caller() {
    let caller = says(&plain(), json!({"roles": ["teller", "clerk"], "tenant": "north"})).await.unwrap();
    let until = Timestamp::from_micros((NOW + 3_630) * 1_000_000);
    assert_eq!(caller, Caller::new("ann").with_role("teller").with_role("clerk").until(until));
    let named = plain().actor_from("preferred.name").tenant_from("org.id");
    let claims = json!({"preferred": {"name": "Ann"}, "org": {"id": "north"}, "sub": "7"});
    let caller = says(&named, claims).await.unwrap();
    assert_eq!(caller, Caller::new("Ann").in_tenant("north").until(until));
}

#[tokio::test]
async fn who_it_is_has_to_be_said() {
    for claims in [json!({"sub": null}), json!({"sub": ""}), json!({"sub": 7}), json!({"sub": ["ann"]})] {
        let told = words(says(&plain(), claims.clone()).await);
        assert_eq!(told, "this token has no claim `sub` that can be used", "{claims}");
    }
    let with_tenant = plain().tenant_from("org.id");
    for claims in [json!({}), json!({"org": "north"}), json!({"org": {"id": ""}}), json!({"org": {"id": 7}})] {
        let told = words(says(&with_tenant, claims.clone()).await);
        assert_eq!(told, "this token has no claim `org.id` that can be used", "{claims}");
    }
}

#[tokio::test]
async fn roles_are_a_list_or_a_text() {
    assert_eq!(roles(says(&plain(), json!({})).await), [""; 0]);
    assert_eq!(roles(says(&plain(), json!({"roles": []})).await), [""; 0]);
    assert_eq!(roles(says(&plain(), json!({"roles": ""})).await), [""; 0]);
    assert_eq!(roles(says(&plain(), json!({"roles": " teller  clerk "})).await), ["clerk", "teller"]);
    assert_eq!(roles(says(&plain(), json!({"roles": ["head teller", "clerk"]})).await), ["clerk", "head teller"]);
    for wrong in [json!(7), json!({"teller": true}), json!(["teller", 7]), json!([["teller"]])] {
        let told = words(says(&plain(), json!({"roles": wrong})).await);
        assert_eq!(told, "this token has no claim `roles` that can be used", "{wrong}");
    }
    let several = plain().roles_from(["realm_access.roles", "scope", "https://bank.example/roles"]);
    let claims = json!({
        "realm_access": {"roles": ["teller"]}, "scope": "read write", "https://bank.example/roles": ["auditor"], "roles": ["no"],
    });
    assert_eq!(roles(says(&several, claims).await), ["auditor", "read", "teller", "write"]);
}

#[tokio::test]
async fn nobody_speaks_for_others_unless_that_is_configured() {
    let bold = json!({
        "speaks_for_others": true, "roles": ["node", "speaks_for_others"], "client_id": "node-2", "azp": "node-2",
    });
    assert!(!says(&plain(), bold.clone()).await.unwrap().speaks_for_others);
    let by_role = plain().role_speaks_for_others("node");
    assert!(says(&by_role, bold.clone()).await.unwrap().speaks_for_others);
    for claims in [json!({}), json!({"roles": "nodes NODE"}), json!({"client_id": "node"}), json!({"sub": "node"})] {
        assert!(!says(&by_role, claims.clone()).await.unwrap().speaks_for_others, "{claims}");
    }
    let by_client = plain().client_speaks_for_others("node-2");
    for claims in [json!({"sub": "node-2", "client_id": "node-2"}), json!({"sub": "node-2", "azp": "node-2"})] {
        assert!(says(&by_client, claims.clone()).await.unwrap().speaks_for_others, "{claims}");
    }
    for claims in [
        json!({"sub": "node-2", "client_id": "node-1", "azp": ["node-2"]}),
        json!({"roles": ["node-2"]}),
        json!({"sub": "node-2"}),
        // A user of the client.
        json!({"sub": "ann", "client_id": "node-2", "azp": "node-2"}),
        json!({"sub": "node-1", "client_id": "node-2"}),
    ] {
        assert!(!says(&by_client, claims.clone()).await.unwrap().speaks_for_others, "{claims}");
    }
}

#[tokio::test]
async fn a_token_ends_and_says_when() {
    let clock = Standing::new();
    let authenticator = JwtAuthenticator::new(ISSUER.key(), clock.clone()).leeway(Duration::from_secs(10));
    let end = (NOW + 100) * 1_000_000;
    for (exp, until) in [(json!(NOW + 100), end + 10_000_000), (json!(1_800_000_100.25), end + 10_250_000)] {
        clock.set(until - 1);
        let caller = says(&authenticator, json!({"exp": exp})).await.unwrap();
        assert_eq!(caller.until, Some(Timestamp::from_micros(until)));
        for late in [until, until + 1, until * 2] {
            clock.set(late);
            assert_eq!(words(says(&authenticator, json!({"exp": exp})).await), "this token has expired");
        }
    }
    clock.set(NOW * 1_000_000);
    for over in [json!(0), json!(-1), json!(-1e300), json!(NOW - 10)] {
        assert_eq!(words(says(&authenticator, json!({"exp": over})).await), "this token has expired", "{over}");
    }
    for endless in [json!(u64::MAX), json!(1e300)] {
        let caller = says(&authenticator, json!({"exp": endless})).await.unwrap();
        assert_eq!(caller.until, Some(Timestamp::from_micros(u64::MAX)));
    }
}

#[tokio::test]
async fn an_end_is_needed_unless_that_is_turned_off() {
    let unusable = "this token has no claim `exp` that can be used";
    assert_eq!(words(says(&plain(), json!({"exp": null})).await), unusable);
    let endless = plain().without_expiry();
    assert_eq!(says(&endless, json!({"exp": null})).await.unwrap(), Caller::new("ann"));
    assert_eq!(words(says(&endless, json!({"exp": NOW - 60})).await), "this token has expired");
    for wrong in [json!("1800000100"), json!([NOW + 100]), json!(true), json!({})] {
        assert_eq!(words(says(&plain(), json!({"exp": wrong})).await), unusable, "{wrong}");
        assert_eq!(words(says(&endless, json!({"exp": wrong})).await), unusable, "{wrong}");
    }
}

#[tokio::test]
async fn a_token_begins() {
    let clock = Standing::new();
    let authenticator = JwtAuthenticator::new(ISSUER.key(), clock.clone()).leeway(Duration::from_secs(10));
    let begin = json!({"nbf": NOW + 100});
    let first = (NOW + 90) * 1_000_000;
    clock.set(first - 1);
    assert_eq!(words(says(&authenticator, begin.clone()).await), "this token is not valid yet");
    clock.set(first);
    assert!(says(&authenticator, begin).await.is_ok());
    for wrong in [json!("0"), json!([0])] {
        let told = words(says(&authenticator, json!({"nbf": wrong})).await);
        assert_eq!(told, "this token has no claim `nbf` that can be used");
    }
}

#[tokio::test]
async fn an_audience_is_meant() {
    let wrong = "this token is for another audience";
    assert!(says(&plain(), json!({})).await.is_ok());
    assert_eq!(words(says(&plain(), json!({"aud": "bank"})).await), wrong, "whom it is meant for cannot be told");
    let bank = plain().audience("bank").audience("https://bank.example");
    for good in [json!("bank"), json!(["shop", "bank"]), json!(["https://bank.example"])] {
        assert!(says(&bank, json!({"aud": good})).await.is_ok(), "{good}");
    }
    for bad in [
        json!(null),
        json!("Bank"),
        json!("bank "),
        json!("shop bank"),
        json!([]),
        json!(["shop"]),
        json!(["bank", 7]),
        json!({"bank": 1}),
        json!(7),
    ] {
        assert_eq!(words(says(&bank, json!({"aud": bad})).await), wrong, "{bad}");
    }
}

#[tokio::test]
async fn an_issuer_is_believed() {
    let login = plain().issuer("https://login.example").issuer("https://other.example");
    for good in ["https://login.example", "https://other.example"] {
        assert!(says(&login, json!({"iss": good})).await.is_ok());
    }
    for bad in [
        json!(null),
        json!("https://login.example/"),
        json!("https://evil.example"),
        json!(["https://login.example"]),
        json!(""),
    ] {
        assert_eq!(words(says(&login, json!({"iss": bad})).await), "this token is of another issuer", "{bad}");
    }
    assert!(says(&plain(), json!({"iss": "https://evil.example"})).await.is_ok(), "unless it is not asked for");
}

#[tokio::test]
async fn a_token_type_is_meant() {
    let access = plain().token_type("at+jwt");
    let typed = |kind: Value| ISSUER.signed(json!({"typ": kind}), json!({"sub": "ann", "exp": NOW + 60}));
    for good in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        assert!(shown(&access, &typed(json!(good))).await.is_ok(), "{good}");
    }
    for bad in [json!("JWT"), json!(null), json!("id+jwt")] {
        assert_eq!(words(shown(&access, &typed(bad.clone())).await), "this token is of another type", "{bad}");
    }
    assert!(shown(&plain(), &typed(json!("anything"))).await.is_ok());
}

/// What claims say is told to nobody whose token is forged.
#[tokio::test]
async fn words_about_claims_are_for_those_with_a_signature() {
    let stranger = Issuer::of(JwtAlgorithm::HS256, 1);
    let strict = plain().audience("bank").issuer("https://login.example").tenant_from("org");
    let all = [json!({}), json!({"exp": 0}), json!({"aud": "shop"}), json!({"iss": "x"}), json!({"sub": null})];
    let mut heard = BTreeSet::new();
    for claims in all {
        heard.insert(words(shown(&strict, &stranger.token(claims)).await));
    }
    assert_eq!(heard, BTreeSet::from([NOT_OURS.to_owned()]));
}

#[tokio::test]
async fn without_a_bearer_token_nobody_is_known() {
    let none = plain().authenticate(&Credentials::none()).await;
    assert!(matches!(none, Err(AuthenticationError::Missing)), "{none:?}");
    let token = ISSUER.token(json!({}));
    for other in
        [String::new(), token.clone(), format!("Basic {token}"), format!("Bearer{token}"), "Bearer ".to_owned()]
    {
        let told = words(plain().authenticate(&Credentials::new(other)).await);
        assert_eq!(told, "a bearer token is needed");
    }
    assert_eq!(plain().challenge(), "Bearer");
}
