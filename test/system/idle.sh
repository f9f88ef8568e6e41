#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# An idle server that sleeps costs less than 5 % of a core, with and without a session.
. "$(dirname "$0")/lib.sh"

link_up vhost 9000
serve server "$SERVER_LINK" slow=delay:read=5s:mem:1M -- --idle sleep
# What else goes on in the machine can only add to it: one good measurement of five will do.
expect_idle() { # NAME WHAT
	local percent

	for _ in 1 2 3 4 5; do
		percent=$(cpu_percent "$1" 2)
		[ "$percent" -ge 5 ] || return 0
	done
	fail "$2 uses $percent % of a core"
}

expect_idle server "an idle server"

# A request that lies in the back end is no work either.
start perf "$EBD" perf --link "$CLIENT_LINK" slow --rw randread --bs 4k --depth 1 --time 600 \
	--idle sleep
wait_for 30 counter_is server sessions 1 || fail "the session was not opened"
expect_idle server "a server with a waiting session"
expect_idle perf "a waiting client"
send perf TERM
reap perf 20
stop_server server
