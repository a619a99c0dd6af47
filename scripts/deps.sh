#!/bin/sh
# Install what building, testing and measuring perdure needs, and nothing when it is all there.
#
# usage: deps.sh      (as root when something is missing; `make deps` and ./bootstrap call it)
#
# What is needed is asked of the machine itself (commands, headers, pkg-config), so a program from
# anywhere counts. Debian and Ubuntu: the missing packages come from the release's own suites only,
# whatever else apt is configured for. Anywhere else: a list of what to install.
# CRIU: the distribution's libcriu if it serves the running kernel, else build-criu.sh makes
# CRIU 4.1.1 in $CRIU_PREFIX (default /opt/perdure/criu); a CRIU that stands there is always used.
set -eu

prefix=${CRIU_PREFIX:-/opt/perdure/criu}
os_release=${OS_RELEASE:-/etc/os-release}
policy=/usr/sbin/policy-rc.d
# The servers of the flow tests: needed as programs, unwanted as services.
servers="redis-server nginx memcached"
criu_patches=$(dirname "$0")/criu-4.1.1 # ...-*.patch
criu_build="gcc make pkgconf libc6-dev xz-utils python3 protobuf-compiler protobuf-c-compiler
    libprotobuf-dev libprotobuf-c-dev libcap-dev libnl-3-dev libnet1-dev uuid-dev libbsd-dev
    libnftables-dev patch python3-protobuf"

# need, then its package on debian, fedora, arch, alpine; - = not packaged there.
needs() {
    cat <<'END'
cmd:bash          bash              bash               bash       bash
cmd:make          make              make               make       make
cmd:gcc           gcc               gcc                gcc        gcc
cmd:pkg-config    pkgconf           pkgconf-pkg-config pkgconf    pkgconf
hdr:stdio.h       libc6-dev         glibc-devel        glibc      musl-dev
pc:libsystemd     libsystemd-dev    systemd-devel      systemd    -
pc:inih           libinih-dev       inih-devel         libinih    inih-dev
pc:jansson        libjansson-dev    jansson-devel      jansson    jansson-dev
pc:libcrypto      libssl-dev        openssl-devel      openssl    openssl-dev
pc:libzstd        libzstd-dev       libzstd-devel      zstd       zstd-dev
pc:libsodium      libsodium-dev     libsodium-devel    libsodium  libsodium-dev
pc:libarchive     libarchive-dev    libarchive-devel   libarchive libarchive-dev
pc:cmocka         libcmocka-dev     libcmocka-devel    cmocka     cmocka-dev
pc:libprotobuf-c  libprotobuf-c-dev protobuf-c-devel   protobuf-c protobuf-c-dev
cmd:redis-server  redis-server      redis              redis      redis
cmd:redis-cli     redis-tools       redis              redis      redis
cmd:memcached     memcached         memcached          memcached  memcached
cmd:nginx         nginx             nginx              nginx      nginx
cmd:python3       python3           python3            python     python3
cmd:ip            iproute2          iproute            iproute2   iproute2
cmd:nft           nftables          nftables           nftables   nftables
cmd:zstd          zstd              zstd               zstd       zstd
cmd:mkfs.btrfs    btrfs-progs       btrfs-progs        btrfs-progs btrfs-progs
cmd:mkfs.xfs      xfsprogs          xfsprogs           xfsprogs   xfsprogs
cmd:ps            procps            procps-ng          procps-ng  procps
cmd:busctl        systemd           systemd            systemd    -
cmd:gnuplot       gnuplot-nox       gnuplot            gnuplot    gnuplot
END
}

say() {
    echo "deps: $*" >&2
}

die() {
    say "$*"
    exit 1
}

# ---- what is missing -------------------------------------------------------------------------

has() {
    case $1 in
    cmd:*) command -v "${1#*:}" >/dev/null ;;
    hdr:*) [ -f "/usr/include/${1#*:}" ] ;;
    pc:*) pkg-config --exists "${1#*:}" 2>/dev/null ;;
    esac
}

