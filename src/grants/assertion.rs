//! `private_key_jwt`: assertions that a key of ours signs (RFC 7523 section 2.2).

use crate::chance;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use scopegate_core::oauth::ClientKey;
use scopegate_core::time::Timestamp;
use serde_json::{Value, json};
use thiserror::Error;

/// How long an assertion is taken; clocks may be a minute apart.
const LIFE: i64 = 5 * 60;

/// A key that signs nothing.
#[derive(Debug, Error)]
pub(super) enum KeyFault {
    /// Not PKCS #8 in PEM.
    #[error("the client's key is no PKCS #8 key in PEM")]
    NoKey,
    /// Neither RSA of 2048 bits or more nor P-256.
    #[error("the client's key is neither RSA of 2048 bits or more nor P-256")]
    Kind,
    /// The signature failed.
    #[error("the client's key does not sign")]
    Signing,
}

enum Signer {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
}

/// A new assertion that `client_id` is us, for the endpoint `audience`.
pub(super) fn assertion(key: &ClientKey, client_id: &str, audience: &str, now: Timestamp) -> Result<String, KeyFault> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(key.pem.reveal().as_bytes()).map_err(|_| KeyFault::NoKey)?;
    let signer = Signer::of(der.secret_pkcs8_der())?;
    let mut header = json!({"alg": signer.algorithm(), "typ": "JWT"});
    if let (Some(header), Some(id)) = (header.as_object_mut(), &key.id) {
        header.insert("kid".into(), id.as_str().into());
    }
    let issued = now.millis() / 1000;
    let claims = json!({
        "iss": client_id, "sub": client_id, "aud": audience, "iat": issued, "exp": issued + LIFE, "jti": hex::encode(chance::bytes::<16>()),
    });
    let text = format!("{}.{}", encoded(&header), encoded(&claims));
    let signature = signer.sign(text.as_bytes())?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

impl Signer {
    fn of(der: &[u8]) -> Result<Self, KeyFault> {
        let ecdsa = || EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map(Self::Ecdsa);
        RsaKeyPair::from_pkcs8(der).map(Self::Rsa).or_else(|_| ecdsa()).map_err(|_| KeyFault::Kind)
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ecdsa(_) => "ES256",
        }
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, KeyFault> {
        let random = chance::generator();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature).map_err(|_| KeyFault::Signing)?;
                Ok(signature)
            }
            Self::Ecdsa(pair) => pair.sign(&random, text).map(|signature| signature.as_ref().to_vec()).map_err(|_| KeyFault::Signing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, KeyPair, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm};
    use base64::engine::general_purpose::STANDARD;
    use scopegate_core::secret::ClientSecret;

    fn key(der: &[u8]) -> ClientKey {
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der));
        ClientKey { pem: ClientSecret::new(pem), id: Some("k1".into()) }
    }

    fn checked(der: &[u8], algorithm: &'static str, verifier: &'static dyn VerificationAlgorithm, public: &[u8]) {
        let made = assertion(&key(der), "me", "https://login.example/token", Timestamp::from_millis(1_800_000_000_000)).unwrap();
        let parts: Vec<_> = made.split('.').collect();
        let [header, claims, signature] = parts.as_slice() else { panic!("three parts: {made}") };
        let read = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(read(header), json!({"alg": algorithm, "typ": "JWT", "kid": "k1"}));
        let mut claims_read = read(claims);
        assert_eq!(claims_read.as_object_mut().unwrap().remove("jti").unwrap().as_str().unwrap().len(), 32);
        let expected = json!({"iss": "me", "sub": "me", "aud": "https://login.example/token", "iat": 1_800_000_000, "exp": 1_800_000_300});
        assert_eq!(claims_read, expected);
        let text = format!("{header}.{claims}");
        UnparsedPublicKey::new(verifier, public).verify(text.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    }

    #[test]
    fn an_assertion_says_who_we_are_and_its_signature_holds() {
        let ecdsa = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        checked(ecdsa.to_pkcs8v1().unwrap().as_ref(), "ES256", &ECDSA_P256_SHA256_FIXED, ecdsa.public_key().as_ref());
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = rsa.as_der().unwrap();
        checked(der.as_ref(), "RS256", &RSA_PKCS1_2048_8192_SHA256, rsa.public_key().as_ref());
    }

    #[test]
    fn what_is_no_key_is_said_so() {
        for pem in ["", "no pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            let key = ClientKey { pem: ClientSecret::new(pem.into()), id: None };
            assert!(assertion(&key, "me", "x", Timestamp::default()).is_err(), "{pem}");
        }
    }
}
