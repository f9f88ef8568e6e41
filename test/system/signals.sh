#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Ctrl-C and SIGTERM end everything cleanly, idle and under load.
#	signals.sh vhost|memif INT|TERM
. "$(dirname "$0")/lib.sh"

link_up "$1" 9000
load() {
	start perf "$EBD" perf --link "$CLIENT_LINK" scratch --rw randrw --bs 4k --time 600 --json
	wait_for 30 counter_above server commands "$(($(counter server commands) + 1000))" ||
		fail "there is no load"
}

# Handlers for SIGINT and SIGTERM are there: bits 1 and 14 of the mask. Before it is ebd, it is a shell
# that has handlers, too.
catches_signals() { # NAME
	local mask

	[ "$(cat "/proc/${PIDS[$1]}/comm")" = ebd ] || return 1
	mask=$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/${PIDS[$1]}/status")
	[ $((0x$mask & 0x4002)) -eq $((0x4002)) ]
}

requests_wait() {
	send server USR1
	grep -q '^ *in_flight *[1-9]' server.out
}

# The client first: a benchmark that is interrupted has a result all the same.
serve server "$SERVER_LINK" scratch=mem:16M slow=delay:read=100ms:mem:64M -- --pidfile pid
[ "$(cat pid)" = "${PIDS[server]}" ] || fail "the pid file has '$(cat pid)'"
load
send perf "$2"
reap perf 20
[ "$RC" -eq 0 ] || fail "the client ended with status $RC"
cp perf.out client.out
[ "$(json interrupted)" = true ] || fail "the client does not say that it was interrupted"
wait_for 10 counter_is server sessions 0 || fail "the client did not close its session"

# A copy that is interrupted is none: it says so as a shell does.
truncate -s 64M out.img
start copy "$EBD" copy --link "$CLIENT_LINK" --sparse off ebd:slow out.img
wait_for 30 counter_is server sessions 1 || fail "the copy did not get going"
send copy "$2"
reap copy 20
[ "$RC" -eq 130 ] || fail "the copy ended with status $RC"
wait_for 10 counter_is server sessions 0 || fail "the copy did not close its session"

# Whoever waits for a server that is not there stops waiting at once, and says so.
for cmd in "info x --timeout 600s" "discover --timeout 600s" "copy ebd:x y" "perf x" \
	"serve --volume x=mem:1M"; do
	# A memif server would be the one that is waited for.
	if [ "$1 ${cmd%% *}" = "memif serve" ]; then ROLE=,role=client; else ROLE=; fi
	# shellcheck disable=SC2086
	start waiter "$EBD" $cmd --link "${CLIENT_LINK%%:*}:$T/nobody.sock,wait=600s$ROLE"
	wait_for 10 catches_signals waiter || fail "ebd $cmd did not start"
	send waiter "$2"
	reap waiter 10
	[ "$RC" -eq 130 ] || fail "ebd $cmd, while it waited, ended with status $RC"
	grep -q interrupted waiter.err || fail "ebd $cmd did not say that it was interrupted"
done

# The server under load: what it has accepted it answers.
load
send server "$2"
reap server 20
[ "$RC" -eq 0 ] || fail "the server ended with status $RC"
[ ! -e pid ] || fail "the pid file is left"
send perf "$2"
reap perf 20
expect_nothing_left

# What it has taken it answers, however long the back end takes, and nothing new meanwhile.
serve server "$SERVER_LINK" slow=delay:write=2s:mem:1M
start writer "$EBD" perf --link "$CLIENT_LINK" slow --rw write --bs 4k --depth 4 --ops 4 --json
wait_for 20 requests_wait || fail "no request is in the back end"
send server "$2"
reap server 20
[ "$RC" -eq 0 ] || fail "a server with requests in its back end ended with status $RC"
reap writer 20
[ "$RC" -eq 0 ] || fail "a client whose requests were accepted ended with status $RC: $(cat writer.err)"
cp writer.out client.out
[ "$(json errors)" = 0 ] || fail "$(json errors) requests that were accepted were not answered"
expect_nothing_left

# A back end that hangs does not keep the server: what it has is lost, and that is said.
serve server "$SERVER_LINK" slow=delay:read=60s:mem:1M
start reader "$EBD" copy --link "$CLIENT_LINK" --depth 1 --sparse off ebd:slow slow.img
wait_for 30 counter_is server sessions 1 || fail "the reader did not get going"
wait_for 20 requests_wait || fail "no request is in the back end"
send server "$2"
reap server 20
[ "$RC" -eq 1 ] || fail "a server that left requests behind ended with status $RC"
grep -q "still in the back end" server.err || fail "it did not say why"
send reader KILL
reap reader 10

# An idle server.
serve server "$SERVER_LINK" scratch=mem:16M
stop_server server "$2"
expect_nothing_left
