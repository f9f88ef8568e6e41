#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Any NBD server is a back end: a qcow2 image and a plugin of nbdkit are copied to and verified; the
# server is killed in mid-copy and comes back; it hangs, which others do not notice; it stays away; its disk is
# full; its image has shrunk, and grows.
. "$(dirname "$0")/lib.sh"

need qemu-nbd
need qemu-img
need nbdkit
link_up vhost 9000
make_image in.img 16384

is_listening() { # SOCKET
	grep -q " $T/$1\$" /proc/net/unix
}

# Start an NBD server on a socket and wait for it.
nbd_server() { # NAME SOCKET COMMAND...
	local name=$1 sock=$2

	shift 2
	rm -f "$sock"
	start "$name" "$@"
	wait_for 20 is_listening "$sock" || fail "$name did not listen"
}

qcow2_server() {
	nbd_server qcow2 q.sock qemu-nbd -t -e 8 -f qcow2 --discard=unmap -k "$T/q.sock" disk.qcow2
}

kit_server() { # more arguments
	nbd_server kit k.sock nbdkit -f -U "$T/k.sock" "$@"
}

qemu-img create -q -f qcow2 disk.qcow2 16M
qcow2_server
truncate -s 16M raw.img
kit_server --filter=delay file raw.img wdelay=100ms

serve server "$SERVER_LINK" "cow=nbd:nbd+unix:///?socket=$T/q.sock" \
	"bound=nbd:nbd+unix:///?socket=$T/k.sock,fail-after=1s" \
	"kit=nbd:nbd+unix:///?socket=$T/k.sock" -- --link "vhost:$T/l2.sock" --control "$T/ctl.sock"
has_session() {
	timeout 5 "$EBD" ctl --control "$T/ctl.sock" sessions | grep -q '"volume": "kit"'
}

# A qcow2 image, to and fro.
expect_ok 60 copy --link "$CLIENT_LINK" in.img ebd:cow --verify
expect_ok 60 copy --link "$CLIENT_LINK" ebd:cow out.img --verify
same in.img out.img

# Killed in mid-copy.
start copy "$EBD" copy --link "$CLIENT_LINK" --sparse off --depth 2 in.img ebd:kit --verify
wait_for 30 counter_above server write_bytes $((10 << 20)) || fail "the copy did not get going"
is_gone "${PIDS[copy]}" && fail "the copy was over before the server could be killed"
send kit KILL
reap kit 10
kit_server file raw.img
reap copy 120
[ "$RC" -eq 0 ] || fail "the copy ended with status $RC"
same in.img raw.img
[ "$(counter server reconnects)" -ge 1 ] || fail "no reconnect was counted"

# It says nothing any more, with its connections up: who waits for it waits, all others go on, and when it says
# something again nothing has failed.
send kit STOP
start waiting "$EBD" copy --link "virtio:$T/l2.sock" --depth 4 --sparse off in.img ebd:kit --verify
wait_for 20 has_session || fail "the copy to a volume that hangs does not begin"
expect_ok 60 copy --link "$CLIENT_LINK" ebd:cow out.img --verify
same in.img out.img
# A request of the other volume may wait for its own server, not for the one that hangs.
expect_ok 60 perf --link "$CLIENT_LINK" cow --rw randread --bs 4k --depth 4 --ops 200 --json
[ "$(json errors)" = 0 ] || fail "reads failed while another volume hung"
# Nor does anybody wait for a volume that is added and whose server says nothing: it takes 10 s until that is refused.
start adding timeout 60 "$EBD" ctl --control "$T/ctl.sock" add "late=nbd:nbd+unix:///?socket=$T/k.sock"
begin=$SECONDS
expect_ok 60 info --link "$CLIENT_LINK" cow
[ $((SECONDS - begin)) -lt 5 ] || fail "a client waited $((SECONDS - begin)) s for a volume that was being added"
is_gone "${PIDS[adding]}" && fail "a volume whose server says nothing was refused at once: $(cat adding.out)"
reap adding 40
grep -q "cannot connect: no answer" adding.out || fail "not a word of its server: $(cat adding.out)"
is_gone "${PIDS[waiting]}" && fail "a copy to a server that says nothing has ended: $(cat waiting.err)"
send kit CONT
reap waiting 120
[ "$RC" -eq 0 ] || fail "the copy ended with status $RC: $(cat waiting.err)"
same in.img raw.img

# Gone for longer than the bound, while another volume goes on.
send kit KILL
reap kit 10
client 60 copy --link "$CLIENT_LINK" ebd:bound out.img
[ "$RC" -eq 1 ] || fail "exit status $RC without a server"
grep -qi "timed out" client.err || fail "not a word of a timeout: $(cat client.err)"
expect_ok 60 copy --link "$CLIENT_LINK" ebd:cow out.img --verify

# The disk below is full.
kit_server --filter=error file raw.img error-pwrite=ENOSPC error-pwrite-rate=100%
client 60 copy --link "$CLIENT_LINK" in.img ebd:kit
[ "$RC" -eq 1 ] || fail "exit status $RC with a full disk"
grep -qi "no space left" client.err || fail "not a word of no space: $(cat client.err)"

# The image has shrunk: what is left can be read.
send kit KILL
reap kit 10
truncate -s 8M raw.img
kit_server file raw.img
client 60 copy --link "$CLIENT_LINK" ebd:kit out.img
[ "$RC" -eq 1 ] || fail "exit status $RC with a shrunk image"
grep -q "has shrunk to 8388608 bytes" server.err || fail "the server says nothing: $(cat server.err)"

# Looked at again, it is as large as its server says, and grows with it; the clients are told.
resized() { # MIB
	timeout 20 "$EBD" ctl --control "$T/ctl.sock" resize kit >ctl.out || fail "resize: $(cat ctl.out)"
	expect_ok 30 info --link "$CLIENT_LINK" kit --size
	[ "$(cat client.out)" = $(($1 << 20)) ] || fail "it has $(cat client.out) bytes, not $1 MiB"
}
resized 8
truncate -s 16M raw.img
resized 16
expect_ok 60 copy --link "$CLIENT_LINK" in.img ebd:kit --verify
same in.img raw.img

stop_server server
send qcow2 TERM
reap qcow2 20
[ "$(qemu-img check disk.qcow2 | grep -c 'No errors')" -eq 1 ] || fail "the qcow2 image is damaged"
[ "$(qemu-img compare -f raw -F qcow2 in.img disk.qcow2)" = "Images are identical." ] ||
	fail "the qcow2 image differs"
