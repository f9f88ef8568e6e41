#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# What the host's interface leaves to the network personality: checksums and segments. Two hosts talk TCP over IPv4
# and IPv6 through ports that can do neither, with offloads at both ends, at one, at none. The bytes that arrive are
# those that were sent, and every frame on the wire between is complete and no longer than the MTU allows.
#
#	offload.sh MTU
. "$(dirname "$0")/lib.sh"

mtu=${1:-1500}
need_root "network namespaces and tap interfaces"
need python3
need tshark
need ethtool
[ -c /dev/net/tun ] || skip "no /dev/net/tun"
ns=mpn$$
for end in a b m; do netns_add "$ns$end"; done
wire=(nsenter --net="/run/netns/${ns}m")
ip -n "${ns}m" link add va mtu "$mtu" type veth peer name vb mtu "$mtu" || skip "the kernel has no veth"
ip -n "${ns}m" link set va up
ip -n "${ns}m" link set vb up
dd if=/dev/urandom of=data bs=64k count=48 status=none
: >none

ask() { # COMMAND...
	local args=()

	for c in "$@"; do args+=(-e "$c"); done
	timeout 30 "$MPNIC" --connect s "${args[@]}" 2>ask.err || fail "$*: $(cat ask.err)"
}
counter() { # NIC NAME
	ask "show personality $1" | awk -v name="$2" '$1 == name { print $2 }'
}

# The interfaces go to hosts of their own: namespaces in which there is nothing else.
load() { # OFFLOAD-A OFFLOAD-B
	local i=0 how

	for how in "$@"; do
		ask "personality load nic$i net tap=mpn$i,vhost=off,offload=$how" "personality start nic$i net" >/dev/null
		i=$((i + 1))
	done
	i=0
	for end in a b; do
		"${wire[@]}" ip link set "mpn$i" netns "$ns$end"
		i=$((i + 1))
		ip -n "$ns$end" addr add "10.66.0.$i/24" dev "mpn$((i - 1))"
		ip -n "$ns$end" addr add "fd66::$i/64" dev "mpn$((i - 1))" nodad
		ip -n "$ns$end" link set "mpn$((i - 1))" up
	done
}
unload() {
	ask "personality stop all net" "personality unload all net" >/dev/null
}

expect_features() { # NETNS INTERFACE on|off
	local name

	nsenter --net="/run/netns/$1" ethtool -k "$2" >features || fail "ethtool -k $2"
	for name in tx-checksumming tcp-segmentation-offload tx-tcp6-segmentation; do
		grep -q "^[[:space:]]*$name: $3" features || fail "$2: not $name: $3: $(grep "$name" features)"
	done
}

send_file() { # FROM TO ADDRESS
	rm -f copy
	start receiver nsenter --net="/run/netns/$2" python3 -c '
import socket, sys
a = sys.argv[1]
s = socket.create_server((a, 5001), family=socket.AF_INET6 if ":" in a else socket.AF_INET)
print("ready", flush=True)
c, _ = s.accept()
with open("copy", "wb") as f:
    while data := c.recv(65536):
        f.write(data)
' "$3"
	wait_for 10 is_ready receiver || fail "nobody listens: $(cat receiver.err)"
	timeout 60 nsenter --net="/run/netns/$1" python3 -c '
import socket, sys
c = socket.create_connection((sys.argv[1], 5001), 10)
with open("data", "rb") as f:
    c.sendfile(f)
' "$3" || fail "the file was not sent to $3"
	reap receiver 20
	[ "$RC" -eq 0 ] || fail "the receiver ended with status $RC"
	same data copy
}

# Small frames, among them UDP's with their checksum to be filled in.
ask_and_answer() {
	start echo nsenter --net="/run/netns/${ns}a" python3 -c '
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 5002))
print("ready", flush=True)
for _ in range(40):
    data, to = s.recvfrom(9000)
    s.sendto(data, to)
'
	wait_for 10 is_ready echo || fail "nobody answers"
	nsenter --net="/run/netns/${ns}b" python3 -c '
