#!/bin/sh
# Test of scripts/deps.sh: each decision by itself, then the whole script where it must not install.
# No root, no network, nothing is installed: apt-get is a stand-in that only tells it was asked.
set -eu

tree=$(cd "$(dirname "$0")/../.." && pwd)
deps=$tree/scripts/deps.sh
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

# same NAME WANT GOT
same() {
    [ "$2" = "$3" ] && return
    printf 'FAIL %s\n  want: %s\n  got:  %s\n' "$1" "$2" "$3"
    failed=$((failed + 1))
}

# yes NAME COMMAND..., no NAME COMMAND...
yes() {
    name=$1
    shift
    "$@" || same "$name" "true" "false"
}

no() {
    name=$1
    shift
    ! "$@" || same "$name" "false" "true"
}

# contains NAME WORD TEXT: TEXT contains WORD.
contains() {
    case $3 in *"$2"*) ;; *) same "$1" "...$2..." "$3" ;; esac
}

# shellcheck source=scripts/deps.sh
. "$deps"

# ---- versions and the choice of CRIU ----
yes "3.17.1 is below 4.0" version_below 3.17.1-2+deb12u2 4.0
no "4.1.1 is not below 4.0" version_below 4.1.1-1 4.0
no "4.0 is not below itself" version_below 4.0 4.0
yes "6.1 is below 6.13" version_below 6.1.0-40-amd64 6.13
no "6.13-rc1 is not below 6.13" version_below 6.13.0-rc1 6.13
no "10.0 is not below 6.13" version_below 10.0 6.13
same "no package: build" build "$(criu_plan '' 6.1.0)"
same "old criu: build" build "$(criu_plan 3.17.1-2 6.1.0)"
same "new criu: packages" packages "$(criu_plan 4.1.1-1 6.12.0)"
same "4.1 from Linux 6.16 on: build" build "$(criu_plan 4.1.1-1 6.16.0)"
same "4.2 from Linux 6.16 on: packages" packages "$(criu_plan 4.2.1-1 6.18.44)"

# ---- the release and its own suites ----
release_of() {
    printf '%s\n' "$@" >"$tmp/os-release"
    (os_release=$tmp/os-release && apt_release)
}
same "Debian" "Debian trixie" "$(release_of ID=debian VERSION_CODENAME=trixie)"
same "Ubuntu" "Ubuntu noble" \
    "$(release_of ID=ubuntu ID_LIKE=debian VERSION_CODENAME=noble UBUNTU_CODENAME=noble)"
same "made of Ubuntu" "Ubuntu noble" \
    "$(release_of ID=linuxmint 'ID_LIKE="ubuntu debian"' UBUNTU_CODENAME=noble)"
same "Fedora is not for apt" "" "$(release_of ID=fedora VERSION_ID=42)"
same "no os-release" "" "$(os_release=$tmp/none && apt_release)"

same "Debian: release, updates, security; nothing newer, no backports, no stranger" \
    "release o=Debian, n=bookworm
release o=Debian, n=bookworm-security
release o=Debian, n=bookworm-updates" \
    "$(own_suites Debian bookworm <<'END'
Debian bookworm oldstable
Debian bookworm-updates oldstable-updates
Debian bookworm-security oldstable-security
Debian bookworm-backports oldstable-backports
Debian trixie stable
Debian sid unstable
Elsewhere bookworm stable
END
)"
same "Ubuntu: the pockets differ by suite" \
    "release o=Ubuntu, a=noble
release o=Ubuntu, a=noble-security
release o=Ubuntu, a=noble-updates" \
    "$(own_suites Ubuntu noble <<'END'
Ubuntu noble noble
Ubuntu noble noble-updates
Ubuntu noble noble-security
Ubuntu noble noble-backports
Ubuntu noble noble-proposed
Ubuntu plucky plucky
LP-PPA-criu noble noble
END
)"
pins=$(echo "release o=Debian, n=trixie" | preferences | tr '\n' '~')
contains "own suite is a candidate" "Pin: release o=Debian, n=trixie~Pin-Priority: 500~" "$pins"
contains "everything else is not" "Pin: release a=*~Pin-Priority: -1~" "$pins"

