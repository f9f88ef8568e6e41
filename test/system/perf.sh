#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# ebd perf: jobs from a file on two volumes, with several sessions; what was written is found again
# when the server was killed and came back in the middle, and what was lost is told.	perf.sh KIND
. "$(dirname "$0")/lib.sh"

link_up "$1" 9000
truncate -s 16M disk.img
cat >jobs.ini <<'END'
[global]
bs = 4k
seed = 7
[writer]
volume = disk0
rw = randrw
rwmix-read = 30
size = 8M
rate = 20000
verify
[reader]
volume = disk0
offset = 8M
queues = 3
zipf = 0.9
[stream]
volume = scratch
rw = read
bs = 128k
depth = 4
END
serve server "$SERVER_LINK" disk0=file:disk.img scratch=mem:8M -- "${MTU_ARGS[@]}"
expect_ok 60 perf --link "$CLIENT_LINK" "${MTU_ARGS[@]}" --jobfile jobs.ini --time 500ms --json --histogram h
[ "$(json verify_bad)" = 0 ] || fail "'$(json verify_bad)' bad blocks"
[ "$(json verify_good)" -gt 100 ] || fail "only '$(json verify_good)' blocks were checked"
for name in writer reader stream; do
	grep -q "\"name\": \"$name\"" client.out || fail "no result of job $name"
	grep -q "^$name read [0-9]* [0-9]* [0-9.]*$" h || fail "no latencies of job $name"
done
awk '$1 == "reader" { part = $5 } END { exit part != 1 }' h || fail "the latencies are not complete"

# The server dies and comes back: the load goes on, and everything that was answered is there.
start perf "${CLIENT_CMD[@]}" "$EBD" perf --link "$CLIENT_LINK" "${MTU_ARGS[@]}" disk0 --rw randwrite \
	--verify --ops 40000 --rate 20000 --stats-period 100ms --fail-after 30s --json
wait_for 20 grep -q kIOPS perf.err || fail "perf did not start"
send server KILL
reap server 20
serve server "$SERVER_LINK" disk0=file:disk.img scratch=mem:8M -- "${MTU_ARGS[@]}"
reap perf 60
[ "$RC" -eq 0 ] || fail "perf ended with status $RC"
cp perf.out client.out
[ "$(json verify_bad)" = 0 ] || fail "after the restart: '$(json verify_bad)' bad blocks"
[ "$(json verify_good)" -gt 1000 ] || fail "after the restart: '$(json verify_good)' blocks checked"
[ "$(json reconnects)" -ge 1 ] || fail "there was no reconnect"
stop_server server

# A back end that forgets: status 1, and the block is named.
serve server "$SERVER_LINK" null0=null:16M -- "${MTU_ARGS[@]}"
client 60 perf --link "$CLIENT_LINK" "${MTU_ARGS[@]}" null0 --rw write --verify --ops 100
[ "$RC" -eq 1 ] || fail "a volume that forgets: status $RC"
grep -q 'first bad block: byte' client.out || fail "said: $(cat client.out)"
stop_server server
expect_nothing_left
