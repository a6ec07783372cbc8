//! Which signatures count, and under which key.
#![allow(clippy::unwrap_used, clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "these are tests")]
#![allow(unreachable_pub, reason = "a test binary has no one to reach it")]

#[allow(dead_code, reason = "shared with other tests")]
mod support;

use portolan_jwt::{JwtAlgorithm, JwtKey, JwtKeyError, JwtKeys};
use serde_json::{Value, json};
use support::{Issuer, NOT_OURS, NOW, authenticator, base64url, shown, words};

#[tokio::test]
async fn each_algorithm_takes_its_own_and_nothing_forged() {
    for algorithm in JwtAlgorithm::ALL {
        let (issuer, stranger) = (Issuer::of(algorithm, 0), Issuer::of(algorithm, 1));
        let authenticator = authenticator(issuer.key());
        let token = issuer.token(json!({}));
        let caller = shown(&authenticator, &token).await.unwrap_or_else(|error| panic!("{algorithm}: {error}"));
        assert_eq!(caller.actor.as_deref(), Some("ann"), "{algorithm}");
        let forged = [
            stranger.token(json!({})),
            format!("{}.{}", token.rsplit_once('.').unwrap().0, stranger.token(json!({})).rsplit_once('.').unwrap().1),
            format!("{}.", token.rsplit_once('.').unwrap().0),
            format!("{}.AAAA", token.rsplit_once('.').unwrap().0),
        ];
        for forged in forged {
            assert_eq!(words(shown(&authenticator, &forged).await), NOT_OURS, "{algorithm}: {forged}");
        }
    }
}

/// Every algorithm's token, under every other algorithm's key.
#[tokio::test]
async fn the_algorithm_of_the_key_decides() {
    let issuers: Vec<_> = JwtAlgorithm::ALL.into_iter().map(|algorithm| Issuer::of(algorithm, 0)).collect();
    for checks in &issuers {
        let authenticator = authenticator(checks.key());
        for signs in issuers.iter().filter(|signs| signs.algorithm != checks.algorithm) {
            // Also where the key is the very same, as of RS256 and PS256, and where the header says the other's name.
            let said = signs.token(json!({}));
            let claimed =
                signs.signed(json!({"alg": checks.algorithm.as_str()}), json!({"sub": "ann", "exp": NOW + 60}));
            // And where the signature is right, and the header names another algorithm.
            let lied = checks.signed(json!({"alg": signs.algorithm.as_str()}), json!({"sub": "ann", "exp": NOW + 60}));
            for token in [said, claimed, lied] {
                let told = words(shown(&authenticator, &token).await);
                assert_eq!(told, NOT_OURS, "{} under {}", signs.algorithm, checks.algorithm);
            }
        }
    }
}

/// The known attack: what everybody has of an RSA key, taken for a secret.
#[tokio::test]
async fn a_public_key_is_no_secret() {
    for public in [JwtAlgorithm::RS256, JwtAlgorithm::PS512, JwtAlgorithm::ES256, JwtAlgorithm::EdDSA] {
        let issuer = Issuer::of(public, 0);
        let authenticator = authenticator(issuer.key());
        let without_end = issuer.shown.trim_ascii_end().to_vec();
        for hmac in [JwtAlgorithm::HS256, JwtAlgorithm::HS384, JwtAlgorithm::HS512] {
            for secret in [&issuer.shown, &without_end] {
                let forged = Issuer::secret(hmac, secret).token(json!({}));
                assert_eq!(words(shown(&authenticator, &forged).await), NOT_OURS, "{public} as a secret of {hmac}");
            }
        }
        // Nor can it be made one by a mistake of whoever configures.
        let mistaken = JwtKey::secret(JwtAlgorithm::HS256, &issuer.shown).unwrap_err();
        assert_eq!(mistaken, JwtKeyError::WrongKind(JwtAlgorithm::HS256));
    }
}

