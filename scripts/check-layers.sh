#!/bin/sh
# Proves the layers: an include may only point down, and a foreign library has one place.
#
# common <- supervisord, ckptd <- ctl (which may read policies: supervisord/policy*.h, nothing else)
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

# shellcheck disable=SC2046 # no white space in our file names
layers() {
    forbid "common/ is the lowest layer" '#include "(supervisord|ckptd|ctl|tests)/' $(sources common)
    forbid "supervisord/ sees only common/" '#include "(ckptd|ctl|tests)/' $(sources supervisord)
    forbid "ckptd/ sees only common/" '#include "(supervisord|ctl|tests)/' $(sources ckptd)
    forbid "ctl/ sees only common/ and policies" '#include "(ckptd|tests)/' $(sources ctl)
    forbid "ctl/ sees only common/ and policies" '#include "supervisord/([^p]|p[^o]|po[^l])' \
        $(sources ctl)
    forbid "every include names its folder" '#include "[^/"]+"' \
        $(sources common) $(sources supervisord) $(sources ckptd) $(sources ctl)

    pure='#include <(sys/(socket|epoll|mount|wait|ioctl|prctl|syscall|un|stat)|unistd|fcntl|systemd/.*)\.?h?>'
    forbid "this file is pure: no system calls, no event loop" "$pure" \
        supervisord/service.[ch] supervisord/service_judge.[ch] supervisord/ladder.[ch]

    forbid "only ckptd/criu.c knows libcriu" '#include <(criu/)?criu\.h>' \
        $(sources common) $(sources supervisord) $(sources ckptd criu.c) $(sources ctl)
    forbid "only supervisord/policy_file.c knows inih" '#include <ini\.h>' \
        $(sources common) $(sources supervisord policy_file.c) $(sources ckptd) $(sources ctl)
    forbid "JSON is made and read in few places" '#include <jansson\.h>' \
        $(sources common) $(sources supervisord control_json.c) \
        $(sources ckptd json.c manifest.c worker_selftest.c)
    forbid "one file per foreign library: no #ifdef" '^#[[:space:]]*if(def)?[[:space:]]' \
        $(sources common) $(sources supervisord) $(sources ckptd) $(sources ctl)
    forbid "the keeper parses nothing and has no bus" '#include <(systemd/sd-bus|jansson|ini)' \
        $(sources supervisord | grep '/keeper')
}

layers
[ "$bad" = 0 ] && echo "layers: every include points down"
exit "$bad"
