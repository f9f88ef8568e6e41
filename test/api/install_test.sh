#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# What a program outside this tree has: installs a build directory somewhere, compiles each public
# header on its own in C and C++, builds the example against the shared and the static library, and
# runs it against a server.
#
#	test/api/install_test.sh BUILD_DIR
set -eu

build=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
example=$here/../../examples/read-block
work=$(mktemp -d)
server=

finish() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	[ -z "$server" ] || wait "$server" 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT

step() {
	printf '%s\n' "$*"
}

# ---- Install ----

DESTDIR=$work/root meson install -C "$build" --no-rebuild --quiet >"$work/log" 2>&1 || {
	cat "$work/log"
	exit 1
}
pc=$(find "$work/root" -name mpnic.pc)
[ -n "$pc" ] || {
	echo "mpnic.pc was not installed"
	exit 1
}
root=$work/root$(sed -n 's/^prefix=//p' "$pc")
libdir=$(dirname "$(dirname "$pc")")

# The file names the prefix of the build; ours is below DESTDIR. Nobody needs the tree for it.
sed -i "s|^prefix=.*|prefix=$root|" "$pc"
export PKG_CONFIG_PATH=$libdir/pkgconfig
export LD_LIBRARY_PATH=$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
read -ra cflags <<<"$(pkg-config --cflags mpnic)"
read -ra libs <<<"$(pkg-config --libs mpnic)"
# The static one: our archive by name, with what it needs as the machine has it. (pkg-config --static
# also names what a static DPDK would need, down to libraries nobody has archives of.)
read -ra needs <<<"$(pkg-config --print-requires --print-requires-private mpnic |
	awk '{ print $1 }' | tr '\n' ' ')"
read -ra static_libs <<<"$(sed -n 's/^Libs.private: *//p' "$pc") $(pkg-config --libs "${needs[@]}")"
case " ${cflags[*]} " in
*" -I$root/include "*) ;;
*)
	echo "pkg-config names no include directory below the prefix: ${cflags[*]}"
	exit 1
	;;
esac

# ---- Headers ----

nb=0
for h in "$root"/include/mpnic/*.h; do
	name=mpnic/$(basename "$h")
	step "header $name"
	printf '#include <%s>\nint main(void) { return 0; }\n' "$name" >"$work/h.c"
	cp "$work/h.c" "$work/h.cc"
	cc -std=c11 "${cflags[@]}" -Wall -Wextra -Werror -fsyntax-only "$work/h.c"
	if command -v c++ >/dev/null; then
		c++ -std=c++17 "${cflags[@]}" -Wall -Wextra -Werror -fsyntax-only "$work/h.cc"
	fi
	# Twice is as good as once.
	printf '#include <%s>\n#include <%s>\n' "$name" "$name" >"$work/h.c"
	cc -std=c11 "${cflags[@]}" -fsyntax-only "$work/h.c"
	nb=$((nb + 1))
done
[ "$nb" -ge 5 ] || {
	echo "only $nb headers were installed"
	exit 1
}
command -v c++ >/dev/null || step "C++: skipped, there is no c++ here"

# ---- The example ----

lines=$(wc -l <"$example/read_block.c")
[ "$lines" -le 120 ] || {
	echo "read_block.c has $lines lines, more than 120"
	exit 1
}
step "example, shared, by the line in its comment"
cc -std=gnu11 -Wall -Wextra -Werror -o "$work/read-block" "$example/read_block.c" \
	"${cflags[@]}" "${libs[@]}"
step "example, static"
cc -std=gnu11 -o "$work/read-block-static" "$example/read_block.c" "${cflags[@]}" \
	-Wl,--whole-archive "$libdir/libmpnic.a" -Wl,--no-whole-archive "${static_libs[@]}"
step "example, by its own meson.build"
meson setup "$work/b" "$example" >"$work/log" 2>&1 && ninja -C "$work/b" >>"$work/log" 2>&1 || {
	cat "$work/log"
	exit 1
}

ldd "$work/read-block" | grep -q 'libmpnic\.so' || {
	echo "the shared example does not use libmpnic.so"
	exit 1
}
if ldd "$work/read-block-static" | grep -q 'libmpnic\.so'; then
	echo "the static example uses libmpnic.so"
	exit 1
fi

expect() { # STATUS TEXT COMMAND...
	local status=0 want=$1 text=$2

	shift 2
	timeout 30 "$@" >"$work/out" 2>&1 || status=$?
	if [ "$status" != "$want" ] || ! grep -q -- "$text" "$work/out"; then
		echo "$*: status $status, expected $want and '$text':"
		cat "$work/out"
		exit 1
	fi
}

for exe in "$work/read-block" "$work/read-block-static" "$work/b/read-block"; do
	step "run $(basename "$(dirname "$exe")")/$(basename "$exe")"
	expect 0 "vhost:" "$exe" --help
	expect 2 "usage" "$exe"
	expect 2 "expected a number" "$exe" ring:x disk 12x
	expect 1 "nosuch" "$exe" nosuch:x disk 0
done

# ---- Against a server ----

ebd=$(find "$root" -path '*/bin/ebd' -type f)
if [ -z "$ebd" ]; then
	step "run against a server: skipped, ebd was not built"
	exit 0
fi
export XDG_RUNTIME_DIR=$work/run
mkdir -m 700 "$XDG_RUNTIME_DIR"
{
	printf 'a block of letters: '
	head -c 65536 /dev/zero | tr '\0' 'x'
} | head -c 65536 >"$work/image"
"$ebd" serve --link "vhost:$work/s.sock" --volume "disk0=file:$work/image" --no-huge \
	>"$work/serve.log" 2>&1 &
server=$!
for exe in "$work/read-block" "$work/read-block-static"; do
	expect 0 "61 20 62 6c 6f 63 6b 20  *6f 66 20 6c 65 74 74 65 *a block of lette" \
		"$exe" "virtio:$work/s.sock" disk0 0
	expect 1 "nobody on link" "$exe" "virtio:$work/s.sock" disk1 0
	expect 1 "Invalid argument" "$exe" "virtio:$work/s.sock" disk0 65536
done
kill "$server"
wait "$server" || {
	echo "ebd serve ended with an error:"
	cat "$work/serve.log"
	exit 1
}
server=
step "all is well"
