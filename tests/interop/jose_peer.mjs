// The npm package `jose` behind standard input and output. The requests and answers are those of `pyjwt_peer.py`, and
// {"do": "thumbprint", "jwk": {...}} -> {"ok": true, "thumbprint": ...} (RFC 7638, SHA-256).

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const installed = createRequire(new URL('../../target/interop/', import.meta.url));
const jose = await import(installed.resolve('jose'));

const HMAC_BYTES = { HS256: 32, HS384: 48, HS512: 64 };
const CLASSIC_PAIRS = ['ES256', 'ES384', 'EdDSA', 'RS256', 'RS384', 'RS512'];
const ML_DSA = ['ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87'];

const generatePair = (alg) => jose.generateKeyPair(alg, { extractable: true });

async function generate({ alg }) {
  if (alg in HMAC_BYTES) {
    const secret = crypto.getRandomValues(new Uint8Array(HMAC_BYTES[alg]));
    return { private_jwk: { kty: 'oct', alg, k: jose.base64url.encode(secret) } };
  }
  const { privateKey, publicKey } = await generatePair(alg);
  return {
    private_jwk: await jose.exportJWK(privateKey),
    public_jwk: await jose.exportJWK(publicKey),
    private_pem: await jose.exportPKCS8(privateKey),
    public_pem: await jose.exportSPKI(publicKey),
  };
}

// Whether there is ML-DSA depends on the version of Node.
async function algorithms() {
  const tried = await Promise.all(ML_DSA.map((alg) => generatePair(alg).then(() => alg, () => null)));
  return { algorithms: [...Object.keys(HMAC_BYTES), ...CLASSIC_PAIRS, ...tried.filter(Boolean)] };
}

function readKey({ jwk, pem }, alg) {
  if (jwk) return jose.importJWK(jwk, alg);
  return pem.includes('PRIVATE KEY') ? jose.importPKCS8(pem, alg) : jose.importSPKI(pem, alg);
}

async function sign({ claims, key, alg, header }) {
  const token = new jose.SignJWT(claims).setProtectedHeader({ ...header, alg });
  return { token: await token.sign(await readKey(key, alg)) };
}

async function verify({ token, key, alg, issuer, audience }) {
  const verifying = key.jwks ? jose.createLocalJWKSet(key.jwks) : await readKey(key, alg);
  const options = { algorithms: [alg], issuer: issuer ?? undefined, audience: audience ?? undefined };
  const { payload, protectedHeader } = await jose.jwtVerify(token, verifying, options);
  return { claims: payload, header: protectedHeader };
}

const thumbprint = async ({ jwk }) => ({ thumbprint: await jose.calculateJwkThumbprint(jwk) });

const DO = { algorithms, generate, sign, verify, thumbprint };
for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    const request = JSON.parse(line);
    answer = { ok: true, ...(await DO[request.do](request)) };
  } catch (error) {
    answer = { ok: false, error: String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
