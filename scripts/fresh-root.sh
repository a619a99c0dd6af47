#!/bin/bash
# Run a command in a bare Debian root: a machine where nothing is installed yet, thrown away after.
#
# usage: fresh-root.sh SUITE COMMAND [ARG...]    (as root; fresh-root.sh trixie ./bootstrap check)
# The command runs in a copy of this source tree (without build/ and .git/) under /root/perdure,
# in a mount namespace of its own. The root comes from debootstrap, or, with FRESH_ROOT_CACHE=DIR,
# from DIR/SUITE.tar, which is made by the first run. The exit code is the command's; processes
# that it left behind are named and ended.
set -euo pipefail

tree=$(cd "$(dirname "$0")/.." && pwd)

die() {
    echo "fresh-root: $*" >&2
    exit 1
}

# The distribution that has SUITE, by debootstrap's own scripts.
origin_of() {
    case $(readlink "/usr/share/debootstrap/scripts/$1" || true) in
    *gutsy*) echo Ubuntu ;;
    *) echo Debian ;;
    esac
}

# The mirror of ORIGIN this machine uses itself; with none debootstrap takes its own default.
mirror_of() {
    # shellcheck disable=SC2016 # apt expands these
    apt-get indextargets --format '$(ORIGIN)/$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
        sed -n "s|^$1/$1 ||p" | sort -u | sed -n 1p
}

make_root() {
    local suite=$1 root=$2 cached=${FRESH_ROOT_CACHE:+$FRESH_ROOT_CACHE/$1.tar} origin mirror
    if [ -n "$cached" ] && [ -f "$cached" ]; then
        tar -xpf "$cached" -C "$root" --numeric-owner
    else
        command -v debootstrap >/dev/null ||
            die "debootstrap is missing: apt-get install --no-install-recommends debootstrap"
        origin=$(origin_of "$suite")
        mirror=$(mirror_of "$origin")
        # Ubuntu's installer enables universe as well.
        [ "$origin" = Debian ] || set -- --components=main,universe "$@"
        debootstrap --variant=minbase "$@" ${mirror:+"$mirror"} >"$root.log" 2>&1 ||
            die "debootstrap of $suite failed: $(tail -n 3 "$root.log")"
        if [ -n "$cached" ]; then
            mkdir -p "$FRESH_ROOT_CACHE"
            tar -cpf "$cached.new" -C "$root" --numeric-owner .
            mv "$cached.new" "$cached"
        fi
    fi
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    mkdir -p "$root/root/perdure"
    tar -cf - -C "$tree" --exclude=./build --exclude=./.git . |
        tar -xf - -C "$root/root/perdure" --no-same-owner
}

# Inherited descriptors would show up in what is started inside, and CRIU cannot dump those.
close_fds() {
    local fd
    for fd in /proc/self/fd/*; do
        fd=${fd##*/}
        # /proc/self/fd itself was open while it was read, so some numbers are gone by now.
        [ "$fd" -le 2 ] || eval "exec $fd>&-"
    done
}

# pivot_root, not chroot: CRIU needs every mount of a task to have its parent in the namespace.
# shellcheck disable=SC2016 # expanded by the inner shell
enter='
set -e
mount --bind "$0" "$0"
cd "$0"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run
mkdir .old
pivot_root . .old
umount -l /.old
rmdir /.old
cd /root/perdure
exec "$@"'

run_inside() (
    local root=$1
    shift
    close_fds
    exec env -i HOME=/root USER=root LOGNAME=root LANG=C.UTF-8 TERM="${TERM:-dumb}" \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
        unshare --mount --propagation private sh -c "$enter" "$root" "$@"
)

# What still runs inside has its root directory there, whatever namespaces it has made since.
# shellcheck disable=SC2317 # called by the trap
end_leftovers() {
    local root=$1 proc pid
    for proc in /proc/[0-9]*; do
        [ "$proc/root" -ef "$root" ] || continue
        pid=${proc#/proc/}
        echo "fresh-root: still running: $pid ($(cat "$proc/comm" 2>/dev/null || true))" >&2
        kill -KILL "$pid" 2>/dev/null || true
    done
}

[ $# -ge 2 ] || die "usage: $0 SUITE COMMAND [ARG...]"
[ "$(id -u)" = 0 ] || die "needs root: sudo $0 $*"
suite=$1
shift
root=$(mktemp -d "${TMPDIR:-/var/tmp}/fresh-$suite.XXXXXX")
chmod 755 "$root"
trap 'end_leftovers "$root"; rm -rf --one-file-system "$root" "$root.log"' EXIT
trap 'exit 1' HUP INT TERM

make_root "$suite" "$root"
code=0
run_inside "$root" "$@" || code=$?
exit "$code"
