#!/bin/sh
# Makes the keys of this folder anew, with OpenSSL. They are for tests only: everybody has them.
set -eu
cd "$(dirname "$0")"
rm -f ./*.pem ./*.der ./*.txt

openssl genpkey -algorithm ed25519 -out ed25519.pem
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.pem
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.pem
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa2048.pem
for key in ed25519 p256 p384 rsa2048; do
    openssl pkey -in $key.pem -pubout -out $key.pub.pem
    openssl pkcs8 -topk8 -nocrypt -in $key.pem -outform DER -out $key.der
    openssl pkey -in $key.pem -pubout -outform DER -out $key.pub.der
done
# PKCS #1 and SEC 1, the older forms of RSA and elliptic keys.
openssl rsa -in rsa2048.pem -traditional -out rsa2048.pkcs1.pem
openssl rsa -in rsa2048.pem -RSAPublicKey_out -out rsa2048.pkcs1.pub.pem
openssl ecparam -name prime256v1 -out parameters.pem
openssl ec -in p256.pem -out p256.sec1.pem
cat p256.sec1.pem >> parameters.pem
mv parameters.pem p256.sec1.pem
# This is what this command writes for an elliptic key.
openssl pkey -in p256.pem -outform DER -out p256.sec1.der
openssl ecparam -name secp256k1 -genkey -noout -out secp256k1.sec1.pem

# With text around the key.
openssl pkey -in rsa2048.pem -text -out rsa2048.text.pem
openssl req -new -x509 -key p256.pem -subj /CN=test -days 36500 -text -out p256.cert.pem
openssl x509 -in p256.cert.pem -outform DER -out p256.cert.der
openssl pkcs12 -export -inkey p256.pem -in p256.cert.pem -passout pass: -out bag.p12
openssl pkcs12 -in bag.p12 -passin pass: -nodes -out p256.bag.pem
rm bag.p12

# What is not read, but explained.
openssl pkey -in p256.pem -aes256 -passout pass:secret -out p256.encrypted.pem
openssl rsa -in rsa2048.pem -traditional -aes128 -passout pass:secret -out rsa2048.encrypted.pem
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out rsa1024.pem
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out p521.pem
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 -out secp256k1.pem
openssl genpkey -algorithm X25519 -out x25519.pem
openssl genpkey -algorithm ED448 -out ed448.pem
openssl genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out rsa-pss.pem
chmod 644 ./*.pem ./*.der
