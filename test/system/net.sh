#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# The network personality beside storage on one vhost port: a host gets its address by DHCP, two hosts ping each
# other, send a file over TCP and measure with iperf3, while a volume is copied over the same link. Nothing of
# either may be lost or changed.
#
#	net.sh MTU
. "$(dirname "$0")/lib.sh"

mtu=${1:-9000}
need_root "network namespaces and tap interfaces"
need ping
need python3
need busybox
need iperf3
[ -c /dev/net/tun ] || skip "no /dev/net/tun"
ns=mpn$$
netns_add "${ns}a"
netns_add "${ns}b"
a=(nsenter --net="/run/netns/${ns}a") b=(nsenter --net="/run/netns/${ns}b")

has_carrier() { # NETNS yes|no
	local flags

	flags=$(ip -n "$1" -o link show mpn0) || return 1
	case $flags in *NO-CARRIER*) [ "$2" = no ] ;; *) [ "$2" = yes ] ;; esac
}

send_file() { # FROM... : from host b to host a, over TCP
	start receiver "${a[@]}" python3 -c '
import socket
s = socket.create_server(("10.66.0.1", 5001))
print("ready", flush=True)
c, _ = s.accept()
with open("tcp.copy", "wb") as f:
    while data := c.recv(65536):
        f.write(data)
'
	wait_for 10 is_ready receiver || fail "nobody listens"
	timeout 60 "${b[@]}" python3 -c '
import socket
c = socket.create_connection(("10.66.0.1", 5001), 10)
with open("tcp.data", "rb") as f:
    c.sendfile(f)
' || fail "the file was not sent"
	reap receiver 20
	[ "$RC" -eq 0 ] || fail "the receiver ended with status $RC"
	same tcp.data tcp.copy
}

# Host b gets its address from host a: broadcasts, and frames to somebody who has no address yet.
get_address() {
	cat >udhcpd.conf <<-END
		start 10.66.0.2
		end 10.66.0.2
		interface mpn0
		max_leases 1
		lease_file $T/leases
		pidfile $T/udhcpd.pid
		option subnet 255.255.255.0
	END
	: >leases
	# shellcheck disable=SC2016
	printf '#!/bin/sh\n[ "$1" != bound ] || ip addr add "$ip/$mask" dev "$interface"\n' >lease.sh
	chmod +x lease.sh
	start udhcpd "${a[@]}" busybox udhcpd -f udhcpd.conf
	timeout 30 "${b[@]}" busybox udhcpc -i mpn0 -n -q -f -t 10 -T 1 -s "$T/lease.sh" >udhcpc.out 2>&1 ||
		fail "no address: $(cat udhcpc.out udhcpd.err)"
	ip -n "${ns}b" -o addr show mpn0 | grep -q 'inet 10.66.0.2/24' || fail "another address: $(cat udhcpc.out)"
	send udhcpd TERM
	reap udhcpd 10
}

# TCP in both directions, and UDP.
measure() {
	local how

	for how in '' -R '-u -b 5M'; do
		start iperf "${a[@]}" iperf3 -s -1 -B 10.66.0.1 --forceflush
		wait_for 10 grep -q listening iperf.out || fail "iperf3: $(cat iperf.err)"
		# shellcheck disable=SC2086
		timeout 30 "${b[@]}" iperf3 -c 10.66.0.1 -t 1 $how >iperf.client 2>&1 ||
			fail "iperf3 $how: $(tail -n 2 iperf.client)"
		grep -q 'receiver' iperf.client || fail "iperf3 $how: $(tail -n 4 iperf.client)"
		reap iperf 20
		[ "$RC" -eq 0 ] || fail "iperf3 -s ended with status $RC"
	done
}

# The smaller the frames, the smaller the commands and the longer it takes.
make_image disk.img $((mtu < 4000 ? 16384 : 32768))
dd if=/dev/urandom of=tcp.data bs=1M count=8 status=none

