#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# A measurement that is ended, or killed, leaves nothing behind: its servers spin, and would for ever.
#
#	perf_kill.sh TERM|KILL
. "$(dirname "$0")/lib.sh"

[ -x "$BUILD/test/perf/share" ] || skip "needs $BUILD/test/perf/share"
need setpriv
# What is left is found by it.
export MPNIC_MARK=$T
NETNS=()

# All that was started, but this script and what it starts now.
left() {
	grep -lsF "MPNIC_MARK=$T" /proc/[0-9]*/environ | cut -d/ -f3 | while read -r pid; do
		tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -E '^[^ ]*(share|ebd|mpnic|ping|iperf3) ' |
			sed "s/^/$pid /"
	done
}
serves() {
	left | grep -q 'share serve' && left | grep -q 'share load'
}
nothing() {
	[ -z "$(left)" ]
}

for _ in 1 2; do
	TMPDIR=$T start share "$SRC/test/perf/share.sh" --build "$BUILD" --check
	pid=${PIDS[share]}
	NETNS+=("mpns$pid" "mpnc$pid")
	wait_for 60 serves || fail "nothing runs: $(cat share.err)"
	send share "$1"
	# Who asks twice, as a parent that dies does after it has asked, breaks nothing off.
	[ "$1" = KILL ] || kill -TERM "$pid" 2>/dev/null
	# No command in front of bash holds the signal up.
	reap share 15
	wait_for 10 nothing || fail "after $1 there is still: $(left)"
	[ "$1" = KILL ] && continue
	[ "$RC" -eq 143 ] || fail "status $RC, expected 143: $(cat share.err)"
	[ ! -e "/run/netns/mpns$pid" ] || fail "its network namespace is left"
done
