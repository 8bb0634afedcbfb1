#!/bin/sh
# fuzz_main finds what it is there to find: the target fuzz_leaky has both faults.
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
leaky=$(pwd)/fuzz/fuzz_leaky
ASAN_OPTIONS=detect_leaks=0:$ASAN_OPTIONS
export ASAN_OPTIONS
unset FUZZ_RUNS
cd "$dir" || exit 1

fail() {
	echo "check_main.sh: $1" >&2
	cat out >&2
	exit 1
}

printf 'harmless input' >a
"$leaky" -n 100000 a >out 2>&1 && fail "a target that leaks passed"
grep -q 'memory grew' out || fail "a leak was not seen"

"$leaky" -n 100 a >out 2>&1 || fail "a small run failed"
grep -q '100 mutations of seed 1' out || fail "the runs were not counted"

printf 'abort here' >b
"$leaky" -s 7 a b >out 2>&1 && fail "a target that aborts passed"
grep -q 'run 0 of seed 7' out || fail "the failing run is not named"
cmp -s b crash-fuzz_leaky-7-0 || fail "the failing input was not kept"

mkdir empty
"$leaky" empty >out 2>&1 && fail "an empty corpus passed"
exit 0
