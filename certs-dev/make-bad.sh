#!/usr/bin/env bash
# Makes the bad certificates of certs-dev/bad anew, each named for its defect. All are signed by root.pem, whose key is thrown away
# with every other key at the end. Needs OpenSSL 3.0 or newer.
set -euo pipefail
cd "$(dirname "$0")/bad"
keys=$(mktemp -d)
trap 'rm -rf "$keys"' EXIT
days=36500
id=spiffe://example.org/ns/shop/sa/web
usage='keyUsage=critical,digitalSignature'
purpose='extendedKeyUsage=serverAuth,clientAuth'
end='basicConstraints=critical,CA:FALSE'
ca='basicConstraints=critical,CA:TRUE'
sign='keyUsage=critical,keyCertSign,cRLSign'

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$keys/$1.key" 2>/dev/null; }

# root NAME EXTENSION...: a self-signed certificate
root() {
  local name=$1; shift
  key "$name"
  printf '[req]\ndistinguished_name=dn\n[dn]\n[ext]\nsubjectKeyIdentifier=hash\n' >"$keys/$name.cnf"
  printf '%s\n' "$@" >>"$keys/$name.cnf"
  openssl req -x509 -new -config "$keys/$name.cnf" -extensions ext -key "$keys/$name.key" -subj "/O=Mesh bad certificates/CN=$name" -days $days -out "$name.pem"
}

# issue ISSUER NAME EXTENSION...: a certificate signed by ISSUER
issue() {
  local issuer=$1 name=$2; shift 2
  key "$name"
  openssl req -new -key "$keys/$name.key" -subj "/O=Mesh bad certificates/CN=$name" -out "$keys/$name.csr"
  printf 'subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n' >"$keys/$name.cnf"
  printf '%s\n' "$@" >>"$keys/$name.cnf"
  openssl x509 -req -in "$keys/$name.csr" -CA "$issuer.pem" -CAkey "$keys/$issuer.key" -set_serial "0x$(openssl rand -hex 15)" -days $days -extfile "$keys/$name.cnf" -out "$name.pem" 2>/dev/null
}

rm -f ./*.pem
root root "$ca" "$sign" "subjectAltName=URI:spiffe://example.org"
issue root leaf-without-defect "$end" "$usage" "$purpose" "subjectAltName=URI:$id"
issue root leaf-with-ca-true "$ca" "$usage" "$purpose" "subjectAltName=URI:$id"
issue root leaf-with-cert-sign "$end" "keyUsage=critical,digitalSignature,keyCertSign" "$purpose" "subjectAltName=URI:$id"
issue root leaf-with-crl-sign "$end" "keyUsage=critical,digitalSignature,cRLSign" "$purpose" "subjectAltName=URI:$id"
issue root leaf-without-digital-signature "$end" "keyUsage=critical,keyEncipherment" "$purpose" "subjectAltName=URI:$id"
issue root leaf-without-key-usage "$end" "$purpose" "subjectAltName=URI:$id"
issue root leaf-with-uncritical-key-usage "$end" "keyUsage=digitalSignature" "$purpose" "subjectAltName=URI:$id"
issue root leaf-for-servers-only "$end" "$usage" "extendedKeyUsage=serverAuth" "subjectAltName=URI:$id"
issue root leaf-with-two-uri-names "$end" "$usage" "$purpose" "subjectAltName=URI:$id,URI:spiffe://example.org/ns/shop/sa/db"
issue root leaf-with-uri-name-that-is-none "$end" "$usage" "$purpose" "subjectAltName=URI:$id,URI:%zz"
issue root leaf-with-dns-name-only "$end" "$usage" "$purpose" "subjectAltName=DNS:web.example.org"
issue root leaf-with-upper-case-trust-domain "$end" "$usage" "$purpose" "subjectAltName=URI:spiffe://Example.org/ns/shop/sa/web"
issue root leaf-with-trailing-slash "$end" "$usage" "$purpose" "subjectAltName=URI:$id/"
issue root leaf-with-the-trust-domains-own-id "$end" "$usage" "$purpose" "subjectAltName=URI:spiffe://example.org"
issue root leaf-with-unknown-critical-extension "$end" "$usage" "$purpose" "subjectAltName=URI:$id" "1.2.3.4=critical,DER:0500"
issue root issuer-with-path-in-its-id "$ca" "$sign" "subjectAltName=URI:spiffe://example.org/ca"
issue issuer-with-path-in-its-id leaf-of-issuer-with-path-in-its-id "$end" "$usage" "$purpose" "subjectAltName=URI:$id"
issue root issuer-with-whole-uri-as-constraint "$ca" "$sign" "nameConstraints=critical,permitted;URI:spiffe://example.org"
issue issuer-with-whole-uri-as-constraint leaf-of-issuer-with-whole-uri-as-constraint "$end" "$usage" "$purpose" "subjectAltName=URI:$id"
issue root issuer-without-cert-sign "$ca" "keyUsage=critical,digitalSignature"
issue issuer-without-cert-sign leaf-of-issuer-without-cert-sign "$end" "$usage" "$purpose" "subjectAltName=URI:$id"
issue root leaf-as-issuer "$end" "$usage" "$purpose" "subjectAltName=URI:$id"
issue leaf-as-issuer leaf-of-a-leaf "$end" "$usage" "$purpose" "subjectAltName=URI:spiffe://example.org/ns/shop/sa/admin"

openssl genpkey -algorithm ed25519 -out "$keys/ed25519.key"
openssl req -x509 -new -key "$keys/ed25519.key" -subj "/O=Mesh bad certificates/CN=self-signed-ed25519" -days $days -out self-signed-ed25519.pem \
  -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign"
openssl req -x509 -new -newkey rsa:2048 -sha1 -nodes -keyout "$keys/sha1.key" -subj "/O=Mesh bad certificates/CN=self-signed-sha1" -days $days -out self-signed-sha1.pem 2>/dev/null
openssl req -new -key "$keys/root.key" -subj "/CN=version-1" -out "$keys/v1.csr"
openssl x509 -req -in "$keys/v1.csr" -signkey "$keys/root.key" -days $days -out self-signed-version-1.pem 2>/dev/null
ls
