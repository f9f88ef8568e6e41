#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Images that are cut below a server with clients attached: what is behind the new end fails at once and says so,
# what is in front of it is served, the server and its other volumes go on; and they can be made whole again.
. "$(dirname "$0")/lib.sh"

link_up vhost 9000
make_image whole.img 16384
for image in direct buffered cut under; do
	cp whole.img "$image.img"
done
serve server "$SERVER_LINK" direct=file:direct.img,direct=auto buffered=file:buffered.img,direct=off \
	"part=slice:off=4M,size=8M:file:cut.img" "cow=cow:overlay=over.cow:readonly:file:under.img" good=mem:16M -- \
	--control "$T/ctl.sock" --link "vhost:$T/l2.sock"
ctl() {
	timeout 10 "$EBD" ctl --control "$T/ctl.sock" "$@" >ctl.out
}
fails_behind_the_end() { # VOLUME
	client 20 copy --link "$CLIENT_LINK" --sparse off "ebd:$1" out.img
	[ "$RC" -eq 1 ] || fail "$1: exit status $RC for a copy of what is not there"
	grep -qi "input/output error" client.err || fail "$1: not a word of the error: $(cat client.err)"
}
head -c 8M whole.img >half.img

# Cut while somebody reads all of it: those reads fail that are behind the end, and no others.
for volume in direct buffered; do
	start "reader" "$EBD" perf --link "virtio:$T/l2.sock" "$volume" --rw randread --bs 64k --depth 16 --time 3s --json
	wait_for 20 counter_is server sessions 1 || fail "$volume: nobody reads"
	truncate -s 8M "$volume.img"
	reap reader 30
	[ "$RC" -eq 1 ] || fail "$volume: status $RC of a reader"
	[ "$(sed -nE 's/^ *"errors": ([0-9]+).*/\1/p' reader.out | head -n 1)" -gt 0 ] || fail "$volume: no read failed"
	fails_behind_the_end "$volume"
	grep -c "$volume.img.*has shrunk to 8388608 bytes" server.err >told || true
	[ "$(cat told)" = 1 ] || fail "$volume: it was said $(cat told) times: $(cat server.err)"
	expect_ok 30 perf --link "$CLIENT_LINK" "$volume" --rw randread --bs 64k --size 8M --ops 1000 --json
	expect_ok 30 copy --link "$CLIENT_LINK" whole.img ebd:good --verify

	# Once it is looked at clients are told, and ask for no more than there is.
	ctl resize "$volume" || fail "resize: $(cat ctl.out)"
	expect_ok 30 copy --link "$CLIENT_LINK" "ebd:$volume" out.img --verify
	same half.img out.img
	cp --no-preserve=all whole.img again.img && cat again.img >"$volume.img"
	ctl resize "$volume" || fail "resize: $(cat ctl.out)"
	expect_ok 30 copy --link "$CLIENT_LINK" "ebd:$volume" out.img --verify
	same whole.img out.img
done

# Below a filter, and to nothing at all.
truncate -s 6M cut.img
fails_behind_the_end part
truncate -s 0 cut.img
fails_behind_the_end part
ctl resize part && fail "a slice has another size"
truncate -s 8M under.img
fails_behind_the_end cow
expect_ok 30 copy --link "$CLIENT_LINK" half.img ebd:cow --verify
expect_ok 30 copy --link "$CLIENT_LINK" whole.img ebd:good --verify
stop_server server
same <(head -c 8M whole.img) under.img
expect_nothing_left