import socket
for family, to in ((socket.AF_INET, "10.66.0.1"), (socket.AF_INET6, "fd66::1")):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.settimeout(10)
    for i in range(20):
        data = bytes(range(i)) * 3
        s.sendto(data, (to, 5002))
        assert s.recv(9000) == data
' || fail "UDP"
	reap echo 10
}

# What was on the wire, judged by somebody else.
judge() { # WHAT
	tshark -r wire.pcap -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE \
		-T fields -e frame.len -e ip.checksum.status -e tcp.checksum.status -e udp.checksum.status \
		-E separator=, >judged 2>judged.err || fail "tshark: $(cat judged.err)"
	awk -F, -v max=$((mtu + 14)) '
		$1 > max { long++ }
		$2 == "0" || $3 == "0" || $4 == "0" { bad++ }
		$3 == "1" { good++ }
		$4 == "1" { udp++ }
		END { print good + 0, udp + 0, bad + 0, long + 0 }' judged >verdict
	read -r good udp bad long <verdict
	[ "$bad" -eq 0 ] || fail "$1: $bad frames with a wrong checksum"
	[ "$long" -eq 0 ] || fail "$1: $long frames longer than the MTU allows"
	# Half of them are enough: a capture loses some on a busy machine.
	[ "$good" -gt $((3 * 1024 * 1024 / mtu)) ] || fail "$1: only $good frames of TCP were judged"
	[ "$udp" -ge 40 ] || fail "$1: only $udp frames of UDP were judged"
}

start mpnic "${wire[@]}" "$MPNIC" -l 0 --no-huge --no-pci -m 384 -- --link "af_packet:va" --link "af_packet:vb" \
	--socket s --idle sleep
wait_for 30 "$MPNIC" --connect s -e "show program" >begin.log 2>&1 || fail "$(cat begin.log mpnic.err)"
ask "personality define all net" >/dev/null
for how in "on on" "on off" "off on" "off off" "auto auto"; do
	read -r first second <<<"$how"
	load "$first" "$second"
	expect_features "${ns}a" mpn0 "${first/auto/on}"
	expect_features "${ns}b" mpn1 "${second/auto/on}"
	# What the driver sends is not seen where it leaves, only where it arrives.
	start capture "${wire[@]}" dumpcap -q -i va -i vb -B 64 -w wire.pcap
	wait_for 10 grep -q "File:" capture.err || fail "no capture: $(cat capture.err)"
	ask_and_answer
	send_file "${ns}a" "${ns}b" 10.66.0.2
	send_file "${ns}b" "${ns}a" fd66::1
	send capture INT
	reap capture 20
	judge "$how"
	for i in 0 1; do
		[ "$i" -eq 0 ] && own=$first || own=$second
		for name in tx_segmented tx_summed rx_merged; do
			n=$(counter nic$i $name)
			[ "$own" != off ] || [ "$n" -eq 0 ] || fail "$how: nic$i has $name $n"
			[ "$own" = off ] || [ "$n" -gt 0 ] || fail "$how: nic$i has no $name"
		done
		for name in tx_malformed tx_long tx_unable tx_reserved; do
			n=$(counter nic$i $name)
			[ "$n" -eq 0 ] || fail "$how: nic$i has $name $n"
		done
	done
	ask "show personality nic0 json" >show.json
	grep -q '"tx_tso": "'"$([ "$first" = off ] && echo host || echo cpu)"'"' show.json || fail "$how: $(cat show.json)"
	unload
done

# What cannot be is said in one line, and changes nothing.
timeout 30 "$MPNIC" --connect s -e "personality load nic0 net tap=mpn0,offload=yes" >refused.out 2>refused.err &&
	fail "offload=yes was taken"
grep -q "offload=on|off|auto" refused.err || fail "not explained: $(cat refused.err)"
ask quit >/dev/null
reap mpnic 20
[ "$RC" -eq 0 ] || fail "mpnic ended with status $RC"
