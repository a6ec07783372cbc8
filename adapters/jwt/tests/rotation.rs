//! Keys from a file that changes.
#![allow(clippy::unwrap_used, clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "these are tests")]
#![allow(unreachable_pub, reason = "a test binary has no one to reach it")]

#[allow(dead_code, reason = "shared with other tests")]
mod support;

use portolan_jwt::{JwksError, JwksFile, JwtAlgorithm, JwtAuthenticator, JwtKeys};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use support::{Issuer, NOT_OURS, NOW, Standing, shown, words};
use tempfile::TempDir;

const ALLOWED: [JwtAlgorithm; 4] = [JwtAlgorithm::ES256, JwtAlgorithm::EdDSA, JwtAlgorithm::RS256, JwtAlgorithm::HS256];

/// A file of keys, an authenticator that goes by it, and what it told.
struct Rotating {
    _dir: TempDir,
    path: PathBuf,
    clock: Arc<Standing>,
    file: JwksFile,
    authenticator: JwtAuthenticator,
    told: Arc<Mutex<Vec<String>>>,
}

fn jwks(keys: &[Value]) -> String {
    json!({"keys": keys}).to_string()
}

impl Rotating {
    fn of(keys: &[Value]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jwks.json");
        fs::write(&path, jwks(keys)).unwrap();
        let (clock, told) = (Standing::new(), Arc::new(Mutex::new(Vec::new())));
        let file = JwksFile::open(&path, ALLOWED).unwrap();
        let hears = told.clone();
        let (name, short) = (path.display().to_string(), "jwks.json");
        file.on_change(move |status| hears.lock().unwrap().push(status.to_string().replace(&name, short)));
        let authenticator = JwtAuthenticator::new(file.clone(), clock.clone());
        Self { _dir: dir, path, clock, file, authenticator, told }
    }

    /// Puts another file in its place.
    fn renamed(&self, text: &str) {
        let beside = self.path.with_extension("new");
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, &self.path).unwrap();
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap())
    }

    async fn takes(&self, issuer: &Issuer) -> bool {
        let token = issuer.signed(json!({"kid": "k"}), json!({"sub": "ann", "exp": NOW + 3_600}));
        match shown(&self.authenticator, &token).await {
            Ok(_) => true,
            refused => {
                assert_eq!(words(refused), NOT_OURS);
                false
            }
        }
    }

    fn later(&self, micros: u64) {
        self.clock.set(portolan_kernel::ports::Clock::now(&*self.clock).as_micros() + micros);
    }
}

fn pair() -> (Issuer, Issuer) {
    (Issuer::of(JwtAlgorithm::ES256, 0), Issuer::of(JwtAlgorithm::ES256, 1))
}

#[tokio::test]
async fn keys_are_replaced_by_a_rename_and_in_place() {
    let (old, new) = pair();
    let rotating = Rotating::of(&[old.jwk(json!({"kid": "k"}))]);
    rotating.file.look_every(Duration::ZERO);
    assert!(rotating.takes(&old).await && !rotating.takes(&new).await);
    assert_eq!(rotating.told(), ["jwks.json: keys in use: 1"]);
    rotating.renamed(&jwks(&[old.jwk(json!({"kid": "k"})), new.jwk(json!({"kid": "k"}))]));
    assert!(rotating.takes(&old).await && rotating.takes(&new).await);
    assert_eq!(rotating.told(), ["jwks.json: keys in use: 2"]);
    // Of the same length, and within the same tick of the file system's clock.
    let (first, second) = (jwks(&[old.jwk(json!({"kid": "k"}))]), jwks(&[new.jwk(json!({"kid": "k"}))]));
    assert_eq!(first.len(), second.len());
    for _ in 0..20 {
        fs::write(&rotating.path, &second).unwrap();
        assert!(rotating.takes(&new).await && !rotating.takes(&old).await);
        fs::write(&rotating.path, &first).unwrap();
        assert!(rotating.takes(&old).await && !rotating.takes(&new).await);
    }
    assert_eq!(rotating.told(), ["jwks.json: keys in use: 1"; 40]);
}

