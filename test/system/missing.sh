#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# What is not there: one clear line, exit status 1, in bounded time.	missing.sh vhost|memif
. "$(dirname "$0")/lib.sh"

missing() { # WORD SECONDS COMMAND...
	local word=$1 begin=$SECONDS limit=$2

	shift 2
	client 60 "$@"
	[ "$RC" -eq 1 ] || fail "$*: exit status $RC"
	[ $((SECONDS - begin)) -le "$limit" ] || fail "$*: took $((SECONDS - begin)) s"
	[ "$(wc -l <client.err)" -eq 1 ] || fail "$*: said $(wc -l <client.err) lines"
	grep -qi -- "$word" client.err || fail "$*: no word of '$word'"
}

link_up "$1" 1500

# No server.
missing "" 15 discover --link "$CLIENT_LINK" --timeout 1s
missing "" 15 info --link "$CLIENT_LINK" disk0 --timeout 1s
missing "" 15 copy --link "$CLIENT_LINK" ebd:disk0 out.img --timeout 1s

# No image, an image that may not be read, one that is a directory, a link that cannot be made.
missing "no-such.img" 15 serve --link "$SERVER_LINK" --volume a=file:no-such.img
missing "run" 15 serve --link "$SERVER_LINK" --volume "a=file:$RUNTIME_DIRECTORY"
missing "nowhere" 15 serve --link vhost:/nowhere/l.sock --volume a=mem:1M

# An empty image; one that is no whole number of blocks is served but for its end, which is said.
: >empty.img
client 15 serve --link "$SERVER_LINK" --volume a=file:empty.img
[ "$RC" -eq 2 ] && grep -q "0 bytes" client.err || fail "an empty image: $RC, $(cat client.err)"
truncate -s 1000500 odd.img
serve odd "$SERVER_LINK" disk0=file:odd.img
grep -q "odd.img': its last 52 bytes are not served" odd.err || fail "the odd end was not said"
expect_ok 30 info --link "$CLIENT_LINK" disk0 --size
[ "$(cat client.out)" = 1000448 ] || fail "an odd image has $(cat client.out) bytes"
stop_server odd

# No such volume; no such file; a volume that is too small.
serve server "$SERVER_LINK" disk0=mem:1M -- "${MTU_ARGS[@]}"
missing "disk1" 15 info --link "$CLIENT_LINK" disk1 --timeout 2s
missing "no-such.img" 15 copy --link "$CLIENT_LINK" no-such.img ebd:disk0
truncate -s 2M big.img
missing "" 15 copy --link "$CLIENT_LINK" big.img ebd:disk0
missing "nowhere" 15 copy --link "$CLIENT_LINK" ebd:disk0 /nowhere/out.img
# A second server on the path of the first.
missing "another process serves it" 15 serve --link "$SERVER_LINK" --volume a=mem:1M
# And it serves on.
expect_ok 30 info --link "$CLIENT_LINK" disk0
stop_server server
expect_nothing_left
