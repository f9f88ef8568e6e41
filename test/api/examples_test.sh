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

# A personality from its shared object, on both NICs of a ring: one asks, one answers; and what is none.
plugin=$work/personality-echo/personality-echo.so
mpnic=$(find "$prefix" -path '*/bin/mpnic' -type f)
echo 'int here = 1;' | cc -shared -fPIC -xc -o "$work/none.so" -
echo 'struct { unsigned abi; } ops = {99}; const void *const mpn_personality_plugin = &ops;' |
	cc -shared -fPIC -xc -o "$work/other.so" -
echo '__attribute__((constructor)) void f(void) { __builtin_trap(); }' |
	cc -shared -fPIC -xc -o "$work/crash.so" -
[ -z "$mpnic" ] || for what in "none is no personality" "other has personality ABI 99" \
	"crash crashes when it is opened"; do
	echo "refuse $what"
	printf '%s\n' "personality define all $work/${what%% *}.so" quit |
		timeout 60 "$mpnic" --no-huge --no-pci -m 256 -- -i --link ring:e >"$work/refuse.log" 2>&1
	grep -q "${what%% *}.so' ${what#* }" "$work/refuse.log"
done
echo_steps() {
	printf 'personality %s\n' "define all $plugin" "load nic0 echo" "load nic1 echo ask=1000" \
		"start all echo"
	echo start
	for _ in $(seq 100); do echo "show personality nic1"; done
	printf 'personality %s\n' "unload nic1 echo" "stop all echo" "unload all echo" "undefine all echo"
	echo "show personality all json"
	echo quit
}
if [ -n "$mpnic" ]; then
	echo "run personality-echo"
	# The prompt takes a line every few milliseconds.
	echo_steps | timeout 60 "$mpnic" --no-huge --no-pci -m 256 -- -i --link ring:e --link ring:e \
		>"$work/plugin.log" 2>&1
	grep -q 'answers *1000$' "$work/plugin.log"
	grep -q 'cannot unload: it is started' "$work/plugin.log"
	grep -q '"personalities": \[\]' "$work/plugin.log"
fi

# The same shared object in a process of its own, where it answers what is asked here.
steps() { # PERSONALITY-STEP...
	printf 'personality %s\n' "$@"
}
ask_mpnic() { # SOCKET COMMAND...
	local socket=$1

	shift
	timeout 20 "$mpnic" --connect "$socket" -e "$@" 2>&1
}
if [ -n "$mpnic" ]; then
	echo "run personality-echo in another process"
	steps "define nic0 remote far" "load nic0 far socket=$work/far.sock,type=0x88b5" "start nic0 far" >"$work/near.mpnic"
	steps "define all $plugin" "load all echo" "start all echo" >"$work/there.mpnic"
	"$mpnic" --no-huge --no-pci -m 256 -- --link ring:e --link ring:e --cmdline-file "$work/near.mpnic" \
		--socket "$work/near" >"$work/near.log" 2>&1 &
	near=$!
	"$mpnic" --no-huge --no-pci -m 256 -- --link "remote:$work/far.sock,wait=20s" \
		--cmdline-file "$work/there.mpnic" --socket "$work/there" >"$work/there.log" 2>&1 &
	there=$!
	until ask_mpnic "$work/there" "show port" | grep -q 'link_up *yes'; do
		kill -0 "$near" "$there"
	done
	ask_mpnic "$work/near" "personality define nic1 $plugin" -e "personality load nic1 echo ask=400" \
		-e "personality start nic1 echo"
	until ask_mpnic "$work/near" "show personality nic1" | grep -q 'answers *400$'; do
		kill -0 "$near" "$there"
	done
	ask_mpnic "$work/there" "show personality" | grep -q 'answered *400$'
	kill "$there" "$near"
	wait "$there" "$near"
fi

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
run '^4096: hello$' write-flush "virtio:$work/l.sock" memory 4096 hello
kill "$server"
wait "$server"

# Storage and a frame of another type come in at one port.
"$work/two-personalities/two-personalities" "vhost:$work/two.sock" 16M >"$work/two.log" 2>&1 &
server=$!
until grep -qx ready "$work/two.log"; do
	kill -0 "$server"
	read -rt 0.05 <><(:) || true
done
run '^4096: both$' write-flush "virtio:$work/two.sock" memory 4096 both
if [ -n "$mpnic" ]; then
	echo "run mpnic against two-personalities"
	limit=$((SECONDS + 30))
	{
		printf '%s\n' "set fwd txonly" start
		until grep -q 'frame of type 0x88b6, 60 bytes' "$work/two.log"; do
			kill -0 "$server" && [ "$SECONDS" -lt "$limit" ] || break
			read -rt 0.05 <><(:) || true
		done
		echo quit
	} | timeout 60 "$mpnic" --no-huge --no-pci -m 256 -- -i --link "virtio:$work/two.sock" \
		>"$work/txonly.log" 2>&1
	grep -q 'frame of type 0x88b6, 60 bytes' "$work/two.log"
fi
kill "$server"
wait "$server"
server=
