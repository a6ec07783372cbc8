//! An issuer of tokens, made anew for each test run, and a clock that stands.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair as _, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use portolan_jwt::{JwtAlgorithm, JwtAuthenticator, JwtKey, JwtKeys};
use portolan_kernel::ports::{AuthenticationError, Authenticator, Caller, Clock, Credentials};
use portolan_kernel::values::Timestamp;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

/// Seconds since the epoch: the time of every test's clock at first.
pub const NOW: u64 = 1_800_000_000;

pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A clock that stands until it is moved.
#[derive(Debug)]
pub struct Standing(AtomicU64);

impl Standing {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(NOW * 1_000_000)))
    }

    pub fn set(&self, micros: u64) {
        self.0.store(micros, Ordering::SeqCst);
    }
}

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// Whoever signs, under one algorithm.
pub struct Issuer {
    pub algorithm: JwtAlgorithm,
    key: EncodingKey,
    /// The public key in PEM; the secret itself.
    pub shown: Vec<u8>,
    pub private_pem: String,
    /// The key as members of a JWK, without `kid`.
    pub jwk: Value,
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

impl Issuer {
    pub fn secret(algorithm: JwtAlgorithm, secret: &[u8]) -> Self {
        let jwk = json!({"kty": "oct", "alg": algorithm.as_str(), "k": base64url(secret)});
        let key = EncodingKey::from_secret(secret);
        Self { algorithm, key, shown: secret.to_vec(), private_pem: String::new(), jwk }
    }

    /// An RSA key takes long to make, so that each of the first few is made once.
    pub fn rsa(algorithm: JwtAlgorithm, number: usize) -> Self {
        static KEYS: LazyLock<[RsaKeyPair; 2]> =
            LazyLock::new(|| [(); 2].map(|()| RsaKeyPair::generate(KeySize::Rsa2048).unwrap()));
        let pair = &KEYS[number];
        let components = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        let jwk = json!({
            "kty": "RSA", "alg": algorithm.as_str(), "n": base64url(components.n), "e": base64url(components.e),
        });
        let private = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(pair).unwrap();
        let public = AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
        let private_pem = pem("PRIVATE KEY", private.as_ref());
        let key = EncodingKey::from_rsa_pem(private_pem.as_bytes()).unwrap();
        Self { algorithm, key, shown: pem("PUBLIC KEY", public.as_ref()).into_bytes(), private_pem, jwk }
    }

    fn ec(algorithm: JwtAlgorithm, curve: &str, signing: &'static EcdsaSigningAlgorithm) -> Self {
        let pair = EcdsaKeyPair::generate(signing).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at((pair.public_key().as_ref().len() - 1) / 2);
        let jwk = json!({"kty": "EC", "crv": curve, "alg": algorithm.as_str(), "x": base64url(x), "y": base64url(y)});
        let private_pem = pem("PRIVATE KEY", pair.to_pkcs8v1().unwrap().as_ref());
        let public = AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
        let key = EncodingKey::from_ec_pem(private_pem.as_bytes()).unwrap();
        Self { algorithm, key, shown: pem("PUBLIC KEY", public.as_ref()).into_bytes(), private_pem, jwk }
    }

    fn ed25519() -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let x = pair.public_key().as_ref();
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": base64url(x)});
        let private_pem = pem("PRIVATE KEY", pair.to_pkcs8v1().unwrap().as_ref());
        let public = AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
        let key = EncodingKey::from_ed_pem(private_pem.as_bytes()).unwrap();
        let shown = pem("PUBLIC KEY", public.as_ref()).into_bytes();
        Self { algorithm: JwtAlgorithm::EdDSA, key, shown, private_pem, jwk }
    }

    /// One of this algorithm; another key each time, of RSA one of two.
    pub fn of(algorithm: JwtAlgorithm, number: usize) -> Self {
        use JwtAlgorithm::{ES256, ES384, EdDSA, HS256, HS384, HS512};
        match algorithm {
            HS256 | HS384 | HS512 => Self::secret(algorithm, format!("{number}{}", "secret..".repeat(8)).as_bytes()),
            ES256 => Self::ec(algorithm, "P-256", &ECDSA_P256_SHA256_FIXED_SIGNING),
            ES384 => Self::ec(algorithm, "P-384", &ECDSA_P384_SHA384_FIXED_SIGNING),
            EdDSA => Self::ed25519(),
            _ => Self::rsa(algorithm, number),
        }
    }

    /// The key to check with.
    pub fn key(&self) -> JwtKey {
        if self.private_pem.is_empty() {
            JwtKey::secret(self.algorithm, &self.shown).unwrap()
        } else {
            JwtKey::pem(self.algorithm, &self.shown).unwrap()
        }
    }

    /// The key as a JWK with more members, which take the place of those it has.
    pub fn jwk(&self, more: Value) -> Value {
        with(self.jwk.clone(), more)
    }

    /// A token with these claims, and those it needs unless they are there.
    pub fn token(&self, claims: Value) -> String {
        self.signed(json!({}), with(json!({"sub": "ann", "exp": NOW + 3_600}), claims))
    }

    /// A token of this header and these claims alone. Members of the header take the place of those it has; `null`
    /// takes one out.
    pub fn signed(&self, header: Value, claims: Value) -> String {
        let header = with(json!({"alg": self.algorithm.as_str(), "typ": "JWT"}), header);
        self.signed_as_it_stands(&header.to_string(), &claims.to_string())
    }

    /// A token of this text.
    pub fn signed_as_it_stands(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", base64url(header), base64url(claims));
        let algorithm = self.algorithm.as_str().parse().unwrap();
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, algorithm).unwrap();
        format!("{message}.{signature}")
    }
}

/// An object with the members of another over its own; `null` takes a member out.
pub fn with(mut object: Value, more: Value) -> Value {
    let members = object.as_object_mut().unwrap();
    for (name, value) in more.as_object().unwrap() {
        if value.is_null() {
            members.remove(name)
        } else {
            members.insert(name.clone(), value.clone())
        };
    }
    object
}

pub fn authenticator(keys: impl Into<JwtKeys>) -> JwtAuthenticator {
    JwtAuthenticator::new(keys, Standing::new())
}

pub async fn shown(to: &JwtAuthenticator, token: &str) -> Result<Caller, AuthenticationError> {
    to.authenticate(&Credentials::new(format!("Bearer {token}"))).await
}

/// The words of a refusal.
#[track_caller]
pub fn words(answer: Result<Caller, AuthenticationError>) -> String {
    match answer {
        Err(AuthenticationError::Refused(words)) => words.into_owned(),
        other => panic!("not refused: {other:?}"),
    }
}

/// What is said of every token that none of the keys has signed.
pub const NOT_OURS: &str = "this is no token that is accepted here";
