#!/bin/sh
# debian.sh PACKAGE...: installs those of these Debian packages that are missing.
# PROGRAM=PACKAGE: only if there is no such program, wherever it came from.
set -eu
missing=
for name; do
	package=${name#*=}
	if [ "$package" != "$name" ]; then
		command -v "${name%%=*}" >/dev/null 2>&1 && continue
	elif dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null |
	    grep -qx installed; then
		continue
	fi
	missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
	echo "debian.sh: no apt-get here; install by hand:$missing" >&2
	exit 1
fi
as_root=
if [ "$(id -u)" -ne 0 ]; then
	as_root=sudo
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -q >/dev/null
# shellcheck disable=SC2086  # words, on purpose
$as_root apt-get install -q -y --no-install-recommends $missing >/dev/null
