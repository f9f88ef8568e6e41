#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Reads in place, over vhost and virtio: most of a load is, what is copied is right, and a server that is
# killed with pages posted leaves a client that goes on.
. "$(dirname "$0")/lib.sh"

link_up vhost 9000
place=$CLIENT_LINK,place=32
truncate -s 16M disk.img

serve server "$SERVER_LINK" disk0=file:disk.img scratch=mem:16M -- "${MTU_ARGS[@]}"

# Written here, read back and judged here.
expect_ok 60 perf --link "$place" "${MTU_ARGS[@]}" scratch --rw randrw --depth 64 --ops 40000 --verify \
	--placement in-place --json
[ "$(json verify_bad)" = 0 ] || fail "'$(json verify_bad)' bad blocks"
[ "$(json verify_good)" -gt 1000 ] || fail "only '$(json verify_good)' blocks were checked"

# When cores are short some frames are asked for twice, and each of those costs a turn of the ring.
expect_ok 60 perf --link "$place" "${MTU_ARGS[@]}" scratch --rw randread --depth 64 --ops 200000 \
	--placement in-place --json
wire=$(json wire_bytes)
in_place=$(json in_place_bytes)
copied=$(json copied_bytes)
[ "$wire" -gt 0 ] && [ $((in_place + copied)) -ge "$wire" ] || fail "'$in_place' and '$copied' of '$wire' bytes"
[ "$in_place" -ge $((wire / 2)) ] || fail "only '$in_place' of '$wire' bytes were in place"

# In one piece, and a volume that answers out of order.
expect_ok 60 copy --link "$place" "${MTU_ARGS[@]}" disk.img ebd:scratch --verify
expect_ok 60 copy --link "$place" "${MTU_ARGS[@]}" ebd:scratch out.img --verify
same out.img disk.img

# Elsewhere there is no queue for it.
client 30 perf --link "$CLIENT_LINK" "${MTU_ARGS[@]}" scratch --ops 10 --placement in-place
[ "$RC" -eq 1 ] || fail "in place without a data queue: status $RC"
grep -q 'place=PAIRS' client.err || fail "the message does not say what would be right"

# Killed with pages posted.
start perf "${CLIENT_CMD[@]}" "$EBD" perf --link "$place" "${MTU_ARGS[@]}" disk0 --rw randrw --depth 64 \
	--verify --ops 40000 --rate 20000 --stats-period 100ms --fail-after 30s --placement in-place --json
wait_for 20 grep -q kIOPS perf.err || fail "perf did not start"
send server KILL
reap server 20
serve server "$SERVER_LINK" disk0=file:disk.img scratch=mem:16M -- "${MTU_ARGS[@]}"
reap perf 60
[ "$RC" -eq 0 ] || fail "perf ended with status $RC"
cp perf.out client.out
[ "$(json verify_bad)" = 0 ] || fail "after the restart: '$(json verify_bad)' bad blocks"
[ "$(json reconnects)" -ge 1 ] || fail "there was no reconnect"

# Interrupted with pages posted: it ends soon, and so does the one after it.
start perf "${CLIENT_CMD[@]}" "$EBD" perf --link "$place" "${MTU_ARGS[@]}" scratch --rw randread --depth 64 \
	--time 60s --stats-period 100ms --placement in-place
wait_for 20 grep -q kIOPS perf.err || fail "perf did not start"
send perf INT
reap perf 10
expect_ok 60 perf --link "$place" "${MTU_ARGS[@]}" scratch --rw randread --depth 64 --ops 1000 --placement in-place
stop_server server
