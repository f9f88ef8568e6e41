#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# The disk below a file volume runs full: those requests fail, the server and its other volumes go on.
. "$(dirname "$0")/lib.sh"

need_root "a small file system"
mkdir small
mount -t tmpfs -o size=4m none small || skip "no tmpfs here"
MOUNTS+=("$T/small")
truncate -s 16M small/disk.img
link_up vhost 9000
serve server "$SERVER_LINK" disk0=file:small/disk.img good=mem:32M
dd if=/dev/urandom of=in.img bs=1M count=16 status=none

client 60 copy --link "$CLIENT_LINK" in.img ebd:disk0
[ "$RC" -eq 1 ] || fail "exit status $RC"
grep -qi "no space left" client.err || fail "not a word of no space: $(cat client.err)"
expect_ok 60 copy --link "$CLIENT_LINK" in.img ebd:good --verify
expect_ok 30 info --link "$CLIENT_LINK" disk0

# On the client's side, too.
client 60 copy --link "$CLIENT_LINK" --sparse off ebd:good small/out.img
[ "$RC" -eq 1 ] || fail "exit status $RC"
grep -qi "no space left" client.err || fail "not a word of no space: $(cat client.err)"
stop_server server
