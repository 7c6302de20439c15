#!/usr/bin/env bash
# Install the Debian packages that tests use, where they are missing. With all of them installed,
# it does nothing. It needs root, or sudo without a password.
#
#   scripts/debian-packages.sh
set -euo pipefail

# package: a command of it
wanted=(
  chromium:chromium # tests/browser: the page in a real browser
)

missing=()
for one in "${wanted[@]}"; do
  command -v "${one#*:}" >/dev/null || missing+=("${one%%:*}")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "$0: this is not a Debian system; install by other means: ${missing[*]}" >&2
  exit 1
fi
as_root=()
if [[ $(id -u) -ne 0 ]]; then
  if ! sudo -n true 2>/dev/null; then
    echo "$0: only root can install packages; run: sudo apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo -n)
fi
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update --quiet
"${as_root[@]}" apt-get install --yes --quiet --no-install-recommends "${missing[@]}"
