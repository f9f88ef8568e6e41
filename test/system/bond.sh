#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Two hosts are joined by two cables, which are one bond. A volume is written and read back while one
# cable is pulled out at the server, put in again, and the other one is pulled out at the client.
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

# What is shown of it.
"${SERVER_CMD[@]}" "$MPNIC" -l 0 --no-huge --no-pci -m 256 -- --link "$server_bond" \
	-e "show port all json" >show.out 2>show.err || fail "mpnic: $(tail -n 2 show.err)"
grep -q '"members"' show.out || fail "the members are not shown"
grep -q 'af_packet:s1' show.out || fail "the second member is not shown"
if "${SERVER_CMD[@]}" "$MPNIC" -l 0 --no-huge --no-pci -m 256 -- --link "bond:af_packet:s0+af_packet:s1,mode=x" \
	-e "show port" >show.out 2>show.err; then
	fail "a wrong mode was taken"
fi
grep -q "'x': expected active-backup or 802.3ad" show.err || fail "a wrong mode was not explained"

lost() { # TIMES : as often the server has lost a member
	[ "$(grep -c 'a member of the bond has lost its link' server.err)" -ge "$1" ]
}

make_image in.img 16384
serve server "$server_bond" disk=delay:write=80ms:mem:16M
start copy "${CLIENT_CMD[@]}" "$EBD" copy --link "$client_bond" --timeout 60s in.img ebd:disk --verify
moved() { # MORE : so many frames came since
	is_gone "${PIDS[copy]}" || [ "$(carried)" -gt $((before + $1)) ]
}
carried() { # frames the server's interfaces have received
	ip netns exec "${ns}s" cat /sys/class/net/s0/statistics/rx_packets \
		/sys/class/net/s1/statistics/rx_packets | awk '{ n += $1 } END { print n }'
}
goes_on() {
	before=$(carried)
	wait_for 40 moved 200 || fail "no traffic $1"
	is_gone "${PIDS[copy]}" && fail "the copy ended $1: a slower volume is needed"
}
goes_on "at the beginning"
ip -n "${ns}s" link set s0 down
goes_on "without the first cable"
ip -n "${ns}s" link set s0 up
goes_on "with both again"
ip -n "${ns}c" link set c1 down
goes_on "without the second cable"
ip -n "${ns}c" link set c1 up
reap copy 100
[ "$RC" -eq 0 ] || fail "the copy ended with status $RC"
client 60 copy --link "$client_bond" --timeout 30s ebd:disk out.img
[ "$RC" -eq 0 ] || fail "the second copy ended with status $RC"
same in.img out.img
stop_server server
expect_nothing_left
