#!/bin/sh
# quickstart.sh [--deps-only | --no-run]: installs what chatd needs on Debian, builds
# it in build/, and runs the demo in the foreground: http://127.0.0.1:8000/
# What is said there is shown a second time: as the rows of an SQLite database.
set -eu
usage="usage: $0 [--deps-only | --no-run]"
case ${1-} in
'' | --deps-only | --no-run) ;;
*)
	echo "$usage" >&2
	exit 2
	;;
esac
cd "$(dirname "$0")/.."

etc/debian.sh autoconf automake libtool pkg-config make gcc libc6-dev \
    libevent-dev libconfuse-dev libssl-dev libjwt-dev zlib1g-dev \
    liblmdb-dev libsqlite3-dev libpq-dev python3=python3
[ "${1-}" != --deps-only ] || exit 0

[ -x configure ] || ./autogen.sh
mkdir -p build
cd build
[ -f Makefile ] || ../configure
make -j"$(nproc)"
[ "${1-}" != --no-run ] || exit 0

cd ..
echo
echo "The demo: http://127.0.0.1:8000/ in two windows.  Control-C ends it."
exec etc/demo.sh