#[tokio::test]
async fn none_is_no_algorithm() {
    let issuer = Issuer::of(JwtAlgorithm::HS256, 0);
    let authenticator = authenticator(issuer.key());
    let claims = base64url(json!({"sub": "ann", "exp": NOW + 60}).to_string());
    for none in ["none", "None", "NONE", "nOnE", "", "HS", "hs256", "HS256 "] {
        let header = base64url(json!({"alg": none, "typ": "JWT"}).to_string());
        let signed = issuer.signed(json!({"alg": none}), json!({"sub": "ann", "exp": NOW + 60}));
        for token in [format!("{header}.{claims}."), format!("{header}.{claims}"), signed] {
            assert_eq!(words(shown(&authenticator, &token).await), NOT_OURS, "{none:?}");
        }
    }
}

#[tokio::test]
async fn what_a_header_offers_is_not_believed() {
    let (issuer, stranger) = (Issuer::of(JwtAlgorithm::ES256, 0), Issuer::of(JwtAlgorithm::ES256, 1));
    let authenticator = authenticator(issuer.key());
    let claims = || json!({"sub": "ann", "exp": NOW + 60});
    let offered = [
        json!({"jwk": stranger.jwk}),
        json!({"jku": "https://evil.example/keys.json"}),
        json!({"x5u": "https://evil.example/keys.pem"}),
        json!({"x5c": [base64url("certificate")]}),
    ];
    for header in offered {
        assert_eq!(
            words(shown(&authenticator, &stranger.signed(header.clone(), claims())).await),
            NOT_OURS,
            "{header}"
        );
        assert!(shown(&authenticator, &issuer.signed(header, claims())).await.is_ok(), "it does no harm either");
    }
    // What must be understood is not.
    for header in [json!({"crit": ["exp"]}), json!({"crit": ["b64"], "b64": false}), json!({"crit": []})] {
        assert_eq!(words(shown(&authenticator, &issuer.signed(header.clone(), claims())).await), NOT_OURS, "{header}");
    }
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let issuer = Issuer::of(JwtAlgorithm::HS256, 0);
    let authenticator = authenticator(issuer.key());
    let claims = json!({"sub": "ann", "exp": NOW + 60}).to_string();
    let header = json!({"alg": "HS256"}).to_string();
    assert!(shown(&authenticator, &issuer.signed_as_it_stands(&header, &claims)).await.is_ok());
    let signed = [
        issuer.signed_as_it_stands("", &claims),
        issuer.signed_as_it_stands("[]", &claims),
        issuer.signed_as_it_stands("{}", &claims),
        issuer.signed_as_it_stands(r#"{"alg":["HS256"]}"#, &claims),
        issuer.signed_as_it_stands(r#"{"alg":"none","alg":"HS256"}"#, &claims),
        issuer.signed_as_it_stands(r#"{"alg":"HS256","kid":7}"#, &claims),
        issuer.signed_as_it_stands(&"[".repeat(5_000), &claims),
        issuer.signed_as_it_stands(&header, ""),
        issuer.signed_as_it_stands(&header, "7"),
        issuer.signed_as_it_stands(&header, "[]"),
        issuer.signed_as_it_stands(&header, &format!("{{\"a\":{}", "[".repeat(5_000))),
        issuer.signed_as_it_stands(&header, &claims) + ".more",
    ];
    for token in signed {
        assert_eq!(words(shown(&authenticator, &token).await), NOT_OURS, "{token}");
    }
}

#[tokio::test]
async fn a_giant_token_is_not_looked_at() {
    let issuer = Issuer::of(JwtAlgorithm::HS256, 0);
    let authenticator = authenticator(issuer.key());
    let of_size = |bytes: usize| issuer.token(json!({"more": "x".repeat(bytes)}));
    assert!(shown(&authenticator, &of_size(10_000)).await.is_ok());
    for bytes in [13_000, 1 << 24] {
        assert_eq!(words(shown(&authenticator, &of_size(bytes)).await), NOT_OURS);
    }
}

#[tokio::test]
async fn a_kid_chooses_among_keys() {
    let (one, two, three) =
        (Issuer::of(JwtAlgorithm::ES256, 0), Issuer::of(JwtAlgorithm::ES256, 1), Issuer::of(JwtAlgorithm::ES256, 2));
    let keys = [one.key().with_id("one"), two.key().with_id("two"), three.key()];
    let authenticator = authenticator(JwtKeys::from_iter(keys));
    let named =
        |issuer: &Issuer, kid: Value| issuer.signed(json!({"kid": kid}), json!({"sub": "ann", "exp": NOW + 60}));
    for good in [
        named(&one, json!("one")),
        named(&two, json!("two")),
        // Without a name, all keys of the algorithm are tried.
        named(&one, Value::Null),
        named(&two, Value::Null),
        // A key without a name is tried for all names.
        named(&three, json!("one")),
        named(&three, json!("unheard of")),
        named(&three, Value::Null),
    ] {
        assert!(shown(&authenticator, &good).await.is_ok(), "{good}");
    }
    for wrong in ["two", "ONE", "", "one ", "unheard of", "../one"] {
        assert_eq!(words(shown(&authenticator, &named(&one, json!(wrong))).await), NOT_OURS, "{wrong:?}");
    }
}

#[test]
fn a_key_that_cannot_be_one_is_told() {
    let issuer = |algorithm| Issuer::of(algorithm, 0);
    for (algorithm, least) in [(JwtAlgorithm::HS256, 32), (JwtAlgorithm::HS384, 48), (JwtAlgorithm::HS512, 64)] {
        let short = JwtKey::secret(algorithm, &vec![7; least - 1]).unwrap_err();
        assert_eq!(short, JwtKeyError::ShortSecret { algorithm, least, found: least - 1 });
        assert!(JwtKey::secret(algorithm, &vec![7; least]).is_ok());
    }
    assert!(matches!(JwtKey::secret(JwtAlgorithm::RS256, &[7; 64]), Err(JwtKeyError::WrongKind(_))));
    for algorithm in JwtAlgorithm::ALL {
        for other in JwtAlgorithm::ALL {
            let of_rsa = |it: JwtAlgorithm| it.as_str().starts_with(['R', 'P']);
            let of_one_kind = algorithm == other || of_rsa(algorithm) && of_rsa(other);
            let shown = issuer(algorithm).shown;
            let taken = JwtKey::pem(other, &shown);
            let secret = algorithm.as_str().starts_with('H');
            assert_eq!(taken.is_ok(), of_one_kind && !secret, "{algorithm} for {other}: {taken:?}");
        }
    }
    for algorithm in [JwtAlgorithm::RS256, JwtAlgorithm::ES256, JwtAlgorithm::EdDSA] {
        let issuer = issuer(algorithm);
        assert_eq!(JwtKey::pem(algorithm, issuer.private_pem.as_bytes()).unwrap_err(), JwtKeyError::Private);
        let both = [issuer.shown.clone(), issuer.private_pem.clone().into_bytes()].concat();
        assert_eq!(JwtKey::pem(algorithm, &both).unwrap_err(), JwtKeyError::Private);
        let twice = [issuer.shown.clone(), issuer.shown.clone()].concat();
        let (cut, certificate) = (&issuer.shown[..80], String::from_utf8(issuer.shown.clone()).unwrap());
        let certificate = certificate.replace("PUBLIC KEY", "CERTIFICATE");
        for bad in [&twice[..], cut, certificate.as_bytes(), b"", b"\xff", b"-----BEGIN PUBLIC KEY-----"] {
            assert!(JwtKey::pem(algorithm, bad).is_err());
        }
    }
}

#[test]
fn weak_keys_of_rsa_are_refused() {
    let rsa = |bytes: usize| json!({"keys": [{"kty": "RSA", "alg": "RS256", "n": base64url(vec![0xc3; bytes]), "e": "AQAB"}]});
    let read = |jwks: Value| JwtKeys::from_jwks(jwks.to_string().as_bytes(), [JwtAlgorithm::RS256]);
    assert!(read(rsa(256)).is_ok());
    for bytes in [0, 1, 128, 255, 1025] {
        let error = read(rsa(bytes)).unwrap_err().to_string();
        assert!(error.contains("2048 to 8192 bits"), "{bytes}: {error}");
    }
}

#[test]
fn no_secret_is_shown() {
    let issuer = Issuer::of(JwtAlgorithm::HS256, 0);
    let authenticator = authenticator(issuer.key().with_id("2026-11"));
    let shown = format!("{authenticator:?} {:?}", issuer.key());
    assert!(shown.contains("2026-11") && !shown.contains("secret..") && !shown.contains("115"), "{shown}");
}