# The needs that this machine lacks, one a line. pkg-config is asked once for all libraries: the
# usual answer, nothing missing, comes at once.
missing() {
    pc_all=$(needs | sed -n 's/^pc:\([^ ]*\).*/\1/p' | tr '\n' ' ')
    # shellcheck disable=SC2086 # a list
    pkg-config --exists $pc_all 2>/dev/null && pc_ready=1 || pc_ready=
    needs | while read -r need _; do
        case $need in pc:*) [ -z "$pc_ready" ] || continue ;; esac
        has "$need" || echo "$need"
    done
}

# packages COLUMN: the packages of the needs on stdin, in that column of the table (2 = debian ...).
packages() {
    while read -r need; do
        needs | awk -v need="$need" -v col="$1" '$1 == need && $col != "-" { print $col }'
    done | sort -u
}

# ---- which CRIU ------------------------------------------------------------------------------

# version_below A B: only major.minor counts; "4.1.1-1" is 4.1.
version_below() {
    awk -v a="$1" -v b="$2" 'BEGIN {
        split(a, x, /[^0-9]+/); split(b, y, /[^0-9]+/)
        exit !(x[1] + 0 < y[1] + 0 || (x[1] + 0 == y[1] + 0 && x[2] + 0 < y[2] + 0))
    }'
}

# criu_old VERSION KERNEL: perdure asks for CRIU 4.0 (older ones fail from Linux 6.13 on, and their
# library lacks calls it needs). Before 4.2, CRIU passes its own check on Linux 6.16 but can dump no
# process that has a TCP or UDP socket; our build has the cure.
criu_old() {
    version_below "$1" 4.0 || { version_below "$1" 4.2 && ! version_below "$2" 6.16; }
}

# criu_plan OFFERED KERNEL: "build" or "packages".
criu_plan() {
    if [ -z "$1" ] || criu_old "$1" "$2"; then
        echo build
    else
        echo packages
    fi
}

is_root() {
    [ "$(id -u)" = 0 ]
}

criu_built() {
    [ -x "$prefix/bin/crit" ] && [ -f "$prefix/lib/pkgconfig/criu.pc" ] || return 1
    for patch in "$criu_patches"-*.patch; do
        cmp -s "$patch" "$prefix/share/${patch##*/}" || return 1
    done
}

# The version decides, not `criu check`: its failure speaks of the place (no root, a container without
# capabilities), which a build would not change, and its success does not speak of sockets.
criu_packaged() {
    command -v criu >/dev/null && version=$(pkg-config --modversion criu 2>/dev/null) || return 1
    ! criu_old "$version" "$(uname -r)"
}

criu_ready() {
    criu_built || criu_packaged
}

# ---- Debian and Ubuntu -----------------------------------------------------------------------

# The release as "ORIGIN CODENAME" in apt's words; nothing for another distribution.
apt_release() (
    [ -r "$os_release" ] || exit 0
    # shellcheck disable=SC1090 # the file of os-release(5)
    . "$os_release"
    case ${ID:-} in
    debian) echo "Debian ${VERSION_CODENAME:-}" ;;
    *) [ -z "${UBUNTU_CODENAME:-}" ] || echo "Ubuntu $UBUNTU_CODENAME" ;;
    esac
)

# own_suites ORIGIN CODENAME: of the "ORIGIN CODENAME SUITE" lines on stdin (apt-get indextargets)
# the pins of the release itself, its updates and its security fixes. Ubuntu gives all its pockets
# one codename, so there the suite tells them apart; Debian's suite moves on with each release.
own_suites() {
    while read -r origin codename suite; do
        [ "$origin" = "$1" ] || continue
        case $origin in
        Ubuntu) key=a name=$suite ;;
        *) key=n name=$codename ;;
        esac
        case $name in
        "$2" | "$2-updates" | "$2-security") echo "release o=$origin, $key=$name" ;;
        esac
    done | sort -u
}