# ---- libc ----
sim='Inst libisl23 (0.25-1.1 Debian:12.15/oldstable [amd64])'
same "no change of libc" "" "$(echo "$sim" | libc_moves)"
same "libc6-dev is not libc6" "" \
    "$(echo 'Inst libc6-dev [2.36-9] (2.41-12 Debian:13/stable [amd64])' | libc_moves)"
same "a new libc is seen" "2.36-9+deb12u14 2.41-12" "$(libc_moves <<END
$sim
Inst libc6 [2.36-9+deb12u14] (2.41-12 Debian:13/stable [amd64]) [libc6:i386 ]
Conf libc6 (2.41-12 Debian:13/stable [amd64])
END
)"
yes "a fix of the same libc may come" libc_allowed 2.36-9+deb12u10 2.36-9+deb12u14
yes "on Ubuntu too" libc_allowed 2.39-0ubuntu8.3 2.39-0ubuntu8.6
no "another libc may not" libc_allowed 2.36-9+deb12u14 2.41-12

# ---- the table ----
same "packages of needs, once each" "libc6-dev
redis-server" "$(printf '%s\n' cmd:redis-server hdr:stdio.h hdr:stdio.h | packages 2)"
same "names of Fedora" "systemd-devel" "$(echo pc:libsystemd | packages 3)"
same "unknown there" "" "$(echo pc:libsystemd | packages 5)"
same "every row is whole" "" "$(needs | awk 'NF != 5')"

# ---- the whole script: something is missing, and it must not install ----
mkdir "$tmp/bin" "$tmp/prefix"
stub() {
    printf '#!/bin/sh\n%s\n' "$2" >"$tmp/bin/$1"
    chmod 755 "$tmp/bin/$1"
}
stub apt-get "echo asked >>'$tmp/asked'; exit 100"
stub pkg-config 'exit 1'
stub id 'echo 1000'
run() {
    OS_RELEASE=$tmp/os-release CRIU_PREFIX=$tmp/prefix PATH=$tmp/bin:$PATH sh "$deps" 2>&1
}

release_of ID=debian VERSION_CODENAME=trixie >/dev/null
out=$(run) && same "without root it fails" "non-zero" "0"
contains "it names what is missing" "pc:libsystemd" "$out"
contains "and the command for root" "'$deps'" "$out"

release_of ID=fedora VERSION_ID=42 >/dev/null
out=$(run) && same "another distribution fails" "non-zero" "0"
contains "with its own names" "dnf install" "$out"
contains "with its own names" "inih-devel" "$out"
contains "and CRIU" "criu-devel" "$out"

release_of ID=unheard-of >/dev/null
out=$(run) && same "an unknown distribution fails" "non-zero" "0"
contains "with the libraries" "libsystemd.pc" "$out"

# ---- nothing is missing: silent, and apt is not asked ----
stub pkg-config 'exit 0'
mkdir -p "$tmp/prefix/bin" "$tmp/prefix/sbin" "$tmp/prefix/lib/pkgconfig"
: >"$tmp/prefix/lib/pkgconfig/criu.pc"
mkdir -p "$tmp/prefix/share"
cp "$(dirname "$0")"/../../scripts/criu-4.1.1-*.patch "$tmp/prefix/share/"
stub criu 'exit 0' && mv "$tmp/bin/criu" "$tmp/prefix/sbin/criu"
stub crit 'exit 0' && mv "$tmp/bin/crit" "$tmp/prefix/bin/crit"
for need in $(needs | sed -n 's/^cmd:\([^ ]*\).*/\1/p'); do
    [ -e "$tmp/bin/$need" ] || PATH=$PATH:/usr/sbin:/sbin command -v "$need" >/dev/null ||
        stub "$need" 'exit 0'
done
if [ -f /usr/include/stdio.h ]; then
    same "all there: silent" "" "$(run || echo "exit code $?")"
fi
no "apt was never asked" test -e "$tmp/asked"

[ "$failed" = 0 ] || exit 1
echo "test_deps: all good"
