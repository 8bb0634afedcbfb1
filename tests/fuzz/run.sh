#!/bin/sh
# Fuzzes each target with libFuzzer, beginning with its committed corpus, which is not
# changed.  To be started in the build directory of
#	configure CC=clang --enable-fuzzers
# after `make check`, which makes the targets.  What fails is left as crash-* here.
usage="usage: $0 SECONDS [TARGET...]"
case ${1-} in
'' | *[!0-9]*)
	echo "$usage" >&2
	exit 2
	;;
esac
seconds=$1
shift
corpus=$(cd "$(dirname "$0")/corpus" && pwd) || exit 2
found=$(mktemp -d) || exit 2
trap 'rm -rf "$found"' EXIT
if [ $# -eq 0 ]; then
	for target in tests/fuzz/fuzz_*; do
		case $target in
		*.*) ;;
		*) [ -x "$target" ] && set -- "$@" "${target##*fuzz_}" ;;
		esac
	done
fi
if [ $# -eq 0 ]; then
	echo "$0: no fuzz targets in tests/fuzz: run make check there first" >&2
	exit 2
fi
failed=0
for target; do
	echo "== $target"
	mkdir "$found/$target" || exit 2
	"tests/fuzz/fuzz_$target" -max_total_time="$seconds" -max_len=2048 -timeout=10 \
		-rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="crash-$target-" \
		"$found/$target" "$corpus/$target" >"$found/log" 2>&1 || failed=1
	if [ $failed -eq 0 ]; then
		grep -E '^(Done|stat::(number_of|average|peak))' "$found/log"
	else
		cat "$found/log"
	fi
	[ $failed -eq 0 ] || break
done
exit $failed
