#!/bin/sh
# Makes ./configure from configure.ac.  Needed once after a clone.
set -e
cd "$(dirname "$0")"
for tool in autoreconf libtoolize pkg-config; do
	if ! command -v "$tool" >/dev/null 2>&1; then
		echo "autogen.sh: $tool is missing." >&2
		echo "On Debian: apt-get install autoconf automake libtool pkg-config" >&2
		exit 1
	fi
done
exec autoreconf --install --force --warnings=all "$@"
