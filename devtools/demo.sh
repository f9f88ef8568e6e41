#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# The whole path in a minute: makes a disk image with a file system in it, serves it in one process,
# discovers, copies and verifies it in another, over a vhost/virtio link. Needs neither hugepages nor,
# once the packages are there, root. Leaves nothing but its output folder, and may be run again.
#
#	devtools/demo.sh [--build DIR] [--out DIR]
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=devtools/setup.sh
. devtools/setup.sh

build=
out=demo-out
while [ $# -gt 0 ]; do
	case $1 in
	--build | --out)
		[ $# -gt 1 ] || {
			echo "demo.sh: $1: expected a directory" >&2
			exit 2
		}
		if [ "$1" = --build ]; then build=$2; else out=$2; fi
		shift
		;;
	-h | --help)
		sed -n '5,9s/^# \{0,1\}//p' "$0"
		exit 0
		;;
	*)
		echo "demo.sh: '$1': expected --build DIR or --out DIR" >&2
		exit 2
		;;
	esac
	shift
done

server=
work=

finish() {
	local rc=$?

	trap - EXIT INT TERM
	if [ -n "$server" ]; then
		kill "$server" 2>/dev/null || true
		wait "$server" 2>/dev/null || true
	fi
	[ -z "$work" ] || rm -rf "$work"
	if [ "$rc" -ne 0 ] && [ -s "$out/server.log" ]; then
		echo "demo.sh: failed; the server said:" >&2
		tail -n 5 "$out/server.log" >&2
	fi
	exit "$rc"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step() {
	printf '\n== %s\n' "$*"
}

run() {
	printf '$ ebd %s\n' "$*"
	"$ebd" "$@"
}

# ---- Prepare ----

setup_packages build demo
if [ -z "$build" ]; then
	build="build-demo"
	step "building in $build/"
	devtools/build.sh "$build" -Dtests=false >"${TMPDIR:-/tmp}/mpnic-demo-build.$$" 2>&1 || {
		cat "${TMPDIR:-/tmp}/mpnic-demo-build.$$"
		rm -f "${TMPDIR:-/tmp}/mpnic-demo-build.$$"
		exit 1
	}
	rm -f "${TMPDIR:-/tmp}/mpnic-demo-build.$$"
fi
ebd=$(realpath "$build/apps/ebd/ebd")

if [ -e "$out" ] && [ ! -e "$out/made-by-demo" ]; then
	echo "demo.sh: --out: '$out': exists and is not of an earlier demo; expected a new directory" >&2
	exit 2
fi
rm -rf "$out"
mkdir -p "$out/files"
touch "$out/made-by-demo"
# What DPDK and the socket need lives here and goes with us. The path is short: a socket's must be.
work=$(mktemp -d)
export RUNTIME_DIRECTORY=$work

step "an ext4 image with real files"
cp -r README.md doc lib apps "$out/files/"
head -c 48M /dev/urandom >"$out/files/random.bin"
truncate -s 64M "$out/files/hole.bin"
truncate -s 256M "$out/disk.img"
mkfs.ext4 -q -F -L mpnic -d "$out/files" "$out/disk.img"
printf '%s files, %s image, %s of it used\n' "$(find "$out/files" -type f | wc -l)" \
	"$(du -h --apparent-size "$out/disk.img" | cut -f1)" "$(du -h "$out/disk.img" | cut -f1)"
before=$(sha256sum <"$out/disk.img")

# ---- Serve and copy ----

step "a server process"
printf '$ ebd serve --link vhost:%s/ebd0.sock --volume disk0=file:%s/disk.img --volume scratch=mem:64M &\n' \
	"$work" "$out"
"$ebd" serve --link "vhost:$work/ebd0.sock" --volume "disk0=file:$out/disk.img" \
	--volume scratch=mem:64M >"$out/server.log" 2>&1 </dev/null &
server=$!
until grep -qx ready "$out/server.log"; do
	kill -0 "$server" 2>/dev/null || exit 1
	sleep 0.05
done
link=(--link "virtio:$work/ebd0.sock")

step "a client process discovers it"
run discover "${link[@]}"
run info "${link[@]}" disk0

step "and copies the volume"
run copy "${link[@]}" --progress --verify --json ebd:disk0 "$out/copy.img" >"$out/read.json"
[ "$(sha256sum <"$out/copy.img")" = "$before" ] || {
	echo "demo.sh: the copy differs from the image" >&2
	exit 1
}
echo "sha256 of image and copy are equal: ${before%% *}"
e2fsck -fn "$out/copy.img" >"$out/e2fsck.log" 2>&1 || {
	cat "$out/e2fsck.log" >&2
	exit 1
}
echo "e2fsck finds the file system of the copy clean"

step "a changed image goes back"
echo "written by the client" >"$out/files/news.txt"
cp --sparse=always "$out/copy.img" "$out/changed.img"
debugfs -w -R "write $out/files/news.txt news.txt" "$out/changed.img" >/dev/null 2>&1
run copy "${link[@]}" --progress --verify --json "$out/changed.img" ebd:disk0 >"$out/write.json"
kill "$server"
wait "$server"
server=
[ "$(sha256sum <"$out/disk.img")" = "$(sha256sum <"$out/changed.img")" ] || {
	echo "demo.sh: the server's image differs from what was written" >&2
	exit 1
}
e2fsck -fn "$out/disk.img" >"$out/e2fsck.log" 2>&1
[ "$(debugfs -R 'cat news.txt' "$out/disk.img" 2>/dev/null)" = "written by the client" ]
echo "the server's image has the change, and its file system is clean"

# ---- Say it ----

value() { # FILE KEY
	sed -nE "s/.*\"$2\": ?([0-9.]+).*/\\1/p" "$out/$1.json" | head -n 1
}

step "the numbers"
printf '%-8s %12s %9s %9s %9s %12s %15s\n' "" bytes seconds MB/s frames retransmits "copies per byte"
for dir in read write; do
	printf '%-8s %12s %9.3f %9.1f %9s %12s %15s\n' "$dir" "$(value $dir bytes)" \
		"$(value $dir seconds)" "$(value $dir mb_per_s)" "$(value $dir frames)" \
		"$(value $dir retransmits)" "$(value $dir copies_per_byte)"
done
rm -rf "$out/files" "$out/changed.img"
printf '\nAll of it is in %s/. Try next, in two terminals:\n  %s\n  %s\n' "$out" \
	"$build/apps/ebd/ebd serve --link vhost:ebd0.sock --volume scratch=mem:1G" \
	"$build/apps/ebd/ebd perf --link virtio:ebd0.sock scratch --rw randread --bs 4k --depth 32 --time 5"
