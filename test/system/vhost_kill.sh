#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Target and server are killed in turn while a guest works on all queues: nothing is lost, nothing is stuck,
# and the guest does not notice.
#
#	vhost_kill.sh KILLS
. "$(dirname "$0")/vhost_lib.sh"

kills=$1
link_up vhost 9000
truncate -s 32M disk.img
serve server "$SERVER_LINK" disk0=file:disk.img
vhost_serve target --queues 4 --fail-after never

# Requests of the target that has been started last.
works() {
	[ "$(vhost_counter target writes)" -gt "${1:-0}" ]
}

start guest "$VHOST_BLK" g.sock verify $((kills * 2 + 4))
wait_for 10 grep -q working guest.out || fail "the frontend cannot connect"
done=0
for ((i = 0; i < kills; i++)); do
	is_gone "${PIDS[guest]}" && break
	wait_for 20 works || fail "nothing is written after kill $i"
	if ((i % 4 == 3)); then
		before=$(vhost_counter target writes)
		send server KILL
		reap server 10
		serve server "$SERVER_LINK" disk0=file:disk.img
		wait_for 20 works "$before" || fail "nothing is written after the server has come back"
	else
		send target KILL
		reap target 10
		vhost_serve target --queues 4 --fail-after never
	fi
	done=$((i + 1))
done
reap guest 240
cat guest.out guest.err
[ "$RC" -eq 0 ] || fail "the guest ended with status $RC after $done kills"
[ "$done" -ge $((kills / 2)) ] || fail "there was time for $done kills only"
echo "$done kills"
stop_server target
stop_server server
