#!/bin/sh
# setup.sh DIRECTORY: makes the environment of the system tests there, or brings
# it up to date: a Python venv, and node_modules beside it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
env=${1:?usage: setup.sh DIRECTORY}

for tool in python3 node npm; do
	if ! command -v "$tool" >/dev/null 2>&1; then
		echo "setup.sh: $tool is missing." >&2
		echo "On Debian: apt-get install python3-venv nodejs npm" >&2
		exit 1
	fi
done

mkdir -p "$env"
if ! cmp -s "$here/requirements.txt" "$env/requirements.txt"; then
	python3 -m venv "$env"
	"$env/bin/python3" -m pip install --quiet --disable-pip-version-check \
	    -r "$here/requirements.txt"
	cp "$here/requirements.txt" "$env/requirements.txt"
fi
if ! cmp -s "$here/package.json" "$env/package.json.done"; then
	cp "$here/package.json" "$env/package.json"
	npm install --prefix "$env" --no-audit --no-fund --loglevel=error
	cp "$here/package.json" "$env/package.json.done"
fi
