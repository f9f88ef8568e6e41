#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Each personality in a VLAN of its own, over a switch of the kernel's: a volume is copied in VLAN 20 while a
# third host, whose kernel has a VLAN interface, pings the server's interface in VLAN 10.
#	vlan.sh MTU
. "$(dirname "$0")/lib.sh"

need ping
need python3
[ -c /dev/net/tun ] || skip "no /dev/net/tun"
link_up switched "$1"
host=mpn$$h
netns_add "$host"
ip link add eth netns "$host" mtu "$MTU" type veth peer name porth netns "mpn$$b" mtu "$MTU" ||
	skip "the kernel has no veth"
ip -n "mpn$$b" link set porth master br0 up
ip -n "$host" link set eth up
ip -n "$host" link set eth promisc on
if ! ip -n "$host" link add link eth name eth.10 type vlan id 10 2>vlan.err; then
	start host nsenter --net="/run/netns/$host" python3 "$SRC/test/system/vlan_host.py" eth 10
	wait_for 10 grep -qx ready host.out || fail "the kernel has no VLANs, nor is there a tap"
fi
ip -n "$host" addr add 10.66.0.2/24 dev eth.10
ip -n "$host" link set eth.10 mtu "$MTU" up

make_image disk.img $((MTU < 4000 ? 4096 : 16384))
cp disk.img original.img
serve server "$SERVER_LINK" disk=delay:read=20ms:file:disk.img -- "${MTU_ARGS[@]}" --vlan 20 \
	--net mpn0 --net-vlan 10
ip -n "mpn$$s" addr add 10.66.0.1/24 dev mpn0

pings() { # SIZE
	nsenter --net="/run/netns/$host" ping -q -c 10 -i 0.05 -W 5 -M 'do' -s "$1" 10.66.0.1 >ping.out ||
		fail "ping with $1 bytes: $(tail -n 2 ping.out)"
}

# What is on the wire, for tshark.
if command -v dumpcap >/dev/null && command -v tshark >/dev/null; then
	start capture "${SWITCH_CMD[@]}" dumpcap -q -B 64 -i ports -w wire.pcapng
	wait_for 20 grep -q "^File: " capture.err || fail "the capture did not start"
fi

# Both at once. The largest frame of either has room for its tag.
start copy "${CLIENT_CMD[@]}" "$EBD" copy --link "$CLIENT_LINK" "${MTU_ARGS[@]}" --vlan 20 \
	ebd:disk out.img
wait_for 10 nsenter --net="/run/netns/$host" ping -q -c 1 -W 1 10.66.0.1 >ping.out ||
	fail "nobody answers in VLAN 10"
pings 56
pings $((MTU - 28))
reap copy 60
[ "$RC" -eq 0 ] || fail "the copy ended with status $RC"
same original.img out.img
expect_ok 60 copy --link "$CLIENT_LINK" "${MTU_ARGS[@]}" --vlan 20 out.img ebd:disk --verify
pings 56

# In another VLAN, or in none, there is no such volume. One that is none is refused.
client 20 info --link "$CLIENT_LINK" "${MTU_ARGS[@]}" --timeout 300ms --vlan 21 disk
[ "$RC" -eq 1 ] || fail "VLAN 21 has the volume of VLAN 20"
client 20 info --link "$CLIENT_LINK" "${MTU_ARGS[@]}" --timeout 300ms disk
[ "$RC" -eq 1 ] || fail "the volume of VLAN 20 is there without a VLAN"
client 20 info --link "$CLIENT_LINK" "${MTU_ARGS[@]}" --vlan 4095 disk
[ "$RC" -eq 2 ] || fail "VLAN 4095 gave status $RC"
grep -q "'4095': expected a number from 1 to 4094" client.err || fail "4095 was not explained"

