#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Installs a build directory under its prefix and uses the result as a stranger would: every header
# compiles on its own, in C and C++, and every example builds with pkg-config alone, against the
# shared and the static library, and says its help.
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
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for f in lib/libmpnic.so lib/libmpnic.a lib/pkgconfig/mpnic.pc bin/ebd bin/mpnic; do
	[ -e "$prefix/$f" ] || {
		echo "$f was not installed"
		exit 1
	}
done
echo "symbols that the shared library exports beside its own:"
if nm -D --defined-only "$prefix/lib/libmpnic.so" | awk '{ print $3 }' |
	grep -vE '^(ebd_|mpn_|dev_st_|st_arena_|MPNIC_[0-9]+$)'; then
	exit 1
fi

read -ra cflags <<<"$(pkg-config --cflags mpnic)"
read -ra libs <<<"$(pkg-config --libs mpnic)"
read -ra static_libs <<<"$(pkg-config --static --libs mpnic)"
for h in "$prefix"/include/mpnic/*.h; do
	h=${h##*/}
	echo "header $h"
	echo "#include <mpnic/$h>" >"$work/h.c"
	cc "${cflags[@]}" -Wall -Wextra -Werror -fsyntax-only "$work/h.c"
done

for src in examples/*.c; do
	name=$(basename "$src" .c)
	[ "$(wc -l <"$src")" -le 120 ] || {
		echo "$src: longer than 120 lines"
		exit 1
	}
	echo "example $name"
	cc -O2 -Wall -Wextra -Werror "${cflags[@]}" -o "$work/$name" "$src" "${libs[@]}" \
		-Wl,-rpath,"$prefix/lib"
	# The static one: our archive by name, DPDK and the rest as the machine has them.
	cc -O2 "${cflags[@]}" -o "$work/$name-static" "$src" -Wl,--whole-archive \
		"$prefix/lib/libmpnic.a" -Wl,--no-whole-archive "${static_libs[@]/-lmpnic/}"
	for exe in "$work/$name" "$work/$name-static"; do
		"$exe" --help >"$work/out" 2>&1 || {
			echo "$name --help failed:"
			cat "$work/out"
			exit 1
		}
	done
done
