#!/usr/bin/env bash
# Installs the programs that `make bench` compares this package with, where that is allowed: as root, or with a sudo
# that asks nothing. Without them the benchmark runs all the same, and its report says which are absent.
set -euo pipefail

say() { printf 'peers: %s\n' "$*"; }

missing=()
for package in pigz age zstd mydumper restic mariadb-backup; do # Debian's names, which are also their programs'
    command -v "$package" >/dev/null || missing+=("$package")
done
((${#missing[@]})) || exit 0

as_root=()
if ((EUID != 0)); then
    as_root=(sudo -n)
fi
if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
    say "absent, and no right to install them: ${missing[*]}"
    exit 0
fi
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >/dev/null 2>&1; }

say "installing ${missing[*]}"
apt update || true # a foreign source that does not answer is no reason to give up
for package in "${missing[@]}"; do # one by one: a distribution may lack one of them
    # --no-remove: on a machine that has MySQL's own client or server, go without rather than replace it.
    apt install -y --no-install-recommends --no-remove "$package" || say "$package could not be installed"
done