#[tokio::test]
async fn it_is_looked_at_once_a_second() {
    let (old, new) = pair();
    let rotating = Rotating::of(&[old.jwk(json!({"kid": "k"}))]);
    assert!(rotating.takes(&old).await);
    rotating.renamed(&jwks(&[new.jwk(json!({"kid": "k"}))]));
    rotating.later(999_999);
    assert!(rotating.takes(&old).await, "the look of before still counts");
    rotating.later(1);
    assert!(rotating.takes(&new).await && !rotating.takes(&old).await);
    // A clock that was set back, and an operator who does not want to wait.
    rotating.renamed(&jwks(&[old.jwk(json!({"kid": "k"}))]));
    rotating.clock.set((NOW - 600) * 1_000_000);
    assert!(rotating.takes(&old).await);
    rotating.renamed(&jwks(&[new.jwk(json!({"kid": "k"}))]));
    assert!(rotating.takes(&old).await);
    assert_eq!(rotating.file.reload().keys.len(), 1);
    assert!(rotating.takes(&new).await && !rotating.takes(&old).await);
}

#[tokio::test]
async fn a_broken_file_leaves_the_old_keys_and_is_told_once() {
    let (old, new) = pair();
    let rotating = Rotating::of(&[old.jwk(json!({"kid": "k"}))]);
    rotating.file.look_every(Duration::ZERO);
    rotating.told();
    let good = jwks(&[new.jwk(json!({"kid": "k"}))]);
    let private = old.jwk(json!({"kid": "k", "d": "AQAB"}));
    let broken = [
        (good[..good.len() / 2].to_owned(), "this is no set of keys: line 1, column"),
        (String::new(), "this is no set of keys"),
        ("<html>".to_owned(), "line 1, column 1"),
        ("{\"keys\": {}}".to_owned(), "this is no set of keys"),
        ("{\"keys\": []}".to_owned(), "has no key that can be used"),
        (
            jwks(&[json!({"kty": "EC", "crv": "P-521", "kid": "k"})]),
            "keys of the kind \"EC\" \"P-521\" are not known here",
        ),
        (jwks(&[new.jwk(json!({})), private]), "key 2 of the set is a private key"),
        (" ".repeat((1 << 20) + 1), "larger than 1048576 bytes"),
    ];
    for (text, says) in broken {
        fs::write(&rotating.path, &text).unwrap();
        for _ in 0..3 {
            assert!(rotating.takes(&old).await && !rotating.takes(&new).await, "{says}");
        }
        let told = rotating.told();
        assert!(
            matches!(&told[..], [told] if told.contains("keys in use: 1; these are from before") && told.contains(says)),
            "{told:?}"
        );
        let status = rotating.file.status();
        assert!(status.failure.unwrap().to_string().contains(says));
        assert_eq!(status.keys.len(), 1);
    }
    fs::remove_file(&rotating.path).unwrap();
    assert!(rotating.takes(&old).await);
    let failure = rotating.file.status().failure.unwrap();
    assert!(matches!(&*failure, JwksError::Unreadable { source, .. } if source.kind() == std::io::ErrorKind::NotFound));
    rotating.told();
    // What stood before stands again: that is told too, though no key is new.
    fs::write(&rotating.path, jwks(&[old.jwk(json!({"kid": "k"}))])).unwrap();
    assert!(rotating.takes(&old).await);
    assert!(rotating.file.status().failure.is_none());
    assert_eq!(rotating.told(), ["jwks.json: keys in use: 1"]);
    rotating.renamed(&good);
    assert!(rotating.takes(&new).await && !rotating.takes(&old).await);
    assert_eq!(rotating.told(), ["jwks.json: keys in use: 1"]);
}

