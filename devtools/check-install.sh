#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Installs a build directory under its prefix: everything is there, and the library exports nothing
# but its own names. Then test/api uses an installation as a stranger would.
#
#	devtools/check-install.sh BUILD_DIR
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=devtools/setup.sh
. devtools/setup.sh

build=$1
prefix=$("$(setup_meson)" introspect "$build" --buildoptions | tr '{' '\n' |
	sed -nE 's/.*"name": "prefix", "value": "([^"]*)".*/\1/p')
rm -rf "$prefix"
"$(setup_meson)" install -C "$build" --no-rebuild --quiet

for f in lib/libmpnic.so lib/libmpnic.a lib/pkgconfig/mpnic.pc bin/ebd bin/mpnic; do
	[ -e "$prefix/$f" ] || {
		echo "$f was not installed"
		exit 1
	}
done
echo "symbols that the shared library exports beside its own:"
if nm -D --defined-only "$prefix/lib/libmpnic.so" | awk '{ print $3 }' |
	grep -vE '^(ebd_|mpn_|dev_st_|st_arena_|net_|MPNIC_[0-9]+$)'; then
	exit 1
fi

# What a program outside this tree has: headers, pkg-config, both libraries.
test/api/install_test.sh "$build"
test/api/examples_test.sh "$prefix"
