#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# A volume grows, is made read-only, goes and comes while clients are attached: one of ours, and one of NBD that
# stays connected all the time. Guests are in vhost.sh and vhost_linux.sh.
. "$(dirname "$0")/lib.sh"

need qemu-io
link_up vhost 9000
truncate -s 16M disk.img
serve server "$SERVER_LINK" disk0=file:disk.img -- --control "$T/ctl.sock" --link "vhost:$T/l2.sock"
nbd_serve kit -- disk0 fail-after=2s connect-timeout=2s

ctl() {
	timeout 10 "$EBD" ctl --control "$T/ctl.sock" "$@" >ctl.out
}

mkfifo orders
qemu-io -f raw "$URI" <orders >io.out 2>&1 &
PIDS[io]=$!
exec 3>orders
has_answer() { # BYTES PATTERN
	tail -c "+$(($1 + 1))" io.out | grep -q -- "$2"
}
# Tell the one that is connected, and wait for what it says.
attached() { # COMMAND PATTERN
	local before

	before=$(stat -c %s io.out)
	echo "$1" >&3
	wait_for 20 has_answer "$before" "$2" || fail "'$1' did not end with '$2': $(cat io.out)"
}
# It is told to whoever connects now; who is connected has what NBD told it at the start.
nbd_has_size() {
	[ "$(timeout 10 nbdinfo --size "$URI")" = "$1" ]
}

attached "write -P 1 0 4k" "wrote 4096/4096"
truncate -s 32M disk.img
ctl resize disk0 || fail "resize: $(cat ctl.out)"
expect_ok 20 info --link "virtio:$T/l2.sock" disk0 --size
[ "$(cat client.out)" = $((32 << 20)) ] || fail "a new client sees $(cat client.out) bytes"
wait_for 10 nbd_has_size $((32 << 20)) || fail "a new NBD client is not told that it has grown"
attached "read -P 1 0 4k" "read 4096/4096"
run 20 qemu-io -f raw "$URI" -c "write -P 3 31M 4k" -c "read -P 3 31M 4k"

# Under way when it is made read-only: its writes fail from then on, and say why.
start writer "$EBD" perf --link "virtio:$T/l2.sock" disk0 --offset 16M --rw randwrite --time 60 --json
writes() {
	counter_above server writes "$1"
}
wait_for 20 writes 1000 || fail "nothing is written"
ctl readonly disk0 || fail "readonly: $(cat ctl.out)"
reap writer 20
[ "$RC" -eq 1 ] || fail "a client that wrote when it was made read-only ended with status $RC"
grep -qi "read-only" writer.err || fail "not a word of why: $(cat writer.err)"
attached "write -P 2 0 4k" "write failed: Operation not permitted"
attached "read -P 1 0 4k" "read 4096/4096"
wait_for 10 timeout 10 nbdinfo --is readonly "$URI" || fail "a new NBD client is not told that it is read-only"
client 20 copy --link "virtio:$T/l2.sock" "$EBD" ebd:disk0
[ "$RC" -eq 1 ] && grep -qi "read-only" client.err || fail "status $RC, $(cat client.err)"

# Away for longer than its requests wait, and back.
ctl remove disk0 || fail "remove: $(cat ctl.out)"
attached "read -P 1 0 4k" "read failed"
comes_back() {
	ctl add disk0=file:disk.img
}
wait_for 10 comes_back || fail "add: $(cat ctl.out)"
attached "read -P 1 0 4k" "read 4096/4096"
attached "write -P 4 0 4k" "wrote 4096/4096"
echo quit >&3
exec 3>&-
reap io 10
nbd_stop kit
stop_server server
expect_nothing_left