#[test]
fn a_file_that_is_broken_at_first_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jwks.json");
    let open = || JwksFile::open(&path, ALLOWED).unwrap_err();
    assert!(matches!(open(), JwksError::Unreadable { .. }));
    assert!(open().to_string().contains("jwks.json"));
    fs::write(&path, "[").unwrap();
    assert!(matches!(open(), JwksError::Malformed { line: 1, column: 1 }));
    fs::write(&path, "{\"keys\": []}").unwrap();
    assert!(matches!(open(), JwksError::NoKey(_)));
}

#[test]
fn keys_of_other_kinds_are_left_out_and_told() {
    let (good, rsa) = (Issuer::of(JwtAlgorithm::ES256, 0), Issuer::of(JwtAlgorithm::RS256, 0));
    let p384 = Issuer::of(JwtAlgorithm::ES384, 0);
    let left_out = [
        (json!({"kty": "AKP", "alg": "ML-DSA-44", "kid": "new"}), "keys of the kind \"AKP\" \"\" are not known here"),
        (json!({"kty": "OKP", "crv": "Ed448", "x": "AA"}), "\"Ed448\" are not known here"),
        (json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}), "\"secp256k1\" are not known here"),
        (json!({}), "it has no `kty`"),
        (json!({"kty": 7}), "it has no `kty`"),
        (good.jwk(json!({"use": "enc"})), "its `use` is not `sig`"),
        (good.jwk(json!({"key_ops": ["deriveKey"]})), "its `key_ops` have no `verify`"),
        (good.jwk(json!({"kid": 7})), "its `kid` is no string"),
        (good.jwk(json!({"alg": "ES384"})), "ES384 does not take a key of the kind \"EC\" \"P-256\""),
        (good.jwk(json!({"alg": "HS256"})), "HS256 does not take a key of the kind \"EC\""),
        (good.jwk(json!({"alg": "none"})), "this is no algorithm"),
        (good.jwk(json!({"alg": "ECDH-ES"})), "this is no algorithm"),
        (good.jwk(json!({"y": null})), "it has no `y`"),
        (good.jwk(json!({"x": "AQAB"})), "not as long as the curve has it"),
        (good.jwk(json!({"x": "not base64!"})), "`x` is no base64url"),
        (p384.jwk(json!({})), "ES384 is not among the algorithms that are allowed"),
        (p384.jwk(json!({"alg": null})), "no algorithm for keys of the kind \"EC\" \"P-384\" is allowed"),
        (rsa.jwk(json!({"alg": "PS256"})), "PS256 is not among the algorithms that are allowed"),
        (json!({"kty": "oct", "k": "c2hvcnQ"}), "has 32 bytes at least, and this one has 5"),
    ];
    let mut keys = vec![good.jwk(json!({"kid": "good"}))];
    keys.extend(left_out.iter().map(|(jwk, _)| jwk.clone()));
    let (_, ignored) = JwtKeys::from_jwks(jwks(&keys).as_bytes(), ALLOWED).unwrap();
    assert_eq!(ignored.len(), left_out.len());
    for (number, (ignored, (jwk, why))) in (2..).zip(ignored.iter().zip(&left_out)) {
        assert_eq!(ignored.number, number);
        assert!(ignored.why.contains(why), "{jwk}: {ignored}");
    }
    assert_eq!(ignored[0].to_string(), "key 2 (\"new\"): keys of the kind \"AKP\" \"\" are not known here");
    // The operator hears of it from a file.
    let rotating = Rotating::of(&keys[..2]);
    let told = "jwks.json: keys in use: 1; not used: key 2 (\"new\"): keys of the kind \"AKP\" \"\" are not known here";
    assert_eq!(rotating.told(), [told]);
    assert_eq!(rotating.file.status().ignored.len(), 1);
}

