#!/usr/bin/env bash
# Makes a small Debian trixie root, whose OpenSSL (3.5) has X25519MLKEM768, unless it is there:
#   tests/interop/trixie/make-root.sh     into ${MESH_TEST_TOOLS:-~/.cache/mesh-tests}/trixie
# Needs root and debootstrap. Exits 0 also when it could not be made: the test that needs it is skipped by name.
set -u
root=${MESH_TEST_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/mesh-tests}/trixie
[ -e "$root/usr/bin/openssl" ] && exit 0
[ "$(id -u)" = 0 ] && command -v debootstrap >/dev/null || { echo "no root or no debootstrap here; no trixie root"; exit 0; }
echo "making a Debian trixie root"
mkdir -p "$(dirname "$root")"
# Beside its final place first: a root that is there is a whole one.
work=$(mktemp -d "$root.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
if timeout 300 debootstrap --variant=minbase --include=openssl,libstdc++6,zlib1g trixie "$work" "${MESH_DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$work.log" 2>&1; then
  rm -rf --one-file-system "$work/var/cache/apt/archives"
  chmod 755 "$work"
  mv "$work" "$root"
else
  echo "no trixie root (tests that need it will say so): $(tail -1 "$work.log")"
fi
rm -f "$work.log"
exit 0
