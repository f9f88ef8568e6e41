#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# What the host does to its interface the port follows, and the other way round, wherever the interface is by now:
# station address, everybody's frames, MTU, up and down, the cable. Meanwhile the two hosts ping each other.
#
#	follow.sh
. "$(dirname "$0")/lib.sh"

need_root "network namespaces and tap interfaces"
need ping
need dumpcap
[ -c /dev/net/tun ] || skip "no /dev/net/tun"
ns=mpn$$
for end in a b m; do netns_add "$ns$end"; done
a=(nsenter --net="/run/netns/${ns}a") b=(nsenter --net="/run/netns/${ns}b") m=(nsenter --net="/run/netns/${ns}m")

ask() { # COMMAND...
	local args=()

	for c in "$@"; do args+=(-e "$c"); done
	timeout 30 "$MPNIC" --connect s "${args[@]}" 2>ask.err || fail "$*: $(cat ask.err)"
}
says() { # NIC NAME VALUE [port]
	[ "$(ask "show ${4:-personality} $1" | awk -v name="$2" '$1 == name { print $2; exit }')" = "$3" ]
}
pings() {
	"${b[@]}" ping -q -c 3 -i 0.05 -W 5 10.66.0.1 >ping.out 2>&1
}
link_is() { # NETNS INTERFACE PATTERN
	ip -n "$1" -o link show "$2" | grep -q -- "$3"
}

start mpnic "${m[@]}" "$MPNIC" -l 0 --no-huge --no-pci -m 256 -- --link ring:x --link ring:x --socket s --idle sleep
wait_for 30 "$MPNIC" --connect s -e "show program" >begin.log 2>&1 || fail "$(cat begin.log mpnic.err)"
ask "personality define all net" >define.log
i=0
for end in a b; do
	ask "personality load nic$i net tap=mpn$i,vhost=off" "personality start nic$i net" >load.log
	"${m[@]}" ip link set "mpn$i" netns "$ns$end"
	ip -n "$ns$end" link set "mpn$i" name eth
	i=$((i + 1))
	ip -n "$ns$end" addr add "10.66.0.$i/24" dev eth
	ip -n "$ns$end" link set eth up
done
wait_for 10 pings || fail "no ping: $(cat ping.out)"
mtu=$(ip -n "${ns}a" -o link show eth | sed 's/.* mtu \([0-9]*\) .*/\1/')

# An address of the host's own, in the namespace it was moved to, by the name it got there.
own=$(ask "show port nic0" | awk '$1 == "mac" { print $2; exit }')
ip -n "${ns}a" link set eth address 02:00:00:00:00:77
wait_for 10 says nic0 host_mac 02:00:00:00:00:77 || fail "nobody has heard of another address"
ip -n "${ns}b" neigh flush dev eth
wait_for 10 pings || fail "nobody at another address: $(cat ping.out)"
says nic0 mac "$own" port || fail "the port has another address"
says nic0 promiscuous no port || fail "everybody's frames for an address"
ip -n "${ns}a" link set eth address "$own"
wait_for 10 says nic0 host_mac "$own" || fail "nobody has heard of the old address"
ip -n "${ns}b" neigh flush dev eth
wait_for 10 pings || fail "nobody at the old address: $(cat ping.out)"

# Who captures sees what is for others.
start capture "${a[@]}" dumpcap -q -i eth -w others.pcap
wait_for 10 says nic0 promiscuous yes port || fail "not promiscuous for who captures"
ip -n "${ns}b" neigh add 10.66.0.9 lladdr 02:00:00:00:00:99 dev eth
"${b[@]}" ping -q -c 5 -i 0.02 -W 1 10.66.0.9 >ping.out 2>&1
seen() {
	tshark -r others.pcap -Y "eth.dst == 02:00:00:00:00:99 && icmp" 2>tshark.err | grep -c . >count
	[ "$(cat count)" -eq 5 ]
}
wait_for 10 seen || fail "$(cat count) of 5 frames for others were seen"
send capture INT
reap capture 10
wait_for 10 says nic0 promiscuous no port || fail "promiscuous when nobody captures"
ip -n "${ns}a" link set eth promisc on
wait_for 10 says nic0 host_promiscuous yes || fail "nobody has heard of promisc on"
ip -n "${ns}a" link set eth promisc off
wait_for 10 says nic0 host_promiscuous no || fail "nobody has heard of promisc off"
says nic0 allmulticast yes port || fail "the groups of an interface that is up do not come"

# Less is the host's business; more the port cannot, and the interface has the port's again.
ip -n "${ns}a" link set eth mtu 1400
wait_for 10 says nic0 host_mtu 1400 || fail "nobody has heard of the MTU"
pings || fail "no ping with a smaller MTU: $(cat ping.out)"
ip -n "${ns}a" link set eth mtu $((mtu + 1000))
wait_for 10 link_is "${ns}a" eth "mtu $mtu " || fail "the interface has an MTU that the port has not"
"${b[@]}" ping -q -c 3 -i 0.05 -W 5 -M 'do' -s $((mtu - 28)) 10.66.0.1 >ping.out 2>&1 || fail "$(cat ping.out)"

# Down at the host, at the port, and up again.
ip -n "${ns}a" link set eth down
wait_for 10 says nic0 host_up no || fail "nobody has heard that it is down"
wait_for 10 says nic0 allmulticast no port || fail "groups for an interface that is down"
pings && fail "an answer from an interface that is down"
ip -n "${ns}a" link set eth up
wait_for 10 says nic0 host_up yes || fail "nobody has heard that it is up"
wait_for 10 pings || fail "no ping after it came up: $(cat ping.out)"
ask "port stop all" >stop.log
wait_for 10 link_is "${ns}a" eth NO-CARRIER || fail "a carrier without its port"
wait_for 10 link_is "${ns}b" eth NO-CARRIER || fail "a carrier without a port"
ask "port start all" >start.log
wait_for 10 link_is "${ns}a" eth LOWER_UP || fail "no carrier with the peer"
wait_for 10 pings || fail "no ping with the peer: $(cat ping.out)"

# On to another namespace, and back: it is followed still.
ip -n "${ns}a" link set eth netns "${ns}m"
ip -n "${ns}m" link set eth address 02:00:00:00:00:78
wait_for 10 says nic0 host_mac 02:00:00:00:00:78 || fail "nobody looks where it is now"
ip -n "${ns}m" link set eth netns "${ns}a"
ip -n "${ns}a" link set eth address 02:00:00:00:00:79
wait_for 10 says nic0 host_mac 02:00:00:00:00:79 || fail "nobody looks where it is again"

ask "set promisc nic0 on" "set allmulti nic0 on" >set.log
says nic0 promiscuous yes port || fail "the user's word is not heard"
ask quit >quit.log
reap mpnic 20
[ "$RC" -eq 0 ] || fail "mpnic ended with status $RC"
