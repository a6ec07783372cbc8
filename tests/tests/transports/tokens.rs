//! Signed tokens, judged over every wire as in process.

use super::application::application;
use super::outcome::stream;
use super::wires::Wire;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use portolan::application::{Admission, Runtime};
use portolan::jwt::{JwtAlgorithm, JwtAuthenticator, JwtKey};
use portolan::ports::Body;
use portolan::prelude::*;
use portolan::values::{Format, Read};
use rstest::rstest;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

const SECRET: &[u8] = b"a secret of this test, and of nobody else";

/// Seconds since the epoch, so many from now.
fn in_seconds(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now).unwrap() + seconds
}

fn of(subject: &str, expires: i64) -> Value {
    json!({"sub": subject, "aud": "jars", "exp": in_seconds(expires)})
}

fn signed(claims: &Value, algorithm: Algorithm, secret: &[u8]) -> String {
    let token = encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret)).unwrap();
    format!("Bearer {token}")
}

fn admission() -> Admission {
    let key = JwtKey::secret(JwtAlgorithm::HS256, SECRET).unwrap();
    Admission::by(JwtAuthenticator::new(key, Runtime::tokio().clock).audience("jars"))
}

#[rstest]
#[case::good(Some(signed(&of("ann", 3_600), Algorithm::HS256, SECRET)), None)]
#[case::forged(Some(signed(&of("ann", 3_600), Algorithm::HS256, b"another secret, as long as the first one")), Some("not accepted"))]
#[case::of_another_algorithm(Some(signed(&of("ann", 3_600), Algorithm::HS384, SECRET)), Some("not accepted"))]
#[case::expired(Some(signed(&of("ann", -3_600), Algorithm::HS256, SECRET)), Some("expired"))]
#[case::for_others(Some(signed(&json!({"sub": "ann", "exp": in_seconds(60)}), Algorithm::HS256, SECRET)), Some("not accepted"))]
#[case::none(None, Some("credentials are needed"))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_judged_alike(#[case] shown: Option<String>, #[case] refused: Option<&str>) {
    for wire in Wire::ALL {
        let application = application().await;
        let opened = wire.open_to(application.ports(), admission(), shown.clone()).await;
        match (opened, refused) {
            (Ok(ports), None) => {
                let body = Body::Encoded(json!({"jar": "new", "coins": 1, "by": "x"}).to_string().into(), Format::Json);
                let mut fill = CommandEnvelope::new("fill-jar".parse().unwrap(), body);
                fill.metadata.actor = Some("eve".into());
                ports.commands.dispatch(fill).await.unwrap();
                let page = application.ports().events.read(Read::stream(stream("jar-new"))).await.unwrap();
                assert_eq!(Metadata::decode(&page.events[0].metadata).actor.as_deref(), Some("ann"), "{wire:?}");
            }
            (Err(error), Some(words)) => assert!(error.to_string().contains(words), "{wire:?}: {error}"),
            (Ok(_), Some(_)) => panic!("it is let in over {wire:?}"),
            (Err(error), None) => panic!("it is refused over {wire:?}: {error}"),
        }
    }
}
