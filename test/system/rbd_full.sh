#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# No room in a Ceph cluster: a pool over its quota and a cluster that is full give the client ENOSPC; reads and what
# has room go on, and all else does when there is room again.
. "$(dirname "$0")/lib.sh"
# shellcheck source=test/system/ceph_lib.sh
. "$SRC/test/system/ceph_lib.sh"

"$EBD" serve --volume help | grep -q '^ *rbd:' || skip "built without librbd"
need ceph-mgr
ceph_up p
in_ceph ceph osd pool create small 8 || fail "no pool"
in_ceph ceph osd pool application enable small rbd || fail "the pool takes no images"
ceph_start_mgr
link_up vhost 9000
make_image in.img 16384
for image in p/other p/late small/disk small/more; do
	in_ceph rbd create --size 16M "$image" || fail "cannot make $image"
done
serve server "$SERVER_LINK" "other=rbd:p/other,conf=$CEPH_CONF" "disk=rbd:small/disk,conf=$CEPH_CONF" \
	"more=rbd:small/more,conf=$CEPH_CONF" \
	"late=rbd:p/late,conf=$CEPH_CONF"

# With its zeroes: what is written again later must not grow.
expect_ok 60 copy --link "$CLIENT_LINK" --sparse off in.img ebd:disk --verify
in_ceph ceph osd pool set-quota small max_bytes $((1 << 20)) || fail "no quota"
wait_for 60 pool_has_flag small full_quota || fail "the pool is not full: $(tail -n 3 ceph.log)"
client 60 copy --link "$CLIENT_LINK" --sparse off in.img ebd:more
[ "$RC" -eq 1 ] || fail "exit status $RC for a pool over its quota"
grep -qi "no space left" client.err || fail "not a word of no space: $(cat client.err)"
# What is there can be read and written again, and the other pool has room.
expect_ok 60 copy --link "$CLIENT_LINK" --sparse off in.img ebd:disk
expect_ok 60 copy --link "$CLIENT_LINK" ebd:disk out.img
same in.img out.img
expect_ok 60 copy --link "$CLIENT_LINK" in.img ebd:other --verify

in_ceph ceph osd pool set-quota small max_bytes 0 || fail "the quota stays"
wait_for 60 pool_lacks_flag small full_quota || fail "the pool stays full"
expect_ok 60 copy --link "$CLIENT_LINK" --sparse off in.img ebd:more --verify

# All of the cluster is full.
set_full() { # RATIO
	in_ceph ceph osd set-nearfull-ratio "$1" && in_ceph ceph osd set-backfillfull-ratio "$1" &&
		in_ceph ceph osd set-full-ratio "$1"
}
set_full 0.001 || fail "the cluster does not get full"
wait_for 60 pool_has_flag p full || fail "the pool is not full: $(tail -n 3 ceph.log)"
client 60 copy --link "$CLIENT_LINK" --sparse off in.img ebd:late
[ "$RC" -eq 1 ] || fail "exit status $RC for a full cluster"
grep -qi "no space left" client.err || fail "not a word of no space: $(cat client.err)"
expect_ok 60 copy --link "$CLIENT_LINK" ebd:other out.img
same in.img out.img
set_full 0.95 || fail "the cluster stays full"
wait_for 60 pool_lacks_flag p full || fail "the pool stays full"
expect_ok 60 copy --link "$CLIENT_LINK" --sparse off in.img ebd:late --verify
stop_server server
