"""PyJWT behind standard input and output: one JSON request a line, one JSON answer a line.

{"do": "algorithms"}                        -> {"ok": true, "algorithms": [...]}
{"do": "generate", "alg": ...}              -> {"ok": true, "private_jwk", "public_jwk", "private_pem", "public_pem"}
{"do": "sign", "claims", "header", "key", "alg"}       -> {"ok": true, "token": ...}
{"do": "verify", "token", "key", "alg", "issuer", "audience"} -> {"ok": true, "claims": ..., "header": ...}
whatever fails                              -> {"ok": false, "error": ...}

A key is {"jwk": {...}}, {"pem": "..."} or, to verify, {"jwks": {"keys": [...]}}. An HMAC key is an `oct` JWK only.
"""

import json
import secrets
import sys

import jwt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding, NoEncryption, PrivateFormat, PublicFormat, load_pem_private_key, load_pem_public_key,
)
from jwt.utils import base64url_decode, base64url_encode


class MlDsa(jwt.algorithms.Algorithm):
    """PyJWT has no ML-DSA of its own. The keys are `AKP` JWKs with the seed as `priv`, as in RFC 9964."""

    def __init__(self, alg):
        self.alg = alg
        name = "MLDSA" + alg.removeprefix("ML-DSA-")
        self.private, self.public = getattr(mldsa, name + "PrivateKey"), getattr(mldsa, name + "PublicKey")

    def prepare_key(self, key):
        if not isinstance(key, (self.private, self.public)):
            raise jwt.InvalidKeyError(f"not a key of {self.alg}")
        return key

    def sign(self, msg, key):
        return key.sign(msg)

    def verify(self, msg, key, sig):
        try:
            (key.public_key() if isinstance(key, self.private) else key).verify(sig, msg)
            return True
        except InvalidSignature:
            return False

    def from_jwk(self, jwk):
        if (jwk.get("kty"), jwk.get("alg")) != ("AKP", self.alg):
            raise jwt.InvalidKeyError(f"not a key of {self.alg}")
        public = self.public.from_public_bytes(base64url_decode(jwk["pub"]))
        if "priv" not in jwk:
            return public
        private = self.private.from_seed_bytes(base64url_decode(jwk["priv"]))
        if private.public_key() != public:
            raise jwt.InvalidKeyError("`priv` and `pub` do not belong together")
        return private

    def to_jwk(self, key, as_dict=False):
        public = key.public_key() if isinstance(key, self.private) else key
        jwk = {"kty": "AKP", "alg": self.alg, "pub": base64url_encode(public.public_bytes_raw()).decode()}
        if public is not key:
            jwk["priv"] = base64url_encode(key.private_bytes_raw()).decode()
        return jwk


GENERATE = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    **dict.fromkeys(["RS256", "RS384", "RS512"], lambda: rsa.generate_private_key(65537, 2048)),
}
for alg in ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"]:
    algorithm = MlDsa(alg)
    jwt.register_algorithm(alg, algorithm)
    GENERATE[alg] = algorithm.private.generate
HMAC_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}


def algorithms():
    return {"algorithms": [*HMAC_BYTES, *GENERATE]}


def generate(alg):
    if alg in HMAC_BYTES:
        secret = base64url_encode(secrets.token_bytes(HMAC_BYTES[alg])).decode()
        return {"private_jwk": {"kty": "oct", "alg": alg, "k": secret}}
    private = GENERATE[alg]()
    public = private.public_key()
    to_jwk = jwt.get_algorithm_by_name(alg).to_jwk
    return {
        "private_jwk": to_jwk(private, as_dict=True),
        "public_jwk": to_jwk(public, as_dict=True),
        "private_pem": private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "public_pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    }


def read_key(key, alg):
    if "jwk" in key:
        return jwt.get_algorithm_by_name(alg).from_jwk(key["jwk"])
    pem = key["pem"].encode()
    return load_pem_private_key(pem, None) if b"PRIVATE KEY" in pem else load_pem_public_key(pem)


def sign(claims, key, alg, header=None):
    return {"token": jwt.encode(claims, read_key(key, alg), alg, headers=header)}


def verify(token, key, alg, issuer=None, audience=None):
    if "jwks" in key:
        key = jwt.PyJWKSet.from_dict(key["jwks"])[jwt.get_unverified_header(token)["kid"]]
    else:
        key = read_key(key, alg)
    found = jwt.decode_complete(token, key, algorithms=[alg], issuer=issuer, audience=audience)
    return {"claims": found["payload"], "header": found["header"]}


DO = {"algorithms": algorithms, "generate": generate, "sign": sign, "verify": verify}
for line in sys.stdin.buffer:
    try:
        request = json.loads(line)
        answer = {"ok": True, **DO[request.pop("do")](**request)}
    except Exception as error:
        answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
