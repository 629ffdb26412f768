//! What the signing library can do with each kind of key, under two traits.

use std::sync::Arc;

use hmac::Hmac;
use jwt_simple::{
    Error,
    prelude::{
        ECDSAP256KeyPairLike, ECDSAP256PublicKeyLike, ECDSAP384KeyPairLike, ECDSAP384PublicKeyLike, ES256KeyPair,
        ES256PublicKey, ES384KeyPair, ES384PublicKey, Ed25519KeyPair, Ed25519PublicKey, EdDSAKeyPairLike,
        EdDSAPublicKeyLike, HS256Key, HS384Key, HS512Key, JWTClaims, MACLike, MLDSA44KeyPair, MLDSA44PublicKey,
        MLDSA65KeyPair, MLDSA65PublicKey, MLDSA87KeyPair, MLDSA87PublicKey, MLDSAKeyPairLike, MLDSAPublicKeyLike,
        NoCustomClaims, RS256KeyPair, RS256PublicKey, RS384KeyPair, RS384PublicKey, RS512KeyPair, RS512PublicKey,
        RSAKeyPairLike, RSAPublicKeyLike, VerificationOptions,
    },
};
use serde_json::{Map, Value};
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use crate::keys::{Algorithm, error::SignatureError, symmetric};

/// The longest JWK that the signing library reads.
pub(super) const MAX_JWK_BYTES: usize = 8192;

/// A key that signs.
pub(super) trait PrivateKey: Send + Sync {
    /// The algorithm, which the key fixes.
    fn algorithm(&self) -> Algorithm;
    /// The same key under another name: the `kid` that [`sign`](Self::sign) writes.
    fn named(&self, key_id: &str) -> Result<Arc<dyn PrivateKey>, Error>;
    /// The key that verifies what this one has signed.
    fn public(&self) -> Arc<dyn PublicKey>;
    /// Signs claims as a JWT in compact form.
    fn sign(&self, claims: JWTClaims<Map<String, Value>>) -> Result<String, Error>;
    /// As a private JWK.
    fn to_jwk(&self) -> Zeroizing<String>;
    /// As PKCS #8 in PEM; `None` for kinds of keys that are not written so.
    fn to_pem(&self) -> Result<Option<Zeroizing<String>>, Error>;
}

/// A key that verifies.
pub(super) trait PublicKey: Send + Sync {
    /// The algorithm, which the key fixes.
    fn algorithm(&self) -> Algorithm;
    /// The JWK thumbprint (RFC 7638).
    fn thumbprint(&self) -> String;
    /// Verifies the signature of a JWT whose header has been judged. Of HMAC nothing else; otherwise also what
    /// `options` ask for.
    fn verify(&self, token: &str, options: VerificationOptions) -> Result<(), SignatureError>;
    /// As a public JWK with the name `key_id`; `None` for a symmetric key, which has no public form.
    fn to_jwk(&self, key_id: &str) -> Option<String>;
    /// A symmetric key as a JWK with the name `key_id`, which is secret; `None` for a public key.
    fn to_secret_jwk(&self, _: &str) -> Option<Zeroizing<String>> {
        None
    }
    /// As SPKI in PEM; `None` for kinds of keys that are not written so.
    fn to_pem(&self) -> Result<Option<String>, Error>;
}

/// A key that was read, and the `kid` that it came with.
pub(super) struct ParsedKey<T: ?Sized> {
    pub(super) key: Arc<T>,
    pub(super) key_id: Option<String>,
}

pub(super) type ReadPrivate = Result<ParsedKey<dyn PrivateKey>, Error>;
pub(super) type ReadPublic = Result<ParsedKey<dyn PublicKey>, Error>;

