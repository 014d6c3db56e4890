#!/usr/bin/env bash
# Installs the third-party programs the tests use, by package name, where that is possible (root and apt-get).
# Where it is not, nothing fails here: the tests that need a missing program are skipped by name.
set -u
cd "$(dirname "$0")"
packages=(openssl libssl3 curl gnutls-bin python3-grpcio python3-protobuf iproute2 iptables debootstrap)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing: ${missing[*]}"
    apt-get update -qq >/dev/null 2>&1 || echo "apt-get update failed; using the lists at hand"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null 2>&1 \
      || echo "not installed (tests that need them will say so): ${missing[*]}"
  else
    echo "missing, and this user cannot install them: ${missing[*]}"
  fi
fi
./trixie-tools.sh zlint golang-cfssl
interop/trixie/make-root.sh

# gRPC on Node, for tests/interop/grpc. No install scripts of packages are run.
node=interop/grpc/node
if command -v npm >/dev/null && ! cmp -s "$node/package-lock.json" "$node/node_modules/.installed"; then
  echo "installing: @grpc/grpc-js"
  if (cd "$node" && timeout 120 npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null 2>&1); then
    cp "$node/package-lock.json" "$node/node_modules/.installed"
  else
    echo "not installed (tests that need it will say so): @grpc/grpc-js"
  fi
fi
exit 0
