#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# A client is killed: its session is collected, its requests end, the next client finds all in order.
#	kill_client.sh vhost|memif|af_packet
. "$(dirname "$0")/lib.sh"

link_up "$1" 9000
make_image disk.img 8192
serve server "$SERVER_LINK" disk0=file:disk.img scratch=mem:64M -- "${MTU_ARGS[@]}" --lease 2s

start perf "${CLIENT_CMD[@]}" "$EBD" perf --link "$CLIENT_LINK" "${MTU_ARGS[@]}" scratch \
	--rw randrw --bs 64k --time 600
wait_for 30 counter_is server sessions 1 || fail "the session was not opened"
wait_for 30 counter_above server write_bytes $((1 << 20)) || fail "nothing was written"
send perf KILL
reap perf 10
wait_for 20 counter_is server sessions 0 || fail "the session was not collected"
[ "$(counter server buffers)" = 0 ] || fail "the dead session holds buffers"

expect_ok 60 copy --link "$CLIENT_LINK" "${MTU_ARGS[@]}" ebd:disk0 out.img --verify
same out.img disk.img
stop_server server
