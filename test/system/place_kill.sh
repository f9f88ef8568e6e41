#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Whoever dies or is interrupted while pages are posted or frames are lent: the other end loses nothing
# and is not stuck, and the next one finds all in order.
#	place_kill.sh in-place|loan
. "$(dirname "$0")/lib.sh"

placement=$1
declare -A moved=([in-place]=in_place_bytes [loan]=loaned_bytes)
link_up vhost 9000
link=$CLIENT_LINK
[ "$placement" = loan ] || link=$CLIENT_LINK,place=32
truncate -s 16M disk.img

up() {
	serve server "$SERVER_LINK" disk0=file:disk.img scratch=mem:16M -- "${MTU_ARGS[@]}" --lease 2s
}

start_load() { # VOLUME [more arguments]
	start perf "${CLIENT_CMD[@]}" "$EBD" perf --link "$link" "${MTU_ARGS[@]}" "$1" --rw randrw --size 1M --depth 64 \
		--verify --stats-period 100ms --fail-after 30s --placement "$placement" --json "${@:2}"
}

# A load that goes on until it is told to stop, and has begun.
load() { # VOLUME [more arguments]
	start_load "$@"
	wait_for 60 grep -q kIOPS perf.err || fail "perf did not start"
}

expect_good() { # BLOCKS that were checked at least
	[ "$RC" -eq 0 ] || fail "perf ended with status $RC"
	cp perf.out client.out
	[ "$(json verify_bad)" = 0 ] || fail "'$(json verify_bad)' bad blocks"
	[ "$(json verify_good)" -ge "$1" ] || fail "only '$(json verify_good)' blocks were checked"
	[ "$1" -eq 0 ] || [ "$(json "${moved[$placement]}")" -gt 0 ] || fail "nothing came $placement"
}

# Nothing of a client that has gone is left with the server.
expect_collected() {
	wait_for 20 counter_is server sessions 0 || fail "the session was not collected"
	[ "$(counter server buffers)" = 0 ] || fail "what has gone holds buffers"
}

# The server: killed, then ended in good order, each time with a new one after it.
up
load disk0 --time 600s
for signal in KILL TERM KILL; do
	send server "$signal"
	reap server 20
	up
	wait_for 20 counter_above server commands 500 || fail "the client did not go on after $signal"
done
send perf INT
reap perf 20
expect_good 100
[ "$(json reconnects)" -ge 3 ] || fail "'$(json reconnects)' reconnects after three servers"
expect_collected

# The client: killed, and interrupted; the server does not mind, and the next client finds all there.
for signal in KILL INT TERM; do
	load scratch --time 600s
	send perf "$signal"
	reap perf 20
	[ "$signal" = KILL ] || expect_good 0
	expect_collected
done
# It may be over before it has said anything.
start_load scratch --ops 5000
reap perf 60
expect_good 100

# Both at once, and then both again.
load disk0 --time 600s
send server KILL
send perf KILL
reap perf 10
reap server 10
up
start_load disk0 --ops 5000
reap perf 60
expect_good 100
stop_server server
expect_nothing_left
