#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# One server on two links serves a client on each at the same time.
. "$(dirname "$0")/lib.sh"

dd if=/dev/urandom of=disk.img bs=1M count=16 status=none
start server "$EBD" serve --link "vhost:$T/a.sock" --link "memif:$T/b.sock" \
	--volume disk0=file:disk.img
wait_for 30 is_ready server || fail "the server did not get ready"
for end in "virtio:$T/a.sock" "memif:$T/b.sock"; do
	name=${end%%:*}
	start "$name" "$EBD" copy --link "$end" ebd:disk0 "$name.img" --verify
done
for name in virtio memif; do
	reap "$name" 60
	[ "$RC" -eq 0 ] || fail "the copy over $name ended with status $RC"
	same "$name.img" disk.img
done
stop_server server
expect_nothing_left
