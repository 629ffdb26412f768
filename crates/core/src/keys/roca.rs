//! Rejecting RSA keys of a generator that is broken.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Deserialize;

use crate::keys::{backend::PublicKey, error::KeyError};

/// The odd primes up to 167.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Rejects an RSA key whose modulus has the mark of the generator of ROCA ([CVE-2017-15361]): modulo each small prime
/// it is a power of 65537. A sound key has that mark by chance once in more than 100 million.
///
/// [CVE-2017-15361]: https://crocs.fi.muni.cz/public/papers/rsa_ccs17
pub(super) fn check(key: &dyn PublicKey) -> Result<(), KeyError> {
    #[derive(Deserialize)]
    struct Modulus {
        n: Option<String>,
    }
    let jwk = key.to_jwk("").and_then(|jwk| serde_json::from_str(&jwk).ok());
    let Some(Modulus { n: Some(n) }) = jwk else { return Ok(()) };
    let modulus = Base64UrlUnpadded::decode_vec(&n).unwrap_or_default();
    let is_marked = PRIMES.iter().all(|&prime| is_power_of_65537(remainder(&modulus, prime), prime));
    if is_marked { Err(KeyError::Roca) } else { Ok(()) }
}

fn remainder(number: &[u8], prime: u32) -> u32 {
    number.iter().fold(0, |remainder, &byte| (remainder * 256 + u32::from(byte)) % prime)
}

fn is_power_of_65537(number: u32, prime: u32) -> bool {
    let generator = 65_537 % prime;
    let mut power = 1;
    loop {
        if power == number {
            return true;
        }
        power = power * generator % prime;
        if power == 1 {
            return false;
        }
    }
}
