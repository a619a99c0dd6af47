#!/bin/sh
# Stands in for ckpt-worker where a test needs a dump that goes wrong in a certain way.
# FAKE_MODE: commit, fail, silent, hang, kill, slow. FAKE_NAME: the service. Its verify finds damage.
mode=$1
shift
while [ $# -gt 0 ]; do
    case $1 in
    --store) store=$2 ;;
    --number) number=$2 ;;
    --*=*) shift; continue ;;
    esac
    shift 2
done

if [ "$mode" = selftest ]; then
    [ -n "$FAKE_SELFTEST_COUNT" ] && echo x >>"$FAKE_SELFTEST_COUNT"
    echo "{\"criu\":40101,\"sockets\":true,\"other_uid\":true,\"usable\":${FAKE_USABLE:-true},\"why\":\"no luck\",\"cure\":\"try harder\"}"
    exit 0
fi
if [ "$mode" = verify ]; then # until the test lets it go on; FAKE_MODE hang: never
    [ "$(cat "$store/mode")" = hang ] && exec sleep 60
    until [ -e "$store/go-on" ] || [ ! -e "$store" ]; do sleep 0.02; done
    printf '%%1/2\n{"checkpoints":[{"id":"%s@1","ok":false,"damaged":true,"why":"flipped"}]}' \
        "$FAKE_NAME" >&4
    exit 0
fi
[ "$mode" = dump ] || exit 1

service=$store/$FAKE_NAME
staging=$service/staging-$number
mkdir -p "$staging" || exit 1
exec 9<"$staging"
flock -n 9 || exit 1
echo "$$ $(cut -d' ' -f22 /proc/$$/stat)" >"$staging/worker"
FAKE_MODE=$(cat "$store/mode" 2>/dev/null || echo "$FAKE_MODE")

case $FAKE_MODE in
fail) printf 'it did not work\ndo better' >&4; exit 1 ;;
silent) exit 3 ;;
kill) kill -9 $$ ;;
hang) exec sleep 60 ;;
slow) sleep 0.25 ;;
esac

printf page >"$staging/pages-1.img"
cp "$store/../../templates/$FAKE_NAME/$number/manifest.json" "$staging/" || exit 1
rm "$staging/worker"
mv "$staging" "$service/$number"