# Of the pins on stdin a preferences file in which nothing else can be a candidate, not even as a
# dependency; what is installed already stays.
preferences() {
    while read -r pin; do
        printf 'Package: *\nPin: %s\nPin-Priority: 500\n\n' "$pin"
    done
    printf 'Package: *\nPin: release a=now\nPin-Priority: 100\n\n'
    printf 'Package: *\nPin: release a=*\nPin-Priority: -1\n\n'
    printf 'Package: *\nPin: release n=*\nPin-Priority: -1\n\n'
    printf 'Package: *\nPin: origin "*"\nPin-Priority: -1\n'
}

# libc_moves: of a simulated installation on stdin the change of libc, "OLD NEW", if there is one.
libc_moves() {
    sed -n 's/^Inst libc6\(:[a-z0-9]*\)* \[\([^]]*\)\] (\([^ ]*\) .*/\2 \3/p' | head -n 1
}

# libc_allowed OLD NEW: a fix of the very same libc from the release itself may come along
# (libc6-dev demands the libc6 it was built with); another libc may not.
libc_allowed() {
    [ "${1%-*}" = "${2%-*}" ]
}

apt() {
    env LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -q -y \
        --no-install-recommends --no-remove -o Dir::Etc::Preferences="$work/preferences" \
        -o Dir::Etc::PreferencesParts=/dev/null -o DPkg::Lock::Timeout=300 \
        -o Dpkg::Options::=--force-confold "$@" </dev/null
}

# What the release offers as PACKAGE, nothing if it has none.
offered() {
    LC_ALL=C apt-cache -o Dir::Etc::Preferences="$work/preferences" \
        -o Dir::Etc::PreferencesParts=/dev/null policy "$1" |
        sed -n 's/^  Candidate: \([0-9].*\)/\1/p'
}

# A policy that forbids starts stays; one that allows them is set aside for the time being.
services_hold() {
    if [ -x "$policy" ] && ! grep -qs '^# perdure deps$' "$policy"; then
        rc=0
        "$policy" redis-server start >/dev/null 2>&1 || rc=$?
        [ "$rc" != 101 ] || return 0
        mv "$policy" "$policy.perdure-saved"
    fi
    held=1
    printf '#!/bin/sh\n# perdure deps\nexit 101\n' >"$policy"
    chmod 755 "$policy"
}

services_release() {
    [ -n "${held:-}" ] || return 0
    held=
    rm -f "$policy"
    [ ! -e "$policy.perdure-saved" ] || mv "$policy.perdure-saved" "$policy"
}

# The servers that came just now shall not start with the next boot either.
servers_disable() {
    for server in $servers; do
        case " $1 " in
        *" $server "*) systemctl --quiet disable "$server" >/dev/null 2>&1 || true ;;
        esac
    done
}

# apt_install PACKAGE...: simulated first; see libc_allowed.
apt_install() {
    apt -s install "$@" >"$work/simulation" 2>&1 || {
        cat "$work/simulation" >&2
        die "apt cannot install: $*
Every package must come from $release itself (Ubuntu: the component universe must be enabled)."
    }
    move=$(libc_moves <"$work/simulation")
    if [ -n "$move" ]; then
        # shellcheck disable=SC2086 # two words
        libc_allowed $move ||
            die "refused: this would change libc6 (${move% *} to ${move#* }); install by hand: $*"
        say "libc6 gets the release's own fix (${move% *} to ${move#* })"
    fi
    say "installing $(grep -c '^Inst ' "$work/simulation" || true) packages for:" "$@"
    services_hold
    apt install "$@" >"$work/apt.log" 2>&1 || {
        tail -n 20 "$work/apt.log" >&2
        die "apt-get install failed; see above"
    }
    services_release
    servers_disable "$*"
}

apt_prepare() {
    apt-get -q update </dev/null >"$work/update.log" 2>&1 ||
        say "apt-get update had errors (going on with what apt knows):" \
            "$(grep '^E:' "$work/update.log" | head -n 1)"
    # shellcheck disable=SC2016 # apt expands these
    suites=$(apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(SUITE)' 'Created-By: Packages' |
        own_suites "${release% *}" "${release#* }")
    [ -n "$suites" ] || die "apt has no suite of $release; add it to apt's sources and run again"
    echo "$suites" | preferences >"$work/preferences"
}