if [ -n "${PIDS[capture]:-}" ]; then
	send capture INT
	reap capture 20
	dissect() {
		tshark -X "lua_script:$SRC/doc/ebd.lua" -r wire.pcapng "$@" 2>tshark.err
	}
	bad=$(dissect -Y 'vlan && (ebd.error || _ws.malformed || _ws.lua.error)')
	[ -z "$bad" ] || fail "these frames are wrong: $bad"
	[ "$(dissect -Y 'vlan.id == 20 && ebd' | wc -l)" -gt 1000 ] || fail "no EBD in VLAN 20"
	[ "$(dissect -Y 'vlan.id == 10 && icmp' | wc -l)" -ge 60 ] || fail "no ping in VLAN 10"
	[ -z "$(dissect -Y 'ebd && eth.type != 0x8100 && vlan.id == 20')" ] || fail "EBD without a tag"
	[ -z "$(dissect -Y 'vlan.id == 20 && !ebd')" ] || fail "more than EBD in VLAN 20"
	[ -z "$(dissect -Y 'vlan.id == 10 && ebd')" ] || fail "EBD in VLAN 10"
fi

# Tags that nobody can mean: dropped, and both go on.
"${CLIENT_CMD[@]}" python3 -c '
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("ebdc", 0))
mac = b"\xff" * 6 + b"\x02\x00\x00\x00\x00\x01"
def tag(kind, tci):
    return kind.to_bytes(2, "big") + tci.to_bytes(2, "big")
ebd = (0x0666).to_bytes(2, "big") + bytes(50)
for tags in (tag(0x8100, 20) * 3, tag(0x88a8, 20) + tag(0x8100, 20), tag(0x8100, 4095),
             tag(0x8100, 20) * 2, tag(0x88a8, 10) + tag(0x8100, 20) + tag(0x8100, 10), tag(0x8100, 21)):
    for i in range(100):
        s.send(mac + tags + ebd)
for cut in range(14, 18):
    s.send((mac + tag(0x8100, 20) + ebd)[:cut])
' || fail "no frames of a program's own"
pings 56
expect_ok 60 copy --link "$CLIENT_LINK" "${MTU_ARGS[@]}" --vlan 20 ebd:disk out.img
same original.img out.img
stop_server server
if [ -n "${PIDS[host]:-}" ]; then
	send host KILL
	reap host 10
fi

# Two tags, as on a provider's network.
serve server "$SERVER_LINK" disk=file:disk.img -- "${MTU_ARGS[@]}" --vlan 100.20
expect_ok 60 copy --link "$CLIENT_LINK" "${MTU_ARGS[@]}" --vlan 100.20 ebd:disk out.img
same original.img out.img
client 20 info --link "$CLIENT_LINK" "${MTU_ARGS[@]}" --timeout 300ms --vlan 20 disk
[ "$RC" -eq 1 ] || fail "VLAN 20 has the volume of VLAN 100.20"
stop_server server

# At the prompt.
cat >commands <<END
personality define net_ring0 net
personality define net_ring0 storage
vlan add net_ring0 10 net
vlan add net_ring0 100.20 storage
personality load net_ring0 net
personality load net_ring0 storage
END
prompt() { # EXPECTED COMMAND
	timeout -k 5 60 "$MPNIC" -l 0 --no-huge --no-pci -m 256 --vdev net_ring0 -- \
		--cmdline-file commands -e "$2" >mpnic.out 2>&1
	grep -q -- "$1" mpnic.out || fail "$2: expected $1: $(cat mpnic.out)"
}
prompt '"vlan": "100.20"' "show vlan all json"
prompt '"vlan": "100.20"' "show personality all json"
prompt 'expected a number from 1 to 4094' "vlan add net_ring0 4095 net"
prompt 'it has VLAN 10 already' "vlan add net_ring0 11 net"
prompt 'no personality has this VLAN' "vlan del net_ring0 11"
prompt 'unload it first' "vlan del net_ring0 10"
prompt 'no such personality' "vlan add net_ring0 11 nobody"
expect_nothing_left
