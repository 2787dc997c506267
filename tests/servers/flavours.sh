#!/usr/bin/env bash
# Unpacks the database servers that this machine's own packages do not offer, each with its clients and everything
# that these need down to the C library, into .tools/servers/<name>-<version>: MySQL, the newest that Debian has, and
# MariaDB 11.8. The system is left alone and no rights are needed. What is there already stays untouched, so a second
# run needs no network. DEBIAN_MIRROR=<address> names a mirror where the machine's own configuration has none.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

say() { printf 'servers: %s\n' "$*"; }
die() {
    say "$*" >&2
    exit 1
}

# The mirror of the machine's own apt configuration; only asks for addresses, downloads nothing.
find_mirror() {
    [[ -z ${DEBIAN_MIRROR:-} ]] || { printf '%s\n' "${DEBIAN_MIRROR%/}" && return; }
    local codename
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    { apt-get --print-uris -o Debug::NoLocking=1 update 2>/dev/null || true; } |
        sed -n "s|^'\(.*/debian\)/dists/$codename/InRelease'.*|\1|p" | head -n 1
}

# apt_in FOLDER ARGUMENTS…: apt with the sources, lists and cache in FOLDER, for a machine without any package.
apt_in() {
    local folder=$1
    shift
    apt-get -q -o Debug::NoLocking=1 -o APT::Sandbox::User= -o Acquire::Languages=none -o Acquire::Retries=3 \
        -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$folder/sources" -o Dir::Etc::Preferences=/dev/null \
        -o Dir::Etc::PreferencesParts=/dev/null -o Dir::State="$folder/state" -o Dir::State::status="$folder/status" \
        -o Dir::Cache="$folder/cache" "$@"
}

# fetch FOLDER SUITE PACKAGES ALONE: downloads PACKAGES with all that they depend on, and ALONE without. apt checks
# the mirror's signature and every file's hash.
fetch() {
    local folder=$1 suite=$2 packages=$3 alone=$4 keyring
    mkdir -p "$folder"/{sources,state/lists/partial,cache/archives/partial}
    : >"$folder/status"
    {
        printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n' "$mirror" "$suite"
        for keyring in /usr/share/keyrings/debian-archive-keyring.*; do
            [[ ! -e $keyring ]] || { printf 'Signed-By: %s\n' "$keyring" && break; }
        done
    } >"$folder/sources/debian.sources"
    # One chain, because a function that is tested does not stop at its first failure.
    # shellcheck disable=SC2086 # lists of words
    apt_in "$folder" update &&
        apt_in "$folder" install --yes --download-only --no-install-recommends $packages &&
        { [[ -z $alone ]] || (cd "$folder/cache/archives" && apt_in "$folder" download $alone); }
}

# Every program of TREE is replaced by a script that starts it by its own loader, with its own libraries; so the
# programs can be called by path, in a folder of any name, and find what lies beside them.
wrap_programs() {
    local tree=$1 program
    mkdir -p "$tree/usr/libexec/programs"
    for program in "$tree"/usr/{bin,sbin}/*; do
        [[ -f $program && ! -L $program && "$(head -c 4 "$program" | tr -d '\0')" == $'\x7fELF' ]] || continue
        mv "$program" "$tree/usr/libexec/programs/"
        cat >"$program" <<'WRAPPER'
#!/bin/sh
usr=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd) || exit
for loader in "$usr"/lib/*/ld-linux-*.so.*; do
    exec "$loader" --library-path "${loader%/*}" --argv0 "$0" "$usr/libexec/programs/$(basename -- "$(readlink -f -- "$0")")" "$@"
done
WRAPPER
        chmod 755 "$program"
    done
}

# server NAME SUITE VERSIONS PACKAGE PACKAGES [ALONE]: .tools/servers/NAME-<version of PACKAGE>, if there is none yet.
server() {
    local name=$1 suite=$2 versions=$3 package=$4 packages=$5 alone=${6:-} present work version deb
    present=$(compgen -G ".tools/servers/$name-$versions" | head -n 1 || true)
    [[ -z $present ]] || return 0
    command -v apt-get dpkg-deb >/dev/null ||
        die "$name is unpacked from Debian's packages. Remedy: run on Debian or Ubuntu, or install apt and dpkg."
    [[ -n $mirror ]] ||
        die "apt knows no Debian mirror. Remedy: DEBIAN_MIRROR=<address of one> make test-servers; on Ubuntu, install the package debian-archive-keyring first."
    say "$name from Debian's $suite"
    work=$PWD/.tools/servers/unfinished-$name
    rm -rf "$work"
    mkdir -p "$work/tree"
    local attempt
    for attempt in 1 2 3; do # a mirror may be in the middle of an update
        ! fetch "$work" "$suite" "$packages" "$alone" >".tools/servers/$name.log" 2>&1 || break
        ((attempt < 3)) || {
            tail -n 20 ".tools/servers/$name.log" >&2
            die "$name could not be downloaded. Remedy: see above and .tools/servers/$name.log; it needs a Debian mirror with the suite $suite (DEBIAN_MIRROR=<address> names another), about 80 MB, and once only."
        }
        sleep 5
    done
    for deb in "$work"/cache/archives/*.deb; do dpkg-deb -x "$deb" "$work/tree"; done
    rm -rf "$work"/tree/usr/share/{doc,man,locale,info,lintian,bug}
    wrap_programs "$work/tree"
    version=$(dpkg-deb -f "$work/cache/archives/$package"_*.deb Version | sed -E 's/^[0-9]+://; s/[^0-9.].*//')
    # shellcheck disable=SC2053 # a pattern
    [[ $version == $versions ]] ||
        die "Debian's $suite has $package $version now, and $versions was expected. Remedy: adapt tests/servers/flavours.sh."
    mv "$work/tree" ".tools/servers/$name-$version"
    rm -rf "$work"
}

mkdir -p .tools/servers
exec 9>.tools/servers/lock
flock 9 # two targets of two terminals

mirror=$(find_mirror)
server mysql sid '*' mysql-server-core 'mysql-server-core mysql-client-core'
server mariadb trixie '11.8*' mariadb-server-core 'mariadb-server-core mariadb-client-core' mariadb-client
