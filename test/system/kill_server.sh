#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# The server is killed in mid-copy and started again: the copy goes on and is right.
#	kill_server.sh vhost|memif|af_packet read|write
. "$(dirname "$0")/lib.sh"

link_up "$1" 9000
make_image disk.img 32768
cp disk.img original.img
make_image changed.img 32768
# Slow enough that the middle of the copy can be hit.
volume=disk0=delay:all=20ms:file:disk.img

halfway() {
	if [ "$way" = read ]; then
		[ "$(stat -c %b out.img)" -gt $((4 << 11)) ]
	else
		counter_above server write_bytes $((4 << 20))
	fi
}

way=$2
if [ "$way" = read ]; then
	args=(ebd:disk0 out.img)
else
	args=(changed.img ebd:disk0)
fi
serve server "$SERVER_LINK" "$volume" -- "${MTU_ARGS[@]}"
start copy "${CLIENT_CMD[@]}" "$EBD" copy --link "$CLIENT_LINK" "${MTU_ARGS[@]}" --depth 2 \
	--sparse off "${args[@]}" --verify --json
wait_for 30 halfway || fail "the copy did not get going"
is_gone "${PIDS[copy]}" && fail "the copy was over before the server could be killed"
send server KILL
reap server 10
serve server "$SERVER_LINK" "$volume" -- "${MTU_ARGS[@]}"
reap copy 120
[ "$RC" -eq 0 ] || fail "the copy ended with status $RC"
cp copy.out client.out
[ "$(json reconnects)" -ge 1 ] || fail "the client has not noticed that the server was killed"
if [ "$way" = read ]; then
	same out.img original.img
else
	stop_server server
	same disk.img changed.img
fi
