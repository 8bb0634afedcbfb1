#!/bin/bash
# run.sh [STAGE...]: all tests, on Debian: installs what they need, builds chatd in
# several ways under build-test/, and runs in each what it is for.
# The last line is the sum: N passed, N failed, N skipped.
#
# Stages, in this order; without arguments all of them:
#   gcc     warnings are errors; make check; installation; the tarball's own check
#   clang   with failure points: the ring and the daemon killed at each of them
#   asan    AddressSanitizer and UBSan: make check
#   tsan    ThreadSanitizer: the ring and the units
#   fuzz    a minute of libFuzzer for each parser (FUZZ_SECONDS)
set -u
cd "$(dirname "$0")/.." || exit 1
top=$PWD
work=$top/build-test
fuzz_seconds=${FUZZ_SECONDS:-60}
jobs=$(nproc)
passed=0 failed=0 skipped=0
bad=()

# ---- counting -----------------------------------------------------------------------

# result NAME CODE LOG: one test of its own.
result() {
	if [ "$2" -eq 0 ]; then
		passed=$((passed + 1))
		echo "PASS: $1"
	else
		failed=$((failed + 1))
		bad+=("$1")
		echo "FAIL: $1"
		tail -n 60 "$3"
	fi
}

# step NAME COMMAND...: a command that is a test by its exit code.
step() {
	local name=$1 log=$work/log/${1//[^A-Za-z0-9]/-}.log code
	shift
	"$@" >"$log" 2>&1
	code=$?
	result "$name" $code "$log"
	return $code
}

number() {
	sed -n "s/^# $2: *//p" "$1" | tail -n 1
}

# suite NAME COMMAND...: a make check; its own counts are added.
suite() {
	local name=$1 log=$work/log/${1//[^A-Za-z0-9]/-}.log code total
	shift
	SECONDS=0
	"$@" >"$log" 2>&1
	code=$?
	total=$(number "$log" TOTAL)
	if [ -z "$total" ]; then
		result "$name" 1 "$log"
		return
	fi
	local good=$(($(number "$log" PASS) + $(number "$log" XFAIL)))
	local skips wrong
	skips=$(number "$log" SKIP)
	wrong=$((total - good - skips))
	echo "$name: $good passed, $wrong failed, $skips skipped ($SECONDS s)"
	passed=$((passed + good))
	failed=$((failed + wrong))
	skipped=$((skipped + skips))
	if [ $wrong -gt 0 ] || [ $skips -gt 0 ]; then
		grep -E '^(FAIL|ERROR|XPASS|SKIP): ' "$log"
	fi
	if [ $wrong -gt 0 ]; then
		bad+=("$name")
		cat "$(dirname "$log")/../$name/tests/test-suite.log" 2>/dev/null | tail -n 150
	elif [ $code -ne 0 ]; then
		result "$name: make" $code "$log"
	fi
}

# ---- building -----------------------------------------------------------------------

install_needs() {
	etc/quickstart.sh --deps-only &&
	    etc/debian.sh clang libclang-rt-14-dev llvm libcmocka-dev libyajl-dev \
		libhttp-parser-dev spin mandoc shellcheck xz-utils procps git postgresql \
		python3=python3 node=nodejs npm=npm chromium=chromium \
		chromedriver=chromium-driver &&
	    { python3 -c 'import venv, ensurepip' 2>/dev/null ||
		etc/debian.sh python3-venv; } &&
	    tests/system/setup.sh "$work/env"
}

in_dir() (
	cd "$work/$1" && "${@:2}"
)

configure_and_make() {
	[ -f Makefile ] || "$top/configure" --enable-werror "$@" || return
	make -j"$jobs"
}

# build NAME CONFIGURE-ARGUMENTS...: configures and builds build-test/NAME.
build() {
	mkdir -p "$work/$1"
	step "$1: build" in_dir "$1" configure_and_make "${@:2}"
}

# check NAME MAKE-VARIABLES...
check() {
	suite "$1" make -C "$work/$1" -j"$jobs" check CHATD_TEST_ENV="$work/env" "${@:2}"
}

# ---- stages -------------------------------------------------------------------------

installation() {
	local root=$work/root
	rm -rf "$root"
	make -s install DESTDIR="$root" || return 1
	"$root/usr/local/sbin/chatd" -V || return 1
	"$root/usr/local/sbin/chatd" -t -c "$root/usr/local/etc/chatd/chat.conf" \
	    --plugin-dir "$root/usr/local/lib/chatd" || return 1
	make -s uninstall DESTDIR="$root" || return 1
	# The operator's own file may stay.
	[ -z "$(find "$root" -type f ! -name chat.conf)" ]
}

stage_gcc() {
	build gcc CC=gcc || return
	check gcc
	step "gcc: make install and uninstall with DESTDIR" in_dir gcc installation
	# The system tests have just run; the tarball has to build, and to hold the rest.
	step "gcc: make distcheck" in_dir gcc make -j"$jobs" distcheck \
	    CHATD_TEST_ENV="$work/env" system_tests= bench_checks=
}

stage_clang() {
	build clang CC=clang --enable-failpoints || return
	check clang lint_checks= system_tests='system/test_daemon.py system/test_workers.py'
}

stage_asan() {
	build asan CC=gcc CFLAGS='-O1 -g' --enable-sanitizers=address,undefined \
	    --enable-failpoints || return
	CHATD_TEST_PATIENCE=3 check asan lint_checks=
}

stage_tsan() {
	build tsan CC=clang CFLAGS='-O1 -g' --enable-sanitizers=thread || return
	check tsan lint_checks= system_tests= bench_checks=
}

# Ends with its exit code in a file, because others run beside it.
fuzz() {
	in_dir fuzz sh "$top/tests/fuzz/run.sh" "$fuzz_seconds" "$1" \
	    >"$work/log/fuzz-$1.log" 2>&1
	echo $? >"$work/log/fuzz-$1.code"
}

stage_fuzz() {
	local target names=() running=0
	build fuzz CC=clang CFLAGS='-O1 -g' --enable-fuzzers || return
	step "fuzz: build of the targets" make -C "$work/fuzz" -j"$jobs" check TESTS= ||
	    return
	for target in "$work"/fuzz/tests/fuzz/fuzz_*; do
		case ${target##*/} in
		*.*) ;;
		*) names+=("${target##*fuzz_}") ;;
		esac
	done
	for target in "${names[@]}"; do
		fuzz "$target" &
		running=$((running + 1))
		if [ $((running % jobs)) -eq 0 ]; then
			wait
		fi
	done
	wait
	for target in "${names[@]}"; do
		result "fuzz: $target for $fuzz_seconds s" \
		    "$(cat "$work/log/fuzz-$target.code")" "$work/log/fuzz-$target.log"
	done
}

# ---- all ----------------------------------------------------------------------------

stages=("$@")
[ $# -gt 0 ] || stages=(gcc clang asan tsan fuzz)
for stage in "${stages[@]}"; do
	if ! declare -F "stage_$stage" >/dev/null; then
		echo "$0: no stage $stage" >&2
		exit 2
	fi
done
mkdir -p "$work/log"
if step "packages and test environment" install_needs &&
    step "autogen.sh" ./autogen.sh; then
	for stage in "${stages[@]}"; do
		echo "== $stage"
		"stage_$stage"
	done
fi
if [ ${#bad[@]} -gt 0 ]; then
	echo "failed:"
	printf '  %s\n' "${bad[@]}"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
