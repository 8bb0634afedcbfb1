#!/bin/sh
# embed.sh DIRECTORY: prints a C file with the demo page, for demo.c.
set -e
dir=$1

# path on the server, file, content type
files='/ index.html text/html
/demo.css demo.css text/css
/demo.mjs demo.mjs text/javascript
/parts.mjs parts.mjs text/javascript
/people.mjs people.mjs text/javascript
/wire.mjs wire.mjs text/javascript
/demo.svg demo.svg image/svg+xml'

cat <<END
/* Made from the demo page by demo/embed.sh. */
#include "config.h"

#include "demo/demo.h"

END
echo "$files" | while read -r path file type; do
	name=$(echo "$file" | tr . _)
	echo "static const unsigned char ${name}[] = {"
	od -An -v -tu1 "$dir/$file" | sed 's/[0-9][0-9]*/&,/g'
	echo "};"
done
echo "const struct demo_file demo_files[] = {"
echo "$files" | while read -r path file type; do
	name=$(echo "$file" | tr . _)
	echo "	{ \"$path\", \"$type; charset=utf-8\","
	echo "	    { (const char *)$name, sizeof($name) } },"
done
echo "};"
echo "const size_t demo_n_files = BASE_COUNT(demo_files);"
