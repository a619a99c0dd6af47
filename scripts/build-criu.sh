#!/bin/sh
# Build CRIU 4.1.1 and libcriu from Debian's original tarball into a prefix of their own; no file of
# the distribution is touched.
#
# usage: build-criu.sh [PREFIX]      (default: $CRIU_PREFIX, else /opt/perdure/criu)
# CRIU_TARBALL=/path/criu_4.1.1.orig.tar.xz is used instead of a download; its checksum counts too.
# The packages the build needs are installed by deps.sh.
set -eu

version=4.1.1
sha256=f80a66cb3726bb2116266d4759ce3bcbfab7abdb6b6d430bf20dd41911717afe
tarball=criu_$version.orig.tar.xz
patches=$(cd "$(dirname "$0")" && pwd)/criu-$version # ...-*.patch
prefix=${1:-${CRIU_PREFIX:-/opt/perdure/criu}}

say() {
    echo "build-criu: $*" >&2
}

die() {
    say "$*"
    exit 1
}

# The distribution's own mirrors, from this machine's apt; foreign archives are not asked.
mirrors() {
    # shellcheck disable=SC2016 # apt expands these
    apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        sed -n -e 's/^Debian //p' -e 's/^Ubuntu //p' | sort -u
}

# download URL FILE: apt's own downloader is there on a bare root, curl and wget may not be.
download() {
    helper=/usr/lib/apt/apt-helper
    if [ -x "$helper" ]; then
        "$helper" download-file "$1" "$2" "SHA256:$sha256"
    elif command -v curl >/dev/null; then
        curl -fsSL -m 120 -o "$2" "$1"
    else
        wget -q -T 120 -O "$2" "$1"
    fi >"$work/download.log" 2>&1
}

is_genuine() {
    echo "$sha256  $1" | sha256sum -c --status - 2>/dev/null
}

# The verified tarball as $work/get/$tarball.
fetch() {
    to=$work/get/$tarball
    if [ -n "${CRIU_TARBALL:-}" ]; then
        [ -r "$CRIU_TARBALL" ] || die "CRIU_TARBALL=$CRIU_TARBALL cannot be read"
        is_genuine "$CRIU_TARBALL" ||
            die "CRIU_TARBALL=$CRIU_TARBALL is not the original $tarball (sha256 $sha256)"
        cp "$CRIU_TARBALL" "$to"
        return
    fi
    asked=
    for mirror in $(mirrors); do
        for component in main universe; do
            url=${mirror%/}/pool/$component/c/criu/$tarball
            asked="$asked
  $url"
            if download "$url" "$to" && is_genuine "$to"; then
                say "downloaded $url"
                return
            fi
            rm -f "$to"
        done
    done
    [ -n "$asked" ] || asked=" none (apt knows no Debian or Ubuntu mirror: run apt-get update)"
    die "no mirror of this machine has $tarball; asked:$asked
fetch that file from any Debian mirror (pool/main/c/criu/, sha256 $sha256)
and run again with CRIU_TARBALL=/path/to/$tarball"
}

# Not `make install-lib`: that one builds the Python bindings as well.
compile() {
    (
        cd "$work/criu-$version"
        make -j"$(nproc)" criu
        make -j"$(nproc)" lib
    ) >"$work/make.log" 2>&1 </dev/null && return
    keep=${TMPDIR:-/var/tmp}/criu-build.log
    tail -n 20 "$work/make.log" >&2
    cp "$work/make.log" "$keep"
    die "CRIU $version does not build here; the whole log is $keep"
}

# Both <criu/criu.h> and <criu.h> are used in the field, so both folders are on the include path;
# the run path spares the programs an LD_LIBRARY_PATH.
pc_file() {
    # shellcheck disable=SC2016 # pkg-config expands these
    sed -e "s|@version@|$version|" -e "s|@libdir@|$prefix/lib|" \
        -e "s|@includedir@|$prefix/include|" \
        -e 's|^Cflags:.*|Cflags: -I${includedir} -I${includedir}/criu|' \
        -e 's|^Libs:.*|Libs: -L${libdir} -Wl,-rpath,${libdir} -lcriu|' \
        lib/c/criu.pc.in
}

# crit(1), which reads images; its modules stay out of the system's Python.
install_crit() {
    mkdir -p "$prefix/lib/python" "$prefix/bin"
    rm -rf "$prefix/lib/python/pycriu" "$prefix/lib/python/crit"
    cp -r lib/pycriu crit/crit "$prefix/lib/python/"
    echo "__version__ = '$version'" >"$prefix/lib/python/crit/version.py"
    cat >"$prefix/bin/crit" <<END
#!/usr/bin/python3
import sys

sys.path.insert(0, "$prefix/lib/python")
sys.dont_write_bytecode = True
from crit.__main__ import main

sys.exit(main())
END
    chmod 755 "$prefix/bin/crit"
}

# criu.pc goes last: whoever finds it finds everything else.
install_files() (
    cd "$work/criu-$version"
    umask 022
    mkdir -p "$prefix/sbin" "$prefix/lib/pkgconfig" "$prefix/include/criu"
    rm -f "$prefix/lib/pkgconfig/criu.pc"
    install -m 755 criu/criu "$prefix/sbin/criu"
    install -m 755 lib/c/libcriu.so "$prefix/lib/libcriu.so.2"
    ln -fns libcriu.so.2 "$prefix/lib/libcriu.so"
    install -m 644 lib/c/libcriu.a "$prefix/lib/libcriu.a"
    install -m 644 lib/c/criu.h images/rpc.proto images/rpc.pb-c.h criu/include/version.h \
        "$prefix/include/criu/"
    install_crit
    pc_file >"$work/criu.pc"
    # deps.sh compares them: a build without a patch, or with an older one, is built again.
    for patch in "$patches"-*.patch; do
        install -D -m 644 "$patch" "$prefix/share/${patch##*/}"
    done
    install -m 644 "$work/criu.pc" "$prefix/lib/pkgconfig/criu.pc"
)

if ! mkdir -p "$prefix" 2>/dev/null || ! [ -w "$prefix" ]; then
    die "cannot write to $prefix; run as root: CRIU_PREFIX=$prefix $0"
fi
prefix=$(cd "$prefix" && pwd)
work=$(mktemp -d "${TMPDIR:-/var/tmp}/criu-build.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
# apt downloads as its own user where it can reach the folder.
chmod 755 "$work"
mkdir "$work/get"

fetch
tar -xf "$work/get/$tarball" -C "$work"
for patch in "$patches"-*.patch; do
    patch -s -p1 -d "$work/criu-$version" <"$patch" || die "$patch does not apply"
done
say "building CRIU $version for $prefix (about half a minute)"
compile
install_files
"$prefix/sbin/criu" --version | head -n 1 >&2
