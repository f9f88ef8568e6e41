#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# The network personality on vhost-net of Debian's kernel, in a machine that QEMU emulates: two ports on one
# ring, each an interface in a network namespace of its own. Pings and a file go through, cables follow their
# ports, interfaces go with their personalities, and a plain tap does where there is no vhost-net.
#
#	net_vhost.sh
. "$(dirname "$0")/vhost_lib.sh"

need ip
eal=$(ldd "$MPNIC" | awk '$1 ~ /^librte_eal/ { print $3 }')
drivers=()
for driver in "${eal%/*}"/dpdk/pmds-*/librte_{bus_vdev,mempool_ring,net_ring,net_virtio}.so.*; do
	[ ! -f "$driver" ] || [ -L "$driver" ] || drivers+=("$driver")
done
[ ${#drivers[@]} -eq 4 ] || skip "needs DPDK with its drivers as shared objects"

GUEST_MODULES='tun tap vhost_iotlb vhost vhost_net'
{
	echo "MPNIC=$MPNIC DRIVERS=${drivers[0]%/*} IP=$(command -v ip)"
	cat <<'END'
ask() {
	$MPNIC --connect /tmp/s "$@" 2>&1
}
run() { # [options]
	$MPNIC -l 0 -d $DRIVERS --no-huge --no-pci -m 128 -- --link ring:x "$@"
}
await() { # SECONDS COMMAND...
	end=$(($(cut -d. -f1 /proc/uptime) + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(cut -d. -f1 /proc/uptime)" -lt $end ] || return 1
	done
}
there() { # COMMAND... in the other namespace
	nsenter -t "$(cat /tmp/pid)" -n "$@"
}
face() { # NIC
	ask -e "show personality $1" | awk -v nic=$1 '$1 == "face" { print nic, "has face", $2 }'
}
carries() {
	there $IP link show vb | grep -q LOWER_UP && $IP link show va | grep -q LOWER_UP
}
lost() {
	there $IP link show vb | grep -q NO-CARRIER && $IP link show va | grep -q NO-CARRIER
}
try() { # WORDS COMMAND...
	words=$1
	shift
	"$@" && echo "$words"
}
pings() { # NUMBER [options]
	n=$1
	shift
	ping -c $n -A -W 10 "$@" 10.66.0.2 | grep received
}
dress() { # the first one
	$IP addr add 10.66.0.1/24 dev va
	$IP link set va up
}
load() { # NIC OPTIONS
	ask -e "personality load $1 net $2" -e "personality start $1 net"
}

mkdir -p /run /tmp
cd /tmp
ls -l /dev/vhost-net /dev/net/tun
run --link ring:x --socket /tmp/s --idle sleep >log 2>&1 &
mpnic=$!
if ! await 60 ask -e "show program"; then
	cat log
	poweroff -f
fi
ask -e "personality define all net"
load nic0 tap=va,vhost=on
load nic1 tap=vb
face nic0
face nic1
mkfifo hold open
unshare -n sh -c 'echo $$ >/tmp/new; mv /tmp/new /tmp/pid; read x </tmp/hold' &
await 10 test -s pid
$IP link set vb netns "$(cat pid)"
there $IP addr add 10.66.0.2/24 dev vb
there $IP link set vb up
dress
await 10 carries && echo cables are in
pings 20 -s 1400
pings 10 -s 8900
dd if=/dev/urandom of=data bs=64k count=64 2>/dev/null
# What never ends: who sees its end hangs up.
there nc -l -p 5001 <>open >copy &
nc=$!
await 10 sh -c 'nsenter -t $(cat /tmp/pid) -n netstat -ltn | grep -q 5001'
nc 10.66.0.2 5001 <data
wait $nc
try "the file came" cmp data copy
ask -e "show personality nic0" | awk '$1 == "tx_segmented" && $2 > 0 { print "long frames were cut" }'
ask -e "show personality nic0" | awk '$1 == "rx_frames" || $1 == "tx_frames" { if ($2 > 100) print $1, "counted" }
	$1 ~ /^(rx_dropped|tx_reserved|tx_malformed|tx_long|tx_unable)$/ { print $1, $2 }'

ask -e "port stop all"
await 10 lost && echo cables are out
ask -e "port start all"
await 10 carries && echo cables are in again
pings 6

ask -e "personality stop nic0 net" -e "personality unload nic0 net"
$IP link show va >/dev/null 2>&1 || echo va is gone
ask -e "personality load nic0 net tap=vb" >/dev/null
face nic0
ask -e "personality unload nic0 net"
mv /dev/vhost-net /dev/elsewhere
load nic0 tap=va,vhost=on
load nic0 tap=va
face nic0
dress
pings 7
ask -e "personality stop nic0 net" -e "personality unload nic0 net"
mv /dev/elsewhere /dev/vhost-net
load nic0 tap=va,vhost=auto
face nic0
dress
pings 8
# Somebody takes it away.
$IP link del va
there ping -c 2 -W 1 10.66.0.1 | grep received
ask -e "personality stop nic0 net" -e "personality unload nic0 net"
load nic0 tap=va
face nic0
dress
pings 9
ask -e "show config" | grep "load"
ask -e quit
wait $mpnic
echo "mpnic ended $?"
there $IP link show vb >/dev/null 2>&1 || echo vb is gone
cat log
echo >hold
# A kernel that refuses the memory it is given, of which the driver says nothing.
rmmod vhost_net
rmmod vhost
insmod /lib/vhost.ko max_mem_regions=0 && insmod /lib/vhost_net.ko
for how in on auto; do
	run -e "personality define nic0 net" -e "personality load nic0 net tap=vc,vhost=$how" -e "show personality" \
		2>&1 | grep -o "tap=vc.*vhost=on.*\|face *[a-z]*"
done
END
} >commands
make_guest "$MPNIC" "${drivers[@]}" ip <commands

start qemu qemu-system-x86_64 -accel tcg -cpu max -smp 2 -m 768M -nodefaults -display none -serial stdio -no-reboot \
	-kernel "$KERNEL/vmlinuz" -initrd guest.cpio -append "console=ttyS0 quiet panic=-1 no_timer_check"
reap_guest 240

guest_said "nic0 has face vhost"
guest_said "nic1 has face vhost"
guest_said "nic0 has face tap"
[ "$(grep -c "nic0 has face vhost" guest.out)" -eq 4 ] || fail "it has not always another face"
guest_said "cables are in"
for n in 20 10 6 7 8 9; do
	guest_said "$n packets transmitted, $n packets received, 0% packet loss"
done
guest_said "the file came"
guest_said "long frames were cut"
guest_said "rx_frames counted"
guest_said "tx_frames counted"
for counter in rx_dropped tx_reserved tx_malformed tx_long tx_unable; do
	guest_said "$counter 0"
done
guest_said "cables are out"
guest_said "cables are in again"
guest_said "va is gone"
guest_said "'tap=va,vhost=on': tap 'va': vhost=on: /dev/vhost-net: No such file or directory"
guest_said "2 packets transmitted, 0 packets received, 100% packet loss"
guest_said "personality load nic0 net tap=va"
guest_said "mpnic ended 0"
guest_said "vb is gone"
guest_said "tap=vc,vhost=on': tap 'vc': vhost=on: an interface of vhost-net: Input/output error"
guest_said "face              tap"
