#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Two hosts are joined by two cables, which are one bond. A volume is written and read back while one
# cable after the other is pulled out and put in again, at either end, flaps, and both are out at once. Nothing
# is lost or wrong, nothing is started again, and the port says which members it has and which one carries frames.
#
#	bond.sh active-backup|802.3ad
. "$(dirname "$0")/lib.sh"

mode=${1:-active-backup}
need_root "network namespaces"
ns=mpn$$
netns_add "${ns}s"
netns_add "${ns}c"
for i in 0 1; do
	ip link add "s$i" netns "${ns}s" type veth peer name "c$i" netns "${ns}c" ||
		skip "the kernel has no veth"
	ip -n "${ns}s" link set "s$i" up
	ip -n "${ns}c" link set "c$i" up
done
SERVER_CMD=(nsenter --net="/run/netns/${ns}s") CLIENT_CMD=(nsenter --net="/run/netns/${ns}c")

server_bond="bond:af_packet:s0+af_packet:s1,mode=$mode"
client_bond="bond:af_packet:c0+af_packet:c1,mode=$mode"
# With LACP a partner is missed after three seconds, and two of them agree within as many.
patience=10

if "${SERVER_CMD[@]}" "$MPNIC" -l 0 --no-huge --no-pci -m 256 -- --link "bond:af_packet:s0+af_packet:s1,mode=x" \
	-e "show port" >show.out 2>show.err; then
	fail "a wrong mode was taken"
fi
grep -q "'x': expected active-backup or 802.3ad" show.err || fail "a wrong mode was not explained"

# ---- What the server says ----

tell() { # COMMAND
	echo "$1" >&3
}

answers=0
ask() { # the port, into port.out
	answers=$((answers + 1))
	tell "show port all json"
	wait_for 10 has_answers || return 1
	awk '/"last_event_time"/ { last = all; all = "" } { all = all $0 "\n" } END { print last all }' \
		server.out >port.out
}

has_answers() {
	[ "$(grep -c '"last_event_time"' server.out)" -ge "$answers" ]
}

# Of a member: {"link": "af_packet:s0", "up": true, "active": true}
member_is() { # N UP|any ACTIVE|any
	local line

	ask || return 1
	line=$(tr -d '\n' <port.out | grep -o "\"af_packet:s$1\"[^}]*" | tail -n 1)
	{ [ "$2" = any ] || [[ $line =~ \"up\":\ *$2 ]]; } &&
		{ [ "$3" = any ] || [[ $line =~ \"active\":\ *$3 ]]; }
}

count() { # EVENT
	ask || return 1
	sed -nE "s/.*\"$1\": ([0-9]+).*/\\1/p" port.out | tail -n 1
}

happened() { # EVENT TIMES
	[ "$(count "$1")" -ge "$2" ]
}

# ---- The copy ----

moved() { # MORE : so many frames came since
	is_gone "${PIDS[copy]}" || [ "$(carried)" -gt $((before + $1)) ]
}
carried() { # frames the server's interfaces have received
	ip netns exec "${ns}s" cat /sys/class/net/s0/statistics/rx_packets \
		/sys/class/net/s1/statistics/rx_packets | awk '{ n += $1 } END { print n }'
}
goes_on() {
	before=$(carried)
	wait_for 40 moved 100 || fail "no traffic $1"
	is_gone "${PIDS[copy]}" && fail "the copy ended $1: a slower volume is needed"
}

cable() { # s|c N up|down
	ip -n "$ns$1" link set "$1$2" "$3"
}

# One at a time carries frames, or both do.
both_there() {
	if [ "$mode" = 802.3ad ]; then
		member_is 0 true true && member_is 1 true true
	else
		member_is 0 true true && member_is 1 true false
	fi
}

pull() { # s|c N : pull out the cable at one end, go on without, put it in, go on with both
	cable "$1" "$2" down
	wait_for $patience member_is "$2" false false || fail "cable $2 is out at $1: not shown"
	wait_for $patience member_is $((1 - $2)) true true || fail "cable $2 is out at $1: the other one does not carry"
	goes_on "without cable $2, out at $1"
	cable "$1" "$2" up
	wait_for $patience both_there || fail "cable $2 is in again at $1: not shown"
	goes_on "with both again"
}

make_image in.img 16384
cat >commands <<END
personality define all storage
personality load all storage
personality start all storage
volume add disk delay:write=300ms:mem:16M
start
END
mkfifo stdin
exec 3<>stdin
"${SERVER_CMD[@]}" "$MPNIC" -l 0 --no-huge --no-pci -m 256 -- --link "$server_bond" --cmdline-file commands -i \
	--idle sleep >server.out 2>server.err <stdin 3>&- &
PIDS[server]=$!
ask || fail "the server does not answer"
start copy "${CLIENT_CMD[@]}" "$EBD" copy --link "$client_bond" --timeout 60s in.img ebd:disk --verify \
	--depth 2 --request-size 64k
wait_for 30 both_there || fail "the members are not shown"
goes_on "at the beginning"
pull s 0
pull c 1
pull c 0
pull s 1

# One that flaps, as fast as the kernel can follow.
carrier_is() { # 0|1
	[ "$(ip netns exec "${ns}c" cat /sys/class/net/c0/carrier)" = "$1" ]
}
for ((i = 0; i < 8; i++)); do
	cable s 0 down
	wait_for 5 carrier_is 0 || fail "the kernel did not follow"
	cable s 0 up
	wait_for 5 carrier_is 1 || fail "the kernel did not follow"
done
goes_on "after a member has flapped"

# Both are out, and back.
downs=$(count link_down) ups=$(count link_up)
cable s 0 down
cable s 1 down
wait_for $patience happened link_down $((downs + 1)) || fail "that no cable is left is not told"
member_is 0 false false && member_is 1 false false || fail "members without a cable carry frames"
cable s 0 up
cable s 1 up
wait_for $patience happened link_up $((ups + 1)) || fail "that the cables are back is not told"
goes_on "after both had been out"
wait_for $patience both_there || fail "both cables are in again: not shown"

reap copy 150
[ "$RC" -eq 0 ] || fail "the copy ended with status $RC"
client 60 copy --link "$client_bond" --timeout 30s ebd:disk out.img
[ "$RC" -eq 0 ] || fail "the second copy ended with status $RC"
same in.img out.img
[ "$(count tx_stuck)" -eq 0 ] || fail "a member without a partner was taken for a port that is stuck"
tell "quit"
reap server 20
[ "$RC" -eq 0 ] || fail "mpnic ended with status $RC"
expect_nothing_left
