#!/usr/bin/env bash
# Fetches Debian packages that only trixie (13) has and unpacks them beside the system, never over it:
#   tests/trixie-tools.sh PACKAGE...   each into ${MESH_TEST_TOOLS:-~/.cache/mesh-tests}/PACKAGE/
# apt gets a configuration of its own, so the system's lists and sources stay as they are. Packages are verified with Debian's
# archive keys as usual. Exits 0 also when something could not be had: tests that need it are skipped by name.
set -u
tools=${MESH_TEST_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/mesh-tests}
keys=/usr/share/keyrings/debian-archive-keyring.gpg
wanted=()
for package in "$@"; do
  [ -d "$tools/$package" ] || wanted+=("$package")
done
[ "${#wanted[@]}" -gt 0 ] || exit 0
command -v apt-get >/dev/null && command -v dpkg >/dev/null && [ -f "$keys" ] || { echo "no Debian apt here; not fetched: ${wanted[*]}"; exit 0; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{state/lists/partial,cache/archives/partial,packages} "$tools"
chmod 755 "$work"
touch "$work/status"
echo "deb [signed-by=$keys] ${MESH_DEBIAN_MIRROR:-http://deb.debian.org/debian} trixie main" >"$work/sources.list"
cat >"$work/apt.conf" <<CONF
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State "$work/state";
Dir::Cache "$work/cache";
Dir::State::status "$work/status";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
APT::Sandbox::User "root";
CONF
export APT_CONFIG="$work/apt.conf"
echo "fetching from Debian trixie: ${wanted[*]}"
timeout 120 apt-get update -qq >/dev/null 2>&1 || { echo "trixie cannot be reached; not fetched: ${wanted[*]}"; exit 0; }
for package in "${wanted[@]}"; do
  if (cd "$work/packages" && timeout 120 apt-get download -qq "$package" >/dev/null 2>&1) \
    && dpkg -x "$work/packages/$package"_*.deb "$work/$package" && mv "$work/$package" "$tools/$package"; then
    :
  else
    echo "not fetched: $package"
  fi
done
exit 0
