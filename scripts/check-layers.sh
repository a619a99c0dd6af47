#!/bin/sh
# Proves the layers: an include may only point down, and a foreign library has one place.
#
# common <- image <- ckptd, worker
# common <- supervisord <- ctl (which may read policies: supervisord/policy*.h, nothing else)
set -eu
cd "$(dirname "$0")/.."
bad=0

# forbid "WHY" PATTERN FILE...: no line of the files may match
forbid() {
    why=$1
    pattern=$2
    shift 2
    found=$(grep -nHE "$pattern" "$@" /dev/null 2>/dev/null) || return 0
    printf '%s\n' "$found" | sed "s|\$|   <- $why|"
    bad=1
}

# sources FOLDER [EXCEPT...]: its .c and .h files
sources() {
    folder=$1
    shift
    for file in "$folder"/*.[ch]; do
        for except in "$@"; do
            case $file in "$folder/$except") continue 2 ;; esac
        done
        echo "$file"
    done
}

# Every file that goes into a program.
all() {
    for folder in common supervisord image ckptd worker ctl; do sources $folder; done
}

# but FILE...: the same without these
but() {
    all | grep -vxF "$(printf '%s\n' "$@")"
}

# shellcheck disable=SC2046 # no white space in our file names
layers() {
    forbid "common/ is the lowest layer" \
        '#include "(supervisord|image|ckptd|worker|ctl|tests)/' $(sources common)
    forbid "supervisord/ sees only common/" '#include "(image|ckptd|worker|ctl|tests)/' \
        $(sources supervisord)
    forbid "image/ sees only common/" '#include "(supervisord|ckptd|worker|ctl|tests)/' \
        $(sources image)
    forbid "ckptd/ sees only common/ and image/" '#include "(supervisord|worker|ctl|tests)/' \
        $(sources ckptd)
    forbid "worker/ sees only common/ and image/" '#include "(supervisord|ckptd|ctl|tests)/' \
        $(sources worker)
    forbid "ctl/ sees only common/ and policies" '#include "(image|ckptd|worker|tests)/' \
        $(sources ctl)
    forbid "ctl/ sees only common/ and policies" '#include "supervisord/([^p]|p[^o]|po[^l])' \
        $(sources ctl)
    forbid "every include names its folder" '#include "[^/"]+"' \
        $(all)

    pure='#include <(sys/(socket|epoll|mount|wait|ioctl|prctl|syscall|un|stat)|unistd|fcntl|systemd/.*)\.?h?>'
    forbid "this file is pure: no system calls, no event loop" "$pure" \
        supervisord/service.[ch] supervisord/service_judge.[ch] supervisord/ladder.[ch]

    forbid "only worker/criu.c knows libcriu" '#include <(criu/)?criu\.h>' $(but worker/criu.c)
    forbid "only supervisord/policy_file.c knows inih" '#include <ini\.h>' \
        $(but supervisord/policy_file.c)
    forbid "only image/keys.c knows libsodium" '#include <sodium' $(but image/keys.c)
    forbid "only image/archive.c knows libarchive" '#include <archive' $(but image/archive.c)
    forbid "only image/zstd.c knows libzstd" '#include <zstd' $(but image/zstd.c)
    forbid "JSON is made and read in few places" '#include <jansson\.h>' \
        $(sources common) $(sources supervisord control_json.c) $(sources ckptd json.c) \
        $(sources image manifest.c manifest_read.c) $(sources worker selftest.c verify.c json.c json.h describe.c diff.c archive_json.c)
    forbid "one file per foreign library: no #ifdef" '^#[[:space:]]*if(def)?[[:space:]]' \
        $(all)
    forbid "the keeper parses nothing and has no bus" '#include <(systemd/sd-bus|jansson|ini)' \
        $(sources supervisord | grep '/keeper')
}

layers
[ "$bad" = 0 ] && echo "layers: every include points down"
exit "$bad"
