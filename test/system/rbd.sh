#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Images in a real Ceph cluster as volumes: the contract of lib/volume, copy and verify, a restarted
# and a killed server, snapshots, two gateways on one image, at the same time too, the OSD lost and back, an
# image that shrinks.
. "$(dirname "$0")/lib.sh"
# shellcheck source=test/system/ceph_lib.sh
. "$SRC/test/system/ceph_lib.sh"

"$EBD" serve --volume help | grep -q '^ *rbd:' || skip "built without librbd"
ceph_up p
link_up vhost 9000
make_image one.img 16384
make_image two.img 16384
for image in conf:1M disk:16M late:16M shrink:16M; do
	in_ceph rbd create --size "${image#*:}" "p/${image%:*}" || fail "cannot make ${image%:*}"
done
in_ceph rbd create --image-shared --size 16M p/both || fail "cannot make both"

rbd_spec() { # IMAGE [more]
	echo "rbd:p/$1,conf=$CEPH_CONF${2:-}"
}

serve_all() {
	# The last one is what counter() looks at.
	serve server "$SERVER_LINK" mem=mem:16M "late=$(rbd_spec late ,fail-after=2s)" \
		"shrink=$(rbd_spec shrink)" "both=$(rbd_spec both)" "disk=delay:write=100ms:$(rbd_spec disk)" \
		-- --link "vhost:$T/l2.sock"
}

MPNIC_TEST_VOLUME=$(rbd_spec conf) timeout 60 "$BUILD/test/test_volume_conformance" >conf.out 2>&1 ||
	fail "the contract of lib/volume is broken"
grep -q 'SKIPPED.*MPNIC_TEST_VOLUME' conf.out && fail "the contract was not tested"

# Copy, verify, again after a restart.
serve_all
expect_ok 60 copy --link "$CLIENT_LINK" one.img ebd:disk --verify
stop_server server
serve_all
expect_ok 60 copy --link "$CLIENT_LINK" ebd:disk out.img --verify
same one.img out.img

# Two gateways on one image see each other's writes; a snapshot stays as it was.
in_ceph rbd snap create p/disk@first || fail "no snapshot"
serve gateway "vhost:$T/g.sock" "disk=$(rbd_spec disk)" "first=$(rbd_spec disk@first)" "both=$(rbd_spec both)"
expect_ok 60 copy --link "virtio:$T/g.sock" two.img ebd:disk
expect_ok 60 copy --link "$CLIENT_LINK" ebd:disk out.img
same two.img out.img
expect_ok 60 copy --link "virtio:$T/g.sock" ebd:first out.img
same one.img out.img
client 30 copy --link "virtio:$T/g.sock" two.img ebd:first
[ "$RC" -eq 1 ] || fail "exit status $RC for a write to a snapshot"
expect_ok 60 info --link "$CLIENT_LINK" disk --json
json uuid >uuid.1
expect_ok 60 info --link "virtio:$T/g.sock" disk --json
json uuid >uuid.2
same uuid.1 uuid.2

# Both write at the same time, each to its half, and each finds what it has written; so does the other one.
load=(--rw randrw --rwmix-read 30 --bs 16k --depth 8 --size 8M --ops 1500 --verify)
start half "$EBD" perf --link "virtio:$T/g.sock" both --offset 8M "${load[@]}"
expect_ok 60 perf --link "$CLIENT_LINK" both "${load[@]}"
reap half 60
[ "$RC" -eq 0 ] || fail "the second gateway's half is wrong: $(cat half.err)"
expect_ok 60 copy --link "$CLIENT_LINK" ebd:both out.img
expect_ok 60 copy --link "virtio:$T/g.sock" ebd:both out2.img
same out.img out2.img

# A gateway is killed; the image goes over to the other one, and to its own successor.
expect_ok 60 copy --link "virtio:$T/g.sock" one.img ebd:disk
send gateway KILL
reap gateway 10
expect_ok 60 copy --link "$CLIENT_LINK" two.img ebd:disk --verify

# The OSD goes away in mid-copy and comes back. Others go on meanwhile.
start copy "$EBD" copy --link "$CLIENT_LINK" --depth 2 --sparse off one.img ebd:disk --verify
wait_for 30 counter_above server write_bytes $((10 << 20)) || fail "the copy did not get going"
ceph_stop_osd
client 30 copy --link "virtio:$T/l2.sock" one.img ebd:late
[ "$RC" -eq 1 ] || fail "exit status $RC without an OSD"
grep -qi "timed out" client.err || fail "not a word of a timeout: $(cat client.err)"
expect_ok 30 copy --link "virtio:$T/l2.sock" one.img ebd:mem --verify
ceph_start_osd
reap copy 60
[ "$RC" -eq 0 ] || fail "the copy ended with status $RC"

# An image that shrinks under the server.
expect_ok 60 copy --link "$CLIENT_LINK" one.img ebd:shrink
in_ceph rbd resize --allow-shrink --size 8M p/shrink || fail "cannot resize"
client 30 copy --link "$CLIENT_LINK" ebd:shrink out.img
[ "$RC" -eq 1 ] || fail "exit status $RC for a shrunk image"
stop_server server
