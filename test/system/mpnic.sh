#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# The application with a prompt: its commands, from stdin and from a file, and a volume it serves.
. "$(dirname "$0")/lib.sh"

eal=(-l 0 --no-huge --no-pci -m 256)

prompt() { # COMMANDS...
	RC=0
	printf '%s\n' "$@" quit | timeout -k 5 60 "$MPNIC" "${eal[@]}" -- -i "${links[@]}" >mpnic.out \
		2>mpnic.err || RC=$?
	[ "$RC" -eq 0 ] || fail "mpnic ended with status $RC: $(tail -n 3 mpnic.err)"
}

says() { # PATTERN
	grep -qE -- "$1" mpnic.out || fail "no '$1' in the answer"
}

# The NICs of the issue's first example are those that the EAL finds.
links=()
eal+=(--vdev net_ring0)
prompt help "show port" "show personality all" "show flow" "show session json" "show volume"
says "personality define"
says "show flow"
says net_ring
says '"sessions": \[\]'
prompt "show port nic77"
says "'nic77': no such NIC: expected net_ring0"

# The life cycle, step by step, and a step that is not allowed.
prompt "personality define all storage" "show personality all" "personality start all storage" \
	"personality load all storage" "personality start all storage" "start" "show personality all json" \
	"stop" "personality stop all storage" "personality unload all storage" \
	"personality undefine all storage"
says started
grep -q "cannot start" mpnic.out mpnic.err || fail "a wrong step was not refused"

# Who sends next.
prompt "personality define all net" "personality load all net ring=64" "personality start all net" \
	"set scheduler all prio-drr" "set weight all net 3" "set cpu-weight all net 7" "set priority all net on" \
	"set rate all net 10M" "set watchdog all 5ms" "show flow" "show delay" "show port"
says "scheduler *prio-drr"
says "weight *3"
says "cpu_weight *7"
says "priority *(true|yes)"
says "tx_rate *10485760"
says "watchdog_ns *5000000"
prompt "personality define all net" "set limits all net 64 128 32" "personality load all net" \
	"set limits all net 0 0 0" "show flow"
says "size *64"
says "tx_size *128"
says "own_frames *32"
says "its limits cannot change: it is loaded"
prompt "personality define all net" "set weight all net 0" "set scheduler all lottery" "set rate all net 5" \
	"set limits all net 63 0 0" "set watchdog all 2h"
says "'0': expected a number from 1 to 1000"
says "'5': expected bytes a second from 1000"
says "flow length 63: expected a power of two"
says "'2h': expected a time"
says "'lottery': no such scheduler: expected fifo, prio-drr"

# Commands from a file; a wrong one is named.
printf '%s\n' "show port all json" >commands
timeout 60 "$MPNIC" "${eal[@]}" -- --cmdline-file commands -i </dev/null >mpnic.out 2>mpnic.err ||
	fail "--cmdline-file failed"
says '"driver"'
prompt "shwo port all"
grep -q "shwo" mpnic.out mpnic.err || fail "an unknown command was not named"
timeout 60 "$MPNIC" "${eal[@]}" -- --stats-period now -i </dev/null >mpnic.out 2>mpnic.err
[ $? -eq 2 ] || fail "a wrong option gave another status than 2"

# It serves, too.
printf '%s\n' "personality define all storage" "personality load all storage" \
	"personality start all storage" "volume add scratch mem:8M" start >commands
start mpnic "$MPNIC" -l 0 --no-huge --no-pci -m 256 -- --link "vhost:$T/l.sock" --cmdline-file commands \
	--idle sleep --stats-period 100ms
expect_ok 30 discover --link "virtio:$T/l.sock" --timeout 10s
grep -q scratch client.out || fail "the volume was not discovered"
make_image in.img 4096
expect_ok 30 copy --link "virtio:$T/l.sock" in.img ebd:scratch --verify
# Somebody received, and sent, in some of the periods: bytes and cycles are those of the storage personality.
moved() { # ROW [STATE]
	awk -v row="$1" -v state="${2:-}" '
		$2 == row && (state == "" || $3 == state) && $5 > 0 && $7 > 0 { n++ }
		END { exit n == 0 }' mpnic.out
}
wait_for 10 moved storage started || fail "no rates of storage: $(tail -n 4 mpnic.out)"
moved '(port)' || fail "no rates of the port: $(tail -n 4 mpnic.out)"
awk '$2 == "storage" && $10 > 100 { exit 1 }' mpnic.out || fail "more cycles than there are: $(cat mpnic.out)"
send mpnic TERM
reap mpnic 20
[ "$RC" -eq 0 ] || fail "mpnic ended with status $RC"

# The rates of a port that a test mode has; who is gone is shown no more, and there is room for those who come.
printf '%s\n' "personality define nic0 net gone" "set fwd txonly" start >commands
start mpnic "$MPNIC" -l 0 --no-huge --no-pci -m 256 -- --link ring:r --link ring:r --cmdline-file commands \
	--idle sleep --stats-period 100ms --socket s
wait_for 30 moved '(port)' up || fail "no rates of the port: $(cat mpnic.out mpnic.err)"
grep -q '^nic0 *gone *defined' mpnic.out || fail "no row of a personality that is defined: $(tail -n 4 mpnic.out)"
timeout 30 "$MPNIC" --connect s -e "personality undefine nic0 gone" -e "personality define nic0 net new" || fail "undefine"
last_is_new() {
	tail -n 4 mpnic.out | grep -q '^nic0 *new' && ! tail -n 4 mpnic.out | grep -q gone
}
wait_for 10 last_is_new || fail "$(tail -n 4 mpnic.out)"
timeout 30 "$MPNIC" --connect s -e quit
reap mpnic 20
[ "$RC" -eq 0 ] || fail "mpnic ended with status $RC"

# Whoever waits for the other end of a link stops waiting when he is told to.
start waiter "$MPNIC" --no-huge -- --link "virtio:$T/nobody.sock,wait=600s"
wait_for 20 test -e "$RUNTIME_DIRECTORY/dpdk/mpnic-${PIDS[waiter]}" || fail "mpnic did not start"
send waiter INT
reap waiter 20
[ "$RC" -eq 130 ] || fail "mpnic, while it waited, ended with status $RC"
grep -q interrupted waiter.err || fail "mpnic did not say that it was interrupted"
expect_nothing_left
