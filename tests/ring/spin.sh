#!/bin/sh
# Checks the models of the ring with spin: the models as they are must hold, over
# the whole of their state space, and each broken variant must fail.
# Needs spin and a C compiler; takes under a minute and under 2 GB.
# "spin.sh long" goes to the bounds that need a gigabyte and a minute more.
set -u
srcdir=${srcdir:-.}
models=$(cd "$srcdir/ring" && pwd)
cc=${CC:-cc}
command -v spin >/dev/null 2>&1 || { echo "spin is not installed"; exit 77; }
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 99
bad=0

# build OPTIMISE MODEL FLAGS...: makes ./pan
build() {
	optimise=$1 model=$2
	shift 2
	rm -f pan pan.* _spin_nvr.tmp
	if ! spin "$@" -a "$models/$model.pml" >spin.out 2>&1 ||
	    ! $cc $optimise -w -DSAFETY -DCOLLAPSE -DMEMLIM=1900 -o pan pan.c \
		>cc.out 2>&1; then
		echo "FAIL: $model $*: does not build"
		cat spin.out cc.out 2>/dev/null
		exit 1
	fi
}

states() {
	awk '/states, stored/ { print $1 }' pan.out
}

# holds MODEL FLAGS...
holds() {
	build -O2 "$@"
	./pan -m500000 -w23 >pan.out 2>&1
	if grep -q "errors: 0" pan.out && grep -q "^Full statespace search" pan.out &&
	    ! grep -qE "depth too small|not completed|out of memory|aborted" pan.out
	then
		echo "ok: $*: $(states) states, no error"
	else
		echo "FAIL: $*"
		cat pan.out
		bad=1
	fi
}

# fails MODEL FLAGS...
fails() {
	build -O0 "$@"
	./pan -m500000 -w23 >pan.out 2>&1
	if grep -q "assertion violated" pan.out && grep -q "errors: 1" pan.out; then
		echo "ok: $*: fails, as it must"
	else
		echo "FAIL: $*: pan finds nothing wrong with it"
		cat pan.out
		bad=1
	fi
}

holds ring -DPUTS=4 -DKILLS=2
holds ring -DPUTS=5 -DKILLS=1
[ "${1:-}" != long ] || holds ring -DPUTS=5 -DKILLS=2
for variant in NO_PAD NO_RECHECK NO_CHECK LATE_INTENT SEQ_ONLY; do
	fails ring -D$variant
done
holds wake
for variant in NO_FENCE_ARM NO_FENCE_WAKE NO_LOOK WAKE_ARMED; do
	fails wake -D$variant
done
holds queue -DPUTS=4 -DKILLS=2
[ "${1:-}" != long ] || holds queue -DPUTS=7 -DKILLS=3
for variant in NO_GATE STALE_GATE EARLY_DONE EARLY_TAIL FROM_DONE ONE_MARK SEQ_ONLY; do
	fails queue -D$variant
done
exit $bad
