#!/usr/bin/env bash
# Make a base image with Python from Debian's packages, for builds that cannot reach a registry of
# images. It needs root, mmdebstrap, and buildah, podman or Docker.
#
#   deploy/debian-base.sh trawl-python:3.11
#   TRAWL_IMAGE_BUILD_ARGS="--build-arg PYTHON_IMAGE=localhost/trawl-python:3.11" make image
set -euo pipefail
name="${1:?name and tag of the base image}"
suite="${2:-bookworm}" # its Python is 3.11
mirror="${3:-http://deb.debian.org/debian}"

for engine in buildah podman docker; do
  command -v "$engine" >/dev/null && break
done
folder="$(mktemp --directory)"
trap 'rm -r "$folder"' EXIT
# The hook and usr-is-merged avoid the package usrmerge, which needs 55 MB of Perl.
mmdebstrap --variant=minbase --aptopt='Apt::Install-Recommends "false"' \
  --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
  --include=usr-is-merged,python3,python3-venv,python-is-python3,ca-certificates \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  "$suite" "$folder/base.tar" "$mirror"
if [[ $engine == buildah ]]; then
  made="$(buildah from scratch)"
  buildah add --quiet "$made" "$folder/base.tar" /
  buildah commit --quiet --format docker --rm "$made" "$name"
else
  "$engine" import "$folder/base.tar" "$name"
fi
