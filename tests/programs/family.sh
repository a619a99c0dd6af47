#!/bin/sh
# A shell with three counting children and a pipeline. usage: family.sh FOLDER
# Every count lives in the memory of its own process; the files, open for appending all the time, are
# only its log: one that is replaced by a rename could be caught halfway by a checkpoint.
cd "$1" || exit 1
count() {
    n=0
    while :; do
        n=$((n + 1))
        echo "$n"
        sleep 0.02
    done
}
count >>a &
count >>b &
count >>c &
{ n=0; while :; do n=$((n + 1)); echo "$n"; sleep 0.02; done; } |
    while read -r n; do
        echo "$n"
    done >>pipe
