#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# A volume as a disk of a virtual machine, without a machine: a frontend of vhost-user-blk that verifies, one
# that misbehaves, a disk that grows, sockets that are left or taken.
. "$(dirname "$0")/vhost_lib.sh"

link_up vhost 9000
truncate -s 32M disk.img
serve server "$SERVER_LINK" disk0=file:disk.img -- --control ./ctl.sock --link "vhost:$T/m.sock"
vhost_serve target --queues 4

run 20 "$VHOST_BLK" g.sock info
grep -qx "size $((32 << 20))" run.out || fail "the size is not the volume's"
grep -qx "queues 4" run.out || fail "not the number of queues that was asked for"
grep -qx "serial disk0" run.out || fail "not the volume's name"
grep -qx "wce 1" run.out || fail "the volume has a cache, the disk has not"

run 60 "$VHOST_BLK" g.sock verify 3
[ "$(vhost_counter target flushes)" -gt 0 ] || fail "nothing was flushed"
[ "$(vhost_counter target errors)" -eq 0 ] || fail "there were errors"
[ "$(vhost_counter target bad_chains)" -eq 0 ] || fail "good descriptors were given back"

# Bytes move once, from frames to the guest's memory or back: nothing is bounced.
payload=$(vhost_counter target payload_bytes) copied=$(vhost_counter target copied_bytes)
[ "$copied" -le "$payload" ] || fail "$copied bytes were copied for $payload on the wire"

run 120 "$VHOST_BLK" g.sock hostile
[ "$(vhost_counter target bad_chains)" -ge 9 ] || fail "bad descriptors were not counted"
[ "$(vhost_counter target in_flight)" -eq 0 ] || fail "something is still in flight"

# Guests that are killed with requests under way; the next one finds a target that works.
for i in 1 2 3; do
	start killed "$VHOST_BLK" g.sock verify 60
	wait_for 20 grep -q working killed.out || fail "guest $i cannot work"
	before=$(vhost_counter target writes)
	wait_for 20 vhost_counter_above target writes "$before" || fail "guest $i does not work"
	send killed KILL
	reap killed 10
done
run 60 "$VHOST_BLK" g.sock verify 1

# A machine that stops its ring while the server stands still waits for 5 s. What was in flight is done
# when the ring goes on (0), or has failed where nobody keeps it (1).
for forgetful in 0 1; do
	mkfifo orders
	# In this order: who can write its orders does not read what the one before it said.
	"$VHOST_BLK" g.sock stall "$forgetful" >stall.out 2>stall.err <orders &
	PIDS[stall]=$!
	exec 3>orders
	wait_for 10 grep -q working stall.out || fail "the frontend cannot connect"
	send server STOP
	echo go >&3
	wait_for 20 grep -q "stopped after" stall.out || fail "the ring is not stopped"
	send server CONT
	echo go >&3
	reap stall 40
	exec 3>&-
	[ "$RC" -eq 0 ] || fail "requests under way when the ring was stopped"
	rm orders
done

# What guests had mapped has gone with them.
has_no_guest() {
	! grep -q memfd:guest "/proc/${PIDS[target]}/maps"
}
wait_for 10 has_no_guest || fail "memory of guests that are gone is still mapped"

# It grows while it is in use, and the guest is told.
start grow "$VHOST_BLK" g.sock resize $((48 << 20))
wait_for 10 grep -q working grow.out || fail "the frontend cannot connect"
truncate -s 48M disk.img
timeout 10 "$EBD" ctl --control ./ctl.sock resize disk0 >ctl.out || fail "the server does not resize"
reap grow 20
[ "$RC" -eq 0 ] || fail "the guest was not told of the new size"

# It is made read-only while a guest writes: that one is told so by its next write, the next one when it comes.
start writer "$VHOST_BLK" g.sock verify 60
wait_for 20 grep -q working writer.out || fail "the frontend cannot connect"
before=$(vhost_counter target writes)
wait_for 20 vhost_counter_above target writes "$before" || fail "the guest does not work"
timeout 10 "$EBD" ctl --control ./ctl.sock readonly disk0 >ctl.out || fail "the server does not make it read-only"
reap writer 20
[ "$RC" -eq 1 ] || fail "a guest wrote to a volume that is read-only: status $RC"
is_readonly() { # 0|1
	run 20 "$VHOST_BLK" g.sock info
	features=$(sed -n 's/^features //p' run.out)
	[ $((0x$features >> 5 & 1)) -eq "$1" ]
}
wait_for 10 is_readonly 1 || fail "the next guest is not told that it is read-only: $features"
[ $((0x$features >> 9 & 1)) -eq 1 ] || fail "what was written before cannot be flushed any more: $features"
timeout 10 "$EBD" ctl --control ./ctl.sock remove disk0 >ctl.out || fail "the server does not remove it"
removed() {
	timeout 10 "$EBD" ctl --control ./ctl.sock add disk0=file:disk.img >ctl.out
}
wait_for 10 removed || fail "the volume cannot be added again: $(cat ctl.out)"
wait_for 20 is_readonly 0 || fail "the next guest is not told that it can be written: $features"
run 60 "$VHOST_BLK" g.sock verify 1

# A socket has one target; one that was left by a killed one is taken over.
RC=0
timeout 20 "$VHOST_EBD" --no-huge --link "virtio:$T/m.sock" disk0 --socket g.sock >second.out 2>second.err ||
	RC=$?
[ "$RC" -eq 1 ] || fail "a second target on the same socket ended with status $RC"
grep -q "somebody else serves it" second.err || fail "the error does not name the cause"
send target KILL
reap target 10
[ -S g.sock ] || fail "a killed target has taken its socket with it"
vhost_serve target --queues 4
run 20 "$VHOST_BLK" g.sock verify 1

# An idle one sleeps.
cpu=$(cpu_percent target 2)
[ "$cpu" -le 5 ] || fail "an idle target uses $cpu % of a core"

stop_server target
[ ! -e g.sock ] || fail "the socket was left"
vhost_serve target --serial 12345678901234567890
stop_server target INT

# Files are not sockets.
: >g.sock
RC=0
timeout 20 "$VHOST_EBD" --no-huge --link "$CLIENT_LINK" disk0 --socket g.sock >file.out 2>file.err || RC=$?
[ "$RC" -eq 2 ] || fail "a file in the place of the socket: status $RC"
grep -q "is not a socket" file.err || fail "the error does not name the cause"
rm g.sock

stop_server server
expect_nothing_left

# On a link whose driver reads by CPU writes leave the guest's memory without a copy: reads alone have one.
link_up memif 9000
serve server "$SERVER_LINK" disk0=file:disk.img
vhost_serve target --queues 4
run 60 "$VHOST_BLK" g.sock verify 2
writes=$(vhost_counter target writes) reads=$(vhost_counter target reads)
copied=$(vhost_counter target copied_bytes)
[ "$copied" -lt $(((reads + writes / 4) * 4096)) ] ||
	fail "$copied bytes were copied for $reads reads and $writes writes of 4096"
stop_server target
stop_server server
