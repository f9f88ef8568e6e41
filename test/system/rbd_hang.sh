#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# A Ceph cluster stands still, with a volume of it in the server that is asked for its size, opened, or removed:
# other volumes are served meanwhile, other commands are taken, and the server ends when it is told to.
. "$(dirname "$0")/lib.sh"
# shellcheck source=test/system/ceph_lib.sh
. "$SRC/test/system/ceph_lib.sh"

"$EBD" serve --volume help | grep -q '^ *rbd:' || skip "built without librbd"
need curl
ceph_up p
link_up vhost 9000
for image in grows goes other; do
	in_ceph rbd create --size 16M "p/$image" || fail "cannot make $image"
done
rbd_spec() { # IMAGE
	echo "rbd:p/$1,conf=$CEPH_CONF,fail-after=60s"
}
serve_both() {
	serve server "$SERVER_LINK" mem=mem:16M "grows=$(rbd_spec grows)" "goes=$(rbd_spec goes)" -- \
		--control "$T/ctl.sock" --metrics "$T/metrics.sock"
}
ctl() {
	timeout 10 "$EBD" ctl --control "$T/ctl.sock" "$@" >ctl.out
}
is_closing() { # HOW MANY
	timeout 10 curl -s --unix-socket "$T/metrics.sock" http://x/metrics | grep -qx "ebd_volumes_closing $1"
}

# No request waits for as much as a second, which is 60 of those the cluster has.
must_serve() { # WHAT
	expect_ok 30 perf --link "$CLIENT_LINK" mem --rw randrw --depth 4 --time 2s --fail-after 5s --json
	awk -F'[:,]' '/"max"/ && $2 > 1000000000 { late = 1 } END { exit late }' client.out ||
		fail "$1: a request of another volume waited $(grep '"max"' client.out) ns"
}

# Its header has changed, so librbd looks at it again, and there is nobody who has it.
serve_both
in_ceph rbd resize --size 24M p/grows || fail "cannot resize"
send osd STOP
start resize "$EBD" ctl --control "$T/ctl.sock" resize grows
must_serve "while a size is asked for"
is_gone "${PIDS[resize]}" && fail "the size was told by a cluster that stands still: $(cat resize.out resize.err)"
is_closing 0 || fail "no other command is taken: $(cat ctl.out)"
ctl add "more=$(rbd_spec other)" && fail "two back ends are waited for"
grep -qi "another volume" ctl.out || fail "not a word of why: $(cat ctl.out)"
send osd CONT
reap resize 60
[ "$RC" -eq 0 ] || fail "resize ended with status $RC: $(cat resize.err)"
expect_ok 20 info --link "$CLIENT_LINK" grows --size
[ "$(cat client.out)" = $((24 << 20)) ] || fail "it has $(cat client.out) bytes now"

# One that is removed ends by itself, and its name is free at once.
send osd STOP
ctl remove goes || fail "remove: $(cat ctl.out)"
must_serve "while a volume ends"
is_closing 1 || fail "a volume was closed in a cluster that stands still"
ctl add goes=mem:1M || fail "its name is not free: $(cat ctl.out)"
send osd CONT
wait_for 60 is_closing 0 || fail "the volume never ended"

# One that is opened holds up nobody, and not the end of the server either.
send osd STOP
start add "$EBD" ctl --control "$T/ctl.sock" add "more=$(rbd_spec other)"
must_serve "while a volume is opened"
is_gone "${PIDS[add]}" && fail "it was opened: $(cat add.out add.err)"
send server TERM
reap server 15
[ "$RC" -eq 1 ] || fail "a server that could not end well ended with status $RC"
grep -q "was not closed after 5 s" server.err || fail "not a word of why: $(cat server.err)"
reap add 10
[ "$RC" -ne 0 ] || fail "the volume was added by a server that has ended"
send osd CONT
serve_both
expect_ok 30 perf --link "$CLIENT_LINK" grows --rw randread --ops 100
stop_server server
expect_nothing_left