apt_main() {
    work=$(mktemp -d /var/tmp/perdure-deps.XXXXXX)
    trap 'services_release; rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    apt_prepare
    plan=
    criu_ready || plan=$(criu_plan "$(offered libcriu-dev)" "$(uname -r)")
    more=
    case $plan in
    packages) more="libcriu-dev criu" ;;
    build) more=$criu_build ;;
    esac
    # shellcheck disable=SC2046,SC2086 # lists
    set -- $({ missing | packages 2; printf '%s\n' $more; } | sort -u)
    [ $# = 0 ] || apt_install "$@"
    if [ "$plan" = build ]; then
        "$(dirname "$0")/build-criu.sh" "$prefix"
    fi
    left=$(missing | tr '\n' ' ')
    [ -z "$left" ] || die "still missing after the installation: $left"
    criu_ready || die "still no CRIU that works after the installation"
    say "all there"
}

# ---- any other distribution ------------------------------------------------------------------

# column: of the table, for the os-release's ID and ID_LIKE; 0 for an unknown distribution.
column() (
    # shellcheck disable=SC1090 # the file of os-release(5)
    [ ! -r "$os_release" ] || . "$os_release"
    case " ${ID:-} ${ID_LIKE:-} " in
    *" debian "*) echo 2 ;;
    *" fedora "* | *" rhel "*) echo 3 ;;
    *" arch "*) echo 4 ;;
    *" alpine "*) echo 5 ;;
    *) echo 0 ;;
    esac
)

# Print what to install, with the distribution's own names where the table has them.
advise() {
    col=$(column)
    case $col in
    2) how="apt-get install" criu="criu libcriu-dev" ;;
    3) how="dnf install" criu="criu criu-devel" ;;
    4) how="pacman -S" criu="criu" ;;
    5) how="apk add" criu="criu criu-dev" ;;
    *) how="install what has" criu="CRIU 4.1 or later with libcriu" ;;
    esac
    criu_ready && criu=
    list=$(missing)
    if [ "$col" = 0 ]; then
        names=$(echo "$list" | sed -n \
            's/^cmd:\(..*\)/\1,/p; s/^hdr:\(..*\)/<\1>,/p; s/^pc:\(..*\)/\1.pc,/p')
    else
        names=$(echo "$list" | packages "$col")
    fi
    say "this script installs on Debian and Ubuntu only; here, as root:"
    # shellcheck disable=SC2086 # one line
    echo "  $how" $names $criu >&2
    for need in $list; do
        [ "$col" != 0 ] && [ -z "$(echo "$need" | packages "$col")" ] &&
            say "no package known here for ${need#*:}"
    done
    [ -z "$criu" ] || say "without a CRIU package: CRIU_TARBALL=/path/criu_4.1.1.orig.tar.xz" \
        "$(dirname "$0")/build-criu.sh (as root)"
    exit 1
}

main() {
    [ $# = 0 ] || die "usage: $0    (no arguments)"
    # Servers and network tools are in folders that a user's PATH may lack.
    PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
    list=$(missing | tr '\n' ' ')
    list=${list% }
    if criu_ready; then
        [ -n "$list" ] || return 0
    else
        list="${list:+$list }criu"
    fi
    release=$(apt_release)
    if [ -z "$release" ] || ! command -v apt-get >/dev/null; then
        advise
    fi
    say "missing: $list"
    if ! is_root; then
        self=$(cd "$(dirname "$0")" && pwd)/deps.sh
        if command -v sudo >/dev/null; then
            die "run as root: sudo CRIU_PREFIX='$prefix' '$self'"
        fi
        die "run as root: su -c \"CRIU_PREFIX='$prefix' '$self'\""
    fi
    apt_main
}

# Sourced by its test, which calls the decisions one by one.
case ${0##*/} in deps.sh) main "$@" ;; esac
