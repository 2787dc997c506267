#!/usr/bin/env bash
# Installs what the Makefile's targets need: packages of the system, a Python environment for the package and its
# tests (.venv), and one (.tools/...) for each tool that cannot share it. What is there already stays untouched, so
# a second run needs neither network nor rights. PYTHON=/path/to/python chooses the interpreter. With the argument
# `browser`, Debian's Chromium and its driver, too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

wanted=${1:-}
uv_version=0.13.9
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # where Debian keeps servers
export UV_PYTHON_DOWNLOADS=never
export UV_SYSTEM_CERTS=1 # a company network may re-sign traffic with an authority that only the system knows

say() { printf 'setup: %s\n' "$*"; }
die() {
    say "$*" >&2
    exit 1
}

# Prints the path of an interpreter that we support, none if there is none. Each candidate is run: a version
# manager may have put a stand-in of that name on PATH that only fails.
find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3.12 "${HOME:-}"/.pyenv/versions/3.12.*/bin/python python3.13 python3.11 python3; do
        "$candidate" -c 'if 1:
            import sys
            sys.exit(1) if not (3, 11) <= sys.version_info[:2] <= (3, 13) else print(sys._base_executable)' \
            2>/dev/null && return
        [[ $candidate != "${PYTHON:-}" ]] || die "PYTHON=$PYTHON is not a Python 3.11, 3.12 or 3.13."
    done
}

# Puts into `missing` the packages, by their Debian names, whose files are not there. Files are asked for rather
# than packages, so that any other way of installing them does too.
find_missing() {
    missing=()
    lacks() {
        local package=$1
        shift
        "$@" >/dev/null 2>&1 || missing+=("$package")
    }
    lacks ca-certificates test -e /etc/ssl/certs/ca-certificates.crt
    lacks make command -v make
    lacks openssl command -v openssl
    lacks mariadb-server-core command -v mariadbd
    lacks mariadb-client command -v mariadb-dump
    # mysqlclient, which Airflow's MySQL provider needs, is compiled.
    lacks gcc command -v gcc
    lacks libc6-dev test -e /usr/include/stdio.h
    lacks pkg-config command -v pkg-config
    lacks libmariadb-dev pkg-config --exists libmariadb
    find_missing_browser
    if [[ -z $python ]]; then
        ! command -v python3 >/dev/null || die "no Python 3.11, 3.12 or 3.13 found. Remedy: install one, for example with pyenv or uv, and run: make setup PYTHON=/path/to/it"
        missing+=(python3 python3-venv python3-dev)
    else
        local version include
        version=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
        include=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
        lacks "$version-venv" "$python" -c 'import ensurepip'
        lacks "$version-dev" test -e "$include/Python.h"
    fi
}

find_missing_browser() {
    [[ $wanted == browser ]] || return 0
    lacks chromium command -v chromium
    lacks chromium-driver command -v chromedriver
}

install_packages() {
    local by_hand="install them once, for example: sudo apt-get install --no-install-recommends ${missing[*]}"
    command -v apt-get >/dev/null || die "missing (Debian's names): ${missing[*]}. Remedy: $by_hand"
    local as_root=()
    if ((EUID != 0)); then
        as_root=(sudo -n)
        sudo -n true 2>/dev/null || die "missing packages, and no right to install them: ${missing[*]}. Remedy: $by_hand"
    fi
    as_root+=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
    say "installing packages: ${missing[*]}"
    local attempt
    for attempt in 1 2 3; do # a new machine may be updating itself
        # A foreign source that does not answer is no reason to give up.
        "${as_root[@]}" update >.tools/apt.log 2>&1 || true
        # --no-remove: on a machine that has MySQL's own client or server, fail rather than replace it.
        "${as_root[@]}" install -y --no-install-recommends --no-remove "${missing[@]}" >>.tools/apt.log 2>&1 && return
        ((attempt == 3)) || sleep 15
    done
    tail -n 20 .tools/apt.log >&2
    die "packages could not be installed: ${missing[*]}. Remedy: see above and .tools/apt.log."
}

# environment FOLDER LOCK: a Python environment that holds exactly what LOCK pins, made anew when anything differs.
environment() {
    local folder=$1 lock=$2 stamp uv=.tools/uv/bin/uv
    stamp="$PWD $python $(sha256sum "$lock")"
    [[ "$(cat "$folder/setup.stamp" 2>/dev/null)" != "$stamp" ]] || return 0
    if [[ "$("$uv" --version 2>/dev/null)" != "uv $uv_version"* ]]; then
        "$python" -m venv --clear .tools/uv
        PIP_CONSTRAINT=/dev/null .tools/uv/bin/python -m pip install -qq --disable-pip-version-check "uv==$uv_version"
    fi
    say "$folder from $lock ($("$python" --version))"
    "$uv" venv -q --clear --python "$python" "$folder"
    "$uv" pip sync -q --python "$folder/bin/python" "$lock"
    echo "$stamp" >"$folder/setup.stamp"
}

mkdir -p .tools
exec 9>.tools/lock
flock 9 # two targets of two terminals

python=$(find_python)
find_missing
if ((${#missing[@]})); then
    install_packages
    [[ -n $python ]] || python=$(find_python)
    find_missing
    ((${#missing[@]} == 0)) || die "installed, but not found: ${missing[*]}. Remedy: see .tools/apt.log"
fi

environment .venv requirements.lock
environment .tools/localstack tests/servers/requirements-localstack.txt
environment .tools/interop tests/interop/requirements-cli.txt
