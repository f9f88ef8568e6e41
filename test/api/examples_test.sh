#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Builds every example as the project of its own that it is, against an installation, and runs those
# that need no arguments to be worth it.
#
#	test/api/examples_test.sh PREFIX
set -eu

prefix=$(realpath "$1")
examples=$(cd "$(dirname "$0")/../../examples" && pwd)
meson=$([ -x /usr/bin/meson ] && echo /usr/bin/meson || command -v meson)
work=$(mktemp -d)
server=

finish() {
	local rc=$?

	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	[ -z "$server" ] || wait "$server" 2>/dev/null || true
	if [ "$rc" -ne 0 ]; then tail -n 20 "$work"/*.log; fi
	rm -rf "$work"
	exit "$rc"
}
trap finish EXIT
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name mpnic.pc)")
LD_LIBRARY_PATH=$(dirname "$PKG_CONFIG_PATH")
export PKG_CONFIG_PATH LD_LIBRARY_PATH RUNTIME_DIRECTORY=$work

for dir in "$examples"/*/; do
	name=$(basename "$dir")
	echo "build $name"
	[ "$(cat "$dir"*.c | wc -l)" -le 120 ] || {
		echo "$name is longer than 120 lines"
		exit 1
	}
	"$meson" setup "$work/$name" "$dir" -Dwerror=true >"$work/$name.log" 2>&1
	ninja -C "$work/$name" >>"$work/$name.log" 2>&1
done

run() { # EXPECTED NAME [arguments]
	local want=$1 name=$2

	shift 2
	echo "run $name"
	timeout 60 "$work/$name/$name" "$@" >"$work/$name.run.log" 2>&1
	grep -q -- "$want" "$work/$name.run.log"
}

run "the receiver asks" one-process
run "1000 frames sent, 1000 came back" echo-personality
"$work/serve-memory/serve-memory" "vhost:$work/l.sock" 16M >"$work/serve-memory.log" 2>&1 &
server=$!
until grep -qx ready "$work/serve-memory.log"; do
	kill -0 "$server"
	read -rt 0.05 <><(:) || true
done
run '^0$' async-reads "virtio:$work/l.sock" memory
run '^0$' loaned-read "virtio:$work/l.sock" memory
echo 4096 | run '^4096: 00 00 00 00' own-event-loop "virtio:$work/l.sock" memory
run '^00000000  00 00' read-block "virtio:$work/l.sock" memory 0
kill "$server"
wait "$server"
server=
