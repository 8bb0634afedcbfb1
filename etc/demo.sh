#!/bin/sh
# demo.sh [BUILD [CONFIGURATION]]: runs the demo with what was built in BUILD (build),
# and shows the messages as they come into the database.  Control-C ends it.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$top/build}
conf=${2:-$top/etc/demo.conf}
plugins=$build/plugins/.libs

"$build/src/chatctl" --plugin-dir "$plugins" -c "$conf" store init
"$build/src/chatd" --plugin-dir "$plugins" -f -c "$conf" &
server=$!
trap 'kill -TERM $server 2>/dev/null || :' INT TERM HUP
python3 "$top/etc/rows.py" "$build/src/chatd" "$plugins" "$conf" "$server" &

# A signal ends a wait, and what it is for is done: again, then.
code=0
while kill -0 $server 2>/dev/null; do
	code=0
	wait $server || code=$?
done
wait
exit $code
