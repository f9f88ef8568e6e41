#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# A personality is stopped, unloaded, loaded and started again and again, with frames for it arriving all the
# time, while another one of the same NIC has images copied to it and verified: no byte is wrong, no
# request is lost, no frame of the other is dropped in a queue.
#
#	churn.sh MIB SECONDS GAP	at least so much copied, for at least so long; a new life every GAP seconds
. "$(dirname "$0")/lib.sh"

mib=$1 seconds=$2 gap=$3
need_root "network namespaces and tap interfaces"
need python3
[ -c /dev/net/tun ] || skip "no /dev/net/tun"
ns=mpn$$
netns_add "$ns"
CLIENT_CMD=(nsenter --net="/run/netns/$ns")

cat >begin <<END
set scheduler nic0 prio-drr
personality define nic0 storage
personality load nic0 storage
personality start nic0 storage
personality define nic0 net
personality load nic0 net ring=64
personality start nic0 net
volume add scratch mem:64M
start
END
start mpnic "$MPNIC" --no-pci -m 512 -- --link "vhost:$T/l.sock" --cmdline-file begin --socket s --idle yield
wait_for 30 "$MPNIC" --connect s -e "show program" >begin.log 2>&1 || fail "$(cat begin.log mpnic.err)"

# The client's host sends frames that only "net" takes, as fast as it can while there is an interface.
start sender "${CLIENT_CMD[@]}" python3 -c '
import socket, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
while True:
    try:
        s.bind(("mpn0", 0))
        while True:
            s.send(b"\xff" * 12 + b"\x90\x01" + bytes(500))
            time.sleep(0.0002)
    except OSError:
        time.sleep(0.01)
'
# Lives of the other one, until the copies are done.
lives() {
	local n=0

	while [ ! -e enough ]; do
		timeout 30 "$MPNIC" --connect s -e "personality stop nic0 net" -e "personality unload nic0 net" \
			-e "personality load nic0 net ring=64" -e "personality start nic0 net" 2>lives.err || {
			cat lives.err
			return 1
		}
		n=$((n + 1))
		echo $n >lives
		sleep "$gap"
	done
}
start churn lives

make_image disk.img 65536
copied=0
begin=$SECONDS
while [ "$copied" -lt "$mib" ] || [ $((SECONDS - begin)) -lt "$seconds" ]; do
	expect_ok 120 copy --link "virtio:$T/l.sock" --net mpn0 disk.img ebd:scratch --verify
	copied=$((copied + 64))
	is_gone "${PIDS[churn]}" && fail "the lives ended early: $(cat churn.out)"
done
: >enough
reap churn 60
[ "$RC" -eq 0 ] || fail "a step was refused: $(cat churn.out)"
[ "$(cat lives)" -ge 2 ] || fail "only $(cat lives) lives"
expect_ok 60 copy --link "virtio:$T/l.sock" ebd:scratch out.img
same disk.img out.img

# Its frames came all the time: while it was there, and while nobody claimed them.
timeout 30 "$MPNIC" --connect s -e "show port nic0 json" >port.json || fail "show port"
[ "$(sed -nE 's/.*"rx_unclaimed": ([0-9]+).*/\1/p' port.json)" -gt 0 ] || fail "no frames for it: $(cat sender.err)"
timeout 30 "$MPNIC" --connect s -e "show flow nic0 json" >flow.json || fail "show flow"
expect_storage_kept flow.json
send sender TERM
reap sender 10
echo "$copied MiB copied and verified, $(cat lives) lives"
send mpnic TERM
reap mpnic 20
[ "$RC" -eq 0 ] || fail "mpnic ended with status $RC"
expect_nothing_left
