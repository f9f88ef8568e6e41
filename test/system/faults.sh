#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# A vhost port that carries storage and the network of two hosts has each of the faults that can be injected,
# and its peer is killed, while a volume is written and read back and the hosts ping each other. All recover
# without a restart, nothing is lost, and the port says what it has seen.
. "$(dirname "$0")/lib.sh"

need_root "network namespaces and tap interfaces"
need ping
[ -c /dev/net/tun ] || skip "no /dev/net/tun"
ns=mpn$$
netns_add "${ns}a"
netns_add "${ns}b"
a=(nsenter --net="/run/netns/${ns}a") b=(nsenter --net="/run/netns/${ns}b")

tell() { # COMMAND
	echo "$1" >&3
}

answers=0
events() { # EVENT : how often the port has seen it
	answers=$((answers + 1))
	tell "show port all json"
	wait_for 10 has_answers || return 1
	sed -nE "s/.*\"$1\": ([0-9]+).*/\\1/p" server.out | tail -n 1
}

has_answers() {
	[ "$(grep -c '"last_event_time"' server.out)" -ge "$answers" ]
}

has_seen() { # EVENT TIMES
	[ "$(events "$1")" -ge "$2" ]
}

answers_ping() {
	"${b[@]}" ping -q -c 1 -W 1 10.66.0.1 >ping.out
}

copy_begins() {
	start copy "${b[@]}" "$EBD" copy --link "virtio:$T/l.sock" --net mpn0 in.img ebd:disk --verify \
		--depth 2 --request-size 64k
	wait_for 20 ip -n "${ns}b" addr add 10.66.0.2/24 dev mpn0 || fail "the client has no interface"
	wait_for 20 answers_ping || fail "no ping"
}

copy_ends() {
	is_gone "${PIDS[copy]}" && fail "the copy ended too early: a slower volume is needed"
	wait_for 20 answers_ping || fail "no ping after the fault"
	reap copy 100
	[ "$RC" -eq 0 ] || fail "the copy ended with status $RC"
}

make_image in.img 16384
cat >commands <<END
personality define all storage
personality load all storage
personality start all storage
personality define all net
personality load all net tap=mpn0
personality start all net
volume add disk delay:write=60ms:mem:16M
start
END
mkfifo stdin
exec 3<>stdin
"${a[@]}" "$MPNIC" -l 0 --no-huge --no-pci -m 256 -- --link "vhost:$T/l.sock" --cmdline-file commands -i \
	--idle sleep >server.out 2>server.err <stdin 3>&- &
PIDS[server]=$!
wait_for 20 ip -n "${ns}a" addr add 10.66.0.1/24 dev mpn0 || fail "the server has no interface"

# Each fault for a second, in the middle of a copy.
for fault in link-down removed tx-stuck no-mbufs; do
	before=$(events link_down)
	copy_begins
	tell "set fault all $fault on"
	case $fault in
	link-down) wait_for 10 has_seen link_down $((before + 1)) ;;
	removed) wait_for 10 has_seen removed 1 ;;
	tx-stuck) wait_for 10 has_seen tx_stuck 1 ;;
	no-mbufs) wait_for 10 has_seen no_mbufs 1 ;;
	esac || fail "$fault was not noticed"
	tell "set fault all $fault off"
	case $fault in
	removed) wait_for 10 has_seen returned 1 ;;
	tx-stuck) wait_for 10 has_seen tx_moves 1 ;;
	no-mbufs) wait_for 10 has_seen mbufs_back 1 ;;
	esac || fail "the end of $fault was not noticed"
	copy_ends
done

# The peer dies, and another one comes.
before=$(events link_down)
copy_begins
send copy KILL
reap copy 10
wait_for 10 has_seen link_down $((before + 1)) || fail "the death of the peer was not noticed"
copy_begins
copy_ends
client 60 copy --link "virtio:$T/l.sock" ebd:disk out.img
[ "$RC" -eq 0 ] || fail "the last copy ended with status $RC"
same in.img out.img

tell "set fault all earthquake on"
tell "quit"
reap server 20
[ "$RC" -eq 0 ] || fail "mpnic ended with status $RC"
cat server.out server.err | grep -q "'earthquake': no such fault: expected link-down, removed" ||
	fail "an unknown fault was not refused"
grep -q "the device has gone" server.err || fail "no log line of the removal"
expect_nothing_left