macro_rules! symmetric_keys {
    ($($algorithm:ident $key:ident $hash:ident)*) => {
        $(
            impl PrivateKey for $key {
                fn algorithm(&self) -> Algorithm {
                    Algorithm::$algorithm
                }

                fn named(&self, key_id: &str) -> Result<Arc<dyn PrivateKey>, Error> {
                    Ok(Arc::new(self.clone().with_key_id(key_id)))
                }

                fn public(&self) -> Arc<dyn PublicKey> {
                    Arc::new(self.clone())
                }

                fn sign(&self, claims: JWTClaims<Map<String, Value>>) -> Result<String, Error> {
                    self.authenticate(claims)
                }

                fn to_jwk(&self) -> Zeroizing<String> {
                    symmetric::to_jwk(Algorithm::$algorithm, self.key().as_ref(), self.key_id().as_deref())
                }

                fn to_pem(&self) -> Result<Option<Zeroizing<String>>, Error> {
                    Ok(None)
                }
            }

            impl PublicKey for $key {
                fn algorithm(&self) -> Algorithm {
                    Algorithm::$algorithm
                }

                fn thumbprint(&self) -> String {
                    symmetric::thumbprint(self.key().as_ref())
                }

                fn verify(&self, token: &str, _: VerificationOptions) -> Result<(), SignatureError> {
                    symmetric::verify::<Hmac<$hash>>(self.key().as_ref(), token)
                }

                fn to_jwk(&self, _: &str) -> Option<String> {
                    None
                }

                fn to_secret_jwk(&self, key_id: &str) -> Option<Zeroizing<String>> {
                    Some(symmetric::to_jwk(Algorithm::$algorithm, self.key().as_ref(), Some(key_id)))
                }

                fn to_pem(&self) -> Result<Option<String>, Error> {
                    Ok(None)
                }
            }
        )*
    };
}

symmetric_keys! {
    Hs256 HS256Key Sha256
    Hs384 HS384Key Sha384
    Hs512 HS512Key Sha512
}

/// `copy` makes a second key out of the first, and `pem` writes one: the library has several ways to do so.
macro_rules! key_pairs {
    ($($algorithm:ident $private:ident $public:ident copy $copy:expr, pem $private_pem:expr, $public_pem:expr;)*) => {
        $(
            impl PrivateKey for $private {
                fn algorithm(&self) -> Algorithm {
                    Algorithm::$algorithm
                }

                fn named(&self, key_id: &str) -> Result<Arc<dyn PrivateKey>, Error> {
                    let copy: fn(&Self) -> Result<Self, Error> = $copy;
                    Ok(Arc::new(copy(self)?.with_key_id(key_id)))
                }

                fn public(&self) -> Arc<dyn PublicKey> {
                    Arc::new(self.public_key())
                }

                fn sign(&self, claims: JWTClaims<Map<String, Value>>) -> Result<String, Error> {
                    self.sign_with_options(claims, &Default::default())
                }

                fn to_jwk(&self) -> Zeroizing<String> {
                    Zeroizing::new($private::to_jwk(self))
                }

                fn to_pem(&self) -> Result<Option<Zeroizing<String>>, Error> {
                    let pem: fn(&Self) -> Result<Option<Zeroizing<String>>, Error> = $private_pem;
                    pem(self)
                }
            }

            impl PublicKey for $public {
                fn algorithm(&self) -> Algorithm {
                    Algorithm::$algorithm
                }

                fn thumbprint(&self) -> String {
                    self.jwk_thumbprint()
                }

                fn verify(&self, token: &str, options: VerificationOptions) -> Result<(), SignatureError> {
                    Ok(self.verify_token::<NoCustomClaims>(token, Some(options)).map(drop)?)
                }

                fn to_jwk(&self, key_id: &str) -> Option<String> {
                    Some($public::to_jwk(&self.clone().with_key_id(key_id)))
                }

                fn to_pem(&self) -> Result<Option<String>, Error> {
                    let pem: fn(&Self) -> Result<Option<String>, Error> = $public_pem;
                    pem(self)
                }
            }
        )*
    };
}