# The server's host has an interface; its cable is out while there is no peer.
SERVER_CMD=("${a[@]}") CLIENT_CMD=("${b[@]}")
serve server "vhost:$T/l.sock" disk=delay:read=100ms:file:disk.img -- --net mpn0 --mtu "$mtu" \
	--control "$T/control"
ip -n "${ns}a" addr add 10.66.0.1/24 dev mpn0
has_carrier "${ns}a" no || fail "a carrier without a peer"
ip -n "${ns}a" -o link show mpn0 | grep -q "mtu $mtu " || fail "the MTU is not the port's"

# Both at once.
start copy "${b[@]}" "$EBD" copy --link "virtio:$T/l.sock" --net mpn0 --mtu "$mtu" ebd:disk out.img
wait_for 30 has_carrier "${ns}b" yes || fail "the client's host has no interface"
wait_for 10 has_carrier "${ns}a" yes || fail "no carrier with a peer"
ip -n "${ns}b" addr add 10.66.0.2/24 dev mpn0
"${b[@]}" ping -q -c 20 -i 0.05 -W 5 10.66.0.1 >ping.out || fail "ping: $(tail -n 2 ping.out)"
"${b[@]}" ping -q -c 5 -i 0.05 -W 5 -M 'do' -s $((mtu - 28)) 10.66.0.1 >ping.out ||
	fail "ping with the largest frames: $(cat ping.out)"
send_file
is_gone "${PIDS[copy]}" && fail "the copy ended before the network was tried: a slower volume is needed"

# What storage has claimed is refused, what nobody has is carried.
"${b[@]}" python3 -c '
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("mpn0", 0))
for kind in (0x0666, 0x0667):
    s.send(b"\xff" * 12 + kind.to_bytes(2, "big") + bytes(46))
' || fail "no frames of a program's own"
reap copy 60
[ "$RC" -eq 0 ] || fail "the copy ended with status $RC"
same disk.img out.img

# The peer has gone: so has its interface, and the carrier here. With the next one it works again.
wait_for 10 has_carrier "${ns}a" no || fail "a carrier after the peer has gone"
ip -n "${ns}b" link show mpn0 2>/dev/null && fail "the interface stayed"
start copy "${b[@]}" "$EBD" copy --link "virtio:$T/l.sock" --net mpn0 --mtu "$mtu" ebd:disk out.img
wait_for 30 has_carrier "${ns}a" yes || fail "no carrier with the next peer"
wait_for 10 ip -n "${ns}b" addr add 10.66.0.2/24 dev mpn0 || fail "no interface"
wait_for 10 "${b[@]}" ping -q -c 1 -W 1 10.66.0.1 >ping.out || fail "ping after the peer came back"
reap copy 60
[ "$RC" -eq 0 ] || fail "the second copy ended with status $RC"
same disk.img out.img

# What hosts do, while storage does what it can.
start load "${b[@]}" "$EBD" perf --link "virtio:$T/l.sock" --net mpn0 --mtu "$mtu" disk --rw randread --bs 16k \
	--depth 16 --time 100s --json
wait_for 30 has_carrier "${ns}a" yes || fail "no carrier with the load"
wait_for 10 ip -n "${ns}b" link show mpn0 >link.out || fail "no interface"
get_address
measure
is_gone "${PIDS[load]}" && fail "the load ended before: $(cat load.err)"
send load INT
reap load 20
[ "$RC" -eq 0 ] || fail "the load ended with status $RC: $(cat load.err)"
grep -q '"errors": 0' load.out || fail "requests failed: $(cat load.out)"
stop_server server

# A name that is taken, and one that cannot be: one line, nothing left.
client 20 perf --link ring:x --volume "x=mem:1M" --net "a/b" --time 1 ebd:x
[ "$RC" -eq 1 ] || [ "$RC" -eq 2 ] || fail "a wrong name gave status $RC"
grep -q "expected the name of an interface" client.err || fail "a wrong name was not explained"
expect_nothing_left
