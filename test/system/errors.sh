#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# A request that the volume fails ends with its own error, and the session lives on.
. "$(dirname "$0")/lib.sh"

link_up vhost 9000
serve server "$SERVER_LINK" bad=error:ops=read,errno=EIO:mem:8M full=error:ops=write,errno=ENOSPC:mem:8M \
	some=error:rate=0.1,seed=7:mem:8M ro=readonly:mem:8M good=mem:8M

copy_fails() { # TEXT SRC DST
	client 60 copy --link "$CLIENT_LINK" --sparse off "$2" "$3"
	[ "$RC" -eq 1 ] || fail "copy $2 $3: exit status $RC"
	grep -qi "$1" client.err || fail "copy $2 $3: not a word of '$1': $(cat client.err)"
}

make_image in.img 4096
copy_fails "input/output error" ebd:bad out.img
copy_fails "no space left" in.img ebd:full
copy_fails "read-only" in.img ebd:ro

# One in ten fails, the others do not; the session is the same all the time.
client 60 perf --link "$CLIENT_LINK" some --rw randread --bs 4k --ops 5000 --json
[ "$(json errors)" -gt 100 ] && [ "$(json errors)" -lt 2500 ] || fail "'$(json errors)' errors of 5000"
[ "$(json reconnects)" = 0 ] || fail "the session was lost by an error of the volume"

expect_ok 60 copy --link "$CLIENT_LINK" in.img ebd:good --verify
stop_server server
expect_nothing_left
