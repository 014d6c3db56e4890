#!/usr/bin/env bash
# Builds everything, runs every test, ends with one line: N passed, N failed[, N skipped].
#   ./test.sh            all test projects
#   ./test.sh Spiffe     only projects whose name contains "Spiffe"
set -uo pipefail
cd "$(dirname "$0")"
only=${1:-}
tests/install-tools.sh || exit 1
dotnet build Mesh.sln -c Release --nologo -v quiet || { echo "The build failed; no test ran."; exit 1; }

passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for project in tests/*Tests/*.csproj; do
  name=$(basename "$project" .csproj)
  case "$name" in *"$only"*) ;; *) continue ;; esac
  echo "== $name"
  dotnet "tests/$name/bin/Release/net10.0/$name.dll" -noLogo -noColor -parallel collections >"$log" 2>&1
  code=$?
  grep -E '\[(FAIL|SKIP)\]' -A 30 "$log" | grep -vE '^\s+(Starting|Finished|Discover)' || true
  summary=$(grep -oE 'Total: [0-9]+, Errors: [0-9]+, Failed: [0-9]+, Skipped: [0-9]+' "$log" | tail -1)
  if [ -z "$summary" ]; then
    tail -40 "$log"
    echo "$name ended with code $code and no summary: counted as one failure"
    failed=$((failed + 1))
    continue
  fi
  read -r total errors bad skip <<<"$(echo "$summary" | tr -dc '0-9 ' )"
  passed=$((passed + total - bad - skip)) failed=$((failed + bad + errors)) skipped=$((skipped + skip))
  echo "   $summary, exit $code"
  if [ $((bad + errors)) -eq 0 ] && [ "$code" -ne 0 ]; then
    tail -40 "$log"
    failed=$((failed + 1))
  fi
done

line="$passed passed, $failed failed"
[ "$skipped" -gt 0 ] && line="$line, $skipped skipped"
[ $((passed + failed)) -eq 0 ] && { echo "No test ran."; exit 1; }
echo "$line"
[ "$failed" -eq 0 ]
