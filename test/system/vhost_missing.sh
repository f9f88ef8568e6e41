#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# A guest ends with requests under way while the server is away, and the next one comes before the server is back:
# its requests wait as long as --fail-after says, and no request fails before.
. "$(dirname "$0")/vhost_lib.sh"

link_up vhost 9000
truncate -s 16M disk.img
serve server "$SERVER_LINK" disk0=file:disk.img

has_tried() { # TIMES
	[ "$(grep -c "nobody answered" target.err)" -ge "$1" ]
}

# A target whose volume is closed, since nobody knows what becomes of the last guest's requests, and a guest that
# wants it.
orphan() { # FAIL_AFTER
	vhost_serve target --queues 4 --fail-after "$1" --connect-timeout 1s
	start first "$VHOST_BLK" g.sock verify 60 8
	wait_for 20 grep -q working first.out || fail "the frontend cannot connect"
	wait_for 20 vhost_counter_above target writes 100 || fail "nothing is written"
	send server KILL
	reap server 10
	send first KILL
	reap first 10
	start guest "$VHOST_BLK" g.sock verify 4 8
	wait_for 30 grep -q "nobody answered" target.err || fail "the target has a volume still"
}

orphan never
# More than one of its tries.
wait_for 20 has_tried 3 || fail "the target tries no more"
! is_gone "${PIDS[guest]}" || fail "requests failed while the server was away: $(cat guest.err)"
serve server "$SERVER_LINK" disk0=file:disk.img
reap guest 60
[ "$RC" -eq 0 ] || fail "the guest ended with status $RC: $(cat guest.err)"
stop_server target

# Longer than the last guest's requests were waited for.
orphan 8s
reap guest 60
[ "$RC" -eq 1 ] || fail "status $RC without a server"
stop_server target

# Told to end, it does not wait.
serve server "$SERVER_LINK" disk0=file:disk.img
orphan never
stop_server target
send guest KILL
reap guest 10
