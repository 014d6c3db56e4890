#!/usr/bin/env bash
# Makes a throw-away development CA and two SVIDs in certs-dev/out. See README.md: they are worthless.
#   make.sh [TRUST-DOMAIN [DAYS]]
set -euo pipefail
domain=${1:-example.org}
days=${2:-30}
cd "$(dirname "$0")"
rm -rf out
mkdir -m 700 out
cd out
umask 077

# certificate NAME ISSUER EXTENSION...: a key and a certificate signed by ISSUER, or by itself when NAME is ISSUER
certificate() {
  local name=$1 issuer=$2; shift 2
  openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$name.key"
  printf '[req]\ndistinguished_name=dn\n[dn]\n[ext]\nsubjectKeyIdentifier=hash\n' >"$name.cnf"
  printf '%s\n' "$@" >>"$name.cnf"
  if [ "$name" = "$issuer" ]; then
    openssl req -x509 -new -config "$name.cnf" -extensions ext -key "$name.key" -subj "/O=Worthless development CA/CN=$domain $name" -days "$days" -out "$name.pem"
  else
    printf 'authorityKeyIdentifier=keyid\n' >>"$name.cnf"
    openssl req -new -config "$name.cnf" -key "$name.key" -subj "/O=Worthless development CA/CN=$domain $name" -out "$name.csr"
    openssl x509 -req -in "$name.csr" -CA "$issuer.pem" -CAkey "$issuer.key" -set_serial "0x4$(openssl rand -hex 15)" -days "$days" -extfile "$name.cnf" -extensions ext -out "$name.pem" 2>/dev/null
  fi
  rm -f "$name.cnf" "$name.csr"
}

# svid NAME PATH: a workload's certificate, with the issuer's behind it
svid() {
  certificate "$1" issuer 'basicConstraints=critical,CA:FALSE' 'keyUsage=critical,digitalSignature' 'extendedKeyUsage=serverAuth,clientAuth' "subjectAltName=URI:spiffe://$domain$2"
  cat issuer.pem >>"$1.pem"
}

certificate root root 'basicConstraints=critical,CA:TRUE' 'keyUsage=critical,keyCertSign,cRLSign' "subjectAltName=URI:spiffe://$domain"
certificate issuer root 'basicConstraints=critical,CA:TRUE,pathlen:0' 'keyUsage=critical,keyCertSign,cRLSign' "subjectAltName=URI:spiffe://$domain"
svid web /ns/shop/sa/web
svid db /ns/shop/sa/db
cp root.pem bundle.pem
echo "certs-dev/out: root, issuer, web, db of $domain, valid for $days days; bundle.pem holds the root"