key_pairs! {
    Es256 ES256KeyPair ES256PublicKey
        copy |key| Self::from_bytes(&Zeroizing::new(key.to_bytes())), pem |key| secret_pem(key.to_pem()), |key| key.to_pem().map(Some);
    Es384 ES384KeyPair ES384PublicKey
        copy |key| Self::from_bytes(&Zeroizing::new(key.to_bytes())), pem |key| secret_pem(key.to_pem()), |key| key.to_pem().map(Some);
    EdDsa Ed25519KeyPair Ed25519PublicKey
        copy |key| Ok(key.clone()), pem |key| Ok(Some(first_pem(Zeroizing::new(key.to_pem())))), |key| Ok(Some(key.to_pem()));
    Rs256 RS256KeyPair RS256PublicKey
        copy |key| Ok(key.clone()), pem |key| secret_pem(key.to_pem()), |key| key.to_pem().map(Some);
    Rs384 RS384KeyPair RS384PublicKey
        copy |key| Ok(key.clone()), pem |key| secret_pem(key.to_pem()), |key| key.to_pem().map(Some);
    Rs512 RS512KeyPair RS512PublicKey
        copy |key| Ok(key.clone()), pem |key| secret_pem(key.to_pem()), |key| key.to_pem().map(Some);
    MlDsa44 MLDSA44KeyPair MLDSA44PublicKey
        copy |key| Ok(key.clone()), pem |_| Ok(None), |_| Ok(None);
    MlDsa65 MLDSA65KeyPair MLDSA65PublicKey
        copy |key| Ok(key.clone()), pem |_| Ok(None), |_| Ok(None);
    MlDsa87 MLDSA87KeyPair MLDSA87PublicKey
        copy |key| Ok(key.clone()), pem |_| Ok(None), |_| Ok(None);
}

fn secret_pem(pem: Result<String, Error>) -> Result<Option<Zeroizing<String>>, Error> {
    pem.map(|pem| Some(Zeroizing::new(pem)))
}

/// The first of the two blocks that the library writes: the private key, without the public one behind it.
fn first_pem(pem: Zeroizing<String>) -> Zeroizing<String> {
    const END: &str = "-----END PRIVATE KEY-----\n";
    match pem.find(END) {
        Some(position) => Zeroizing::new(pem[..position + END.len()].to_owned()),
        None => pem,
    }
}

/// Calls one constructor of the library's type for `algorithm`; `None` if that type has no such constructor.
macro_rules! read {
    ($algorithm:expr, $constructor:ident($input:expr) gives $trait:ident of $($variant:ident $key:ident)*) => {
        match $algorithm {
            $(Algorithm::$variant => Some($key::$constructor($input).map(|key| ParsedKey {
                key_id: key.key_id().clone(),
                key: Arc::new(key) as Arc<dyn $trait>,
            })),)*
            _ => None,
        }
    };
}

/// Reads PKCS #8 of version 1 in DER, and PKCS #1 for RSA.
pub(super) fn private_from_der(algorithm: Algorithm, der: &[u8]) -> Option<ReadPrivate> {
    read!(algorithm, from_der(der) gives PrivateKey of Es256 ES256KeyPair Es384 ES384KeyPair EdDsa Ed25519KeyPair
        Rs256 RS256KeyPair Rs384 RS384KeyPair Rs512 RS512KeyPair)
}

/// Reads the private scalar (ECDSA), the seed and the public key (Ed25519), or the seed (ML-DSA).
pub(super) fn private_from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Option<ReadPrivate> {
    read!(algorithm, from_bytes(bytes) gives PrivateKey of Es256 ES256KeyPair Es384 ES384KeyPair EdDsa Ed25519KeyPair
        MlDsa44 MLDSA44KeyPair MlDsa65 MLDSA65KeyPair MlDsa87 MLDSA87KeyPair)
}