#[test]
fn a_key_without_an_algorithm_has_the_only_one_that_is_allowed() {
    let rsa = Issuer::of(JwtAlgorithm::RS256, 0).jwk(json!({"alg": null}));
    let read =
        |allowed: &[JwtAlgorithm]| JwtKeys::from_jwks(jwks(std::slice::from_ref(&rsa)).as_bytes(), allowed.to_vec());
    assert!(read(&[JwtAlgorithm::RS256, JwtAlgorithm::ES256]).is_ok());
    assert!(read(&[JwtAlgorithm::PS384]).is_ok());
    let error = read(&[JwtAlgorithm::RS256, JwtAlgorithm::PS256]).unwrap_err().to_string();
    assert!(error.contains("it names no `alg`, and several that are allowed would take it"), "{error}");
}

#[tokio::test]
async fn every_kind_of_key_is_read_from_a_set() {
    for algorithm in JwtAlgorithm::ALL {
        let issuer = Issuer::of(algorithm, 0);
        let (keys, ignored) =
            JwtKeys::from_jwks(jwks(&[issuer.jwk(json!({"use": "sig"}))]).as_bytes(), [algorithm]).unwrap();
        assert!(ignored.is_empty());
        let caller = shown(&support::authenticator(keys), &issuer.token(json!({}))).await;
        assert!(caller.is_ok(), "{algorithm}: {caller:?}");
    }
}

#[test]
fn private_keys_are_refused_whatever_they_are_for() {
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth"] {
        let keys = [
            Issuer::of(JwtAlgorithm::ES256, 0).jwk(json!({})),
            json!({"kty": "unheard of", "use": "enc", member: "c2VjcmV0LW9mLXRoZS1rZXk"}),
        ];
        let error = JwtKeys::from_jwks(jwks(&keys).as_bytes(), ALLOWED).unwrap_err();
        assert!(matches!(error, JwksError::Private(2)), "{member}: {error}");
        assert!(!format!("{error} {error:?}").contains("c2Vj"), "{error:?}");
    }
}

/// Nothing of a file that is broken is repeated: it may be a secret in the wrong place.
#[test]
fn errors_repeat_no_secret() {
    let secret = "c2VjcmV0LW9mLXRoZS1rZXk";
    let texts = [
        format!("\"{secret}\""),
        secret.to_owned(),
        format!("{{\"keys\": [\"{secret}\"]}}"),
        jwks(&[json!({"kty": "oct", "k": secret})]),
        jwks(&[json!({"kty": "oct", "alg": "HS256", "k": format!("{secret}!")})]),
    ];
    for text in texts {
        let error = JwtKeys::from_jwks(text.as_bytes(), ALLOWED).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(&secret[..8]), "{error:?}");
    }
}

/// The hook may ask for whatever there is, a look included; and what is told by then is what stands.
#[tokio::test]
async fn a_hook_may_reload() {
    let (old, new) = pair();
    let rotating = Rotating::of(&[old.jwk(json!({"kid": "k"}))]);
    let (file, (tell, told)) = (rotating.file.clone(), mpsc::channel());
    rotating.file.on_change(move |_| tell.send(file.reload().keys.len()).unwrap());
    assert_eq!(told.recv().unwrap(), 1);
    for by_a_request in [false, true] {
        let keys = if by_a_request {
            vec![new.jwk(json!({"kid": "k"}))]
        } else {
            vec![old.jwk(json!({"kid": "k"})), new.jwk(json!({"kid": "l"}))]
        };
        rotating.renamed(&jwks(&keys));
        rotating.later(2_000_000);
        let (file, authenticator, token) =
            (rotating.file.clone(), rotating.authenticator.clone(), new.token(json!({})));
        // On a thread of its own, so that one that hangs is told.
        std::thread::spawn(move || {
            if by_a_request {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                let _ = runtime.block_on(shown(&authenticator, &token));
            } else {
                file.reload();
            }
        });
        assert_eq!(told.recv_timeout(Duration::from_secs(20)), Ok(keys.len()), "by a request: {by_a_request}");
    }
}
