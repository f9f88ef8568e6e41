#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# ebd perf --ceiling over a real link: both halves run, only when both ends were asked to, and the
# server serves as before when the requester has gone.	ceiling.sh KIND MTU
. "$(dirname "$0")/lib.sh"

link_up "$1" "$2"
serve server "$SERVER_LINK" disk0=mem:16M null0=null:16M -- "${MTU_ARGS[@]}" --ceiling
for load in "--rw randread --bs 4k" "--rw write --bs 128k --depth 4" "--rw randrw --bs 12k"; do
	# shellcheck disable=SC2086
	expect_ok 60 perf --link "$CLIENT_LINK" "${MTU_ARGS[@]}" disk0 --time 200ms --ceiling --json $load
	[ "$(json pairs)" = 5 ] || fail "$load: '$(json pairs)' pairs, expected 5"
	awk -v r="$(json median)" 'BEGIN { exit !(r > 0 && r < 100) }' ||
		fail "$load: a ratio of '$(json median)'"
	[ "$(json ceiling_bytes)" = $((16 << 20)) ] || fail "$load: '$(json ceiling_bytes)' bytes"
done

# A requester that is killed in the middle leaves a server that serves.
[ ${#BEFORE_CLIENT[@]} -eq 0 ] || "${BEFORE_CLIENT[@]}" &
start perf "${CLIENT_CMD[@]}" "$EBD" perf --link "$CLIENT_LINK" "${MTU_ARGS[@]}" disk0 --time 60 \
	--ceiling --stats-period 100ms
wait_for 20 grep -q kIOPS perf.err || fail "perf did not start"
send perf KILL
reap perf 20
expect_ok 60 perf --link "$CLIENT_LINK" "${MTU_ARGS[@]}" disk0 --time 100ms --verify --rw randrw
stop_server server

serve server "$SERVER_LINK" disk0=mem:16M -- "${MTU_ARGS[@]}"
client 60 perf --link "$CLIENT_LINK" "${MTU_ARGS[@]}" disk0 --time 50ms --ceiling \
	--timeout 1s
[ "$RC" -eq 1 ] || fail "a server that was not asked to: status $RC"
grep -q 'started with --ceiling' client.err || fail "said: $(cat client.err)"
expect_ok 60 perf --link "$CLIENT_LINK" "${MTU_ARGS[@]}" disk0 --time 50ms
stop_server server
expect_nothing_left