/// Reads a private JWK.
pub(super) fn private_from_jwk(algorithm: Algorithm, jwk: &str) -> Option<ReadPrivate> {
    read!(algorithm, from_jwk(jwk) gives PrivateKey of Es256 ES256KeyPair Es384 ES384KeyPair EdDsa Ed25519KeyPair
        Rs256 RS256KeyPair Rs384 RS384KeyPair Rs512 RS512KeyPair
        MlDsa44 MLDSA44KeyPair MlDsa65 MLDSA65KeyPair MlDsa87 MLDSA87KeyPair)
}

/// Reads SPKI in DER, and PKCS #1 for RSA.
pub(super) fn public_from_der(algorithm: Algorithm, der: &[u8]) -> Option<ReadPublic> {
    read!(algorithm, from_der(der) gives PublicKey of Es256 ES256PublicKey Es384 ES384PublicKey EdDsa Ed25519PublicKey
        Rs256 RS256PublicKey Rs384 RS384PublicKey Rs512 RS512PublicKey)
}

/// Reads a point in SEC 1 form (ECDSA) or the public key itself.
pub(super) fn public_from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Option<ReadPublic> {
    read!(algorithm, from_bytes(bytes) gives PublicKey of Es256 ES256PublicKey Es384 ES384PublicKey EdDsa Ed25519PublicKey
        MlDsa44 MLDSA44PublicKey MlDsa65 MLDSA65PublicKey MlDsa87 MLDSA87PublicKey)
}

/// Reads a public JWK.
pub(super) fn public_from_jwk(algorithm: Algorithm, jwk: &str) -> Option<ReadPublic> {
    read!(algorithm, from_jwk(jwk) gives PublicKey of Es256 ES256PublicKey Es384 ES384PublicKey EdDsa Ed25519PublicKey
        Rs256 RS256PublicKey Rs384 RS384PublicKey Rs512 RS512PublicKey
        MlDsa44 MLDSA44PublicKey MlDsa65 MLDSA65PublicKey MlDsa87 MLDSA87PublicKey)
}

/// The key of HMAC, which is long enough.
pub(super) fn symmetric(algorithm: Algorithm, bytes: &[u8]) -> Option<Arc<dyn PrivateKey>> {
    Some(match algorithm {
        Algorithm::Hs256 => Arc::new(HS256Key::from_bytes(bytes)),
        Algorithm::Hs384 => Arc::new(HS384Key::from_bytes(bytes)),
        Algorithm::Hs512 => Arc::new(HS512Key::from_bytes(bytes)),
        _ => return None,
    })
}

/// A new key pair; `None` for HMAC.
pub(super) fn generate(algorithm: Algorithm) -> Option<Result<Arc<dyn PrivateKey>, Error>> {
    /// 128 bits of security (NIST SP 800-57), as the other algorithms have.
    const RSA_BITS: usize = 3072;
    fn shared<K: PrivateKey + 'static>(key: K) -> Arc<dyn PrivateKey> {
        Arc::new(key)
    }
    Some(match algorithm {
        Algorithm::Es256 => Ok(shared(ES256KeyPair::generate())),
        Algorithm::Es384 => Ok(shared(ES384KeyPair::generate())),
        Algorithm::EdDsa => Ok(shared(Ed25519KeyPair::generate())),
        Algorithm::Rs256 => RS256KeyPair::generate(RSA_BITS).map(shared),
        Algorithm::Rs384 => RS384KeyPair::generate(RSA_BITS).map(shared),
        Algorithm::Rs512 => RS512KeyPair::generate(RSA_BITS).map(shared),
        Algorithm::MlDsa44 => Ok(shared(MLDSA44KeyPair::generate())),
        Algorithm::MlDsa65 => Ok(shared(MLDSA65KeyPair::generate())),
        Algorithm::MlDsa87 => Ok(shared(MLDSA87KeyPair::generate())),
        Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => return None,
    })
}
