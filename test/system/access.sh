#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Lists of clients by the address of their link: others neither see the volume nor get it, sessions end when
# their address is taken off the list. The client's interface gets the addresses of others here.
. "$(dirname "$0")/lib.sh"

link_up af_packet 9000
ns=mpn$$c
listed=02:00:00:00:07:07 other=02:00:00:00:07:08
us=6f1c2f1e-0d6b-4f0e-9c52-3a1b8e7d5c40
make_image in.img 8192
cp in.img disk.img
be() { # MAC
	ip -n "$ns" link set ebdc down
	ip -n "$ns" link set ebdc address "$1" || fail "the interface takes no address"
	ip -n "$ns" link set ebdc up
}
ctl() {
	timeout 10 "$EBD" ctl --control "$T/ctl.sock" "$@" >ctl.out
}
sees() { # VOLUME
	expect_ok 30 discover --link "$CLIENT_LINK"
	grep -qw "$1" client.out
}
gets() { # VOLUME [more]
	client 30 copy --link "$CLIENT_LINK" --timeout 2s "${@:2}" "ebd:$1" out.img
	[ "$RC" -eq 0 ]
}
serve server "$SERVER_LINK" disk=file:disk.img both=mem:1M free=mem:1M -- --control "$T/ctl.sock" \
	--allow "disk=$listed" --allow "both=$us@$listed"

be "$other"
sees free || fail "the volume without a list is not there: $(cat client.out)"
sees disk && fail "somebody who is not on the list sees the volume"
gets disk && fail "somebody who is not on the list read the volume"
grep -qi "no such\|not found\|no server\|nobody" client.err || fail "not a word of why: $(cat client.err)"
cp client.err listed.err
gets nonesuch && fail "a volume that does not exist was read"
sed s/nonesuch/disk/g client.err | cmp -s - listed.err || fail "it tells of a volume that is not there: $(cat listed.err)"

be "$listed"
sees disk || fail "the one on the list does not see the volume: $(cat client.out)"
gets disk || fail "the one on the list does not get the volume: $(cat client.err)"
same in.img out.img

# With a UUID as well, either alone is not enough.
gets both && fail "the address alone was enough"
gets both --client "$us" || fail "both together are not enough: $(cat client.err)"
be "$other"
gets both --client "$us" && fail "the UUID alone was enough"

# Taken off the list in the middle of it; whoever is there in its own right goes on.
be "$listed"
start reader "${CLIENT_CMD[@]}" "$EBD" perf --link "$CLIENT_LINK" disk --rw randread --time 30s --fail-after 1s
wait_for 20 counter_is server sessions 1 || fail "nobody reads: $(cat reader.err)"
ctl deny "disk=$listed" || fail "deny: $(cat ctl.out)"
reap reader 20
[ "$RC" -eq 1 ] || fail "a client that was taken off the list ended with status $RC"
wait_for 10 counter_is server sessions 0 || fail "its session goes on"
gets disk && fail "one that was taken off the list read the volume"
ctl allow "disk=$other" || fail "allow: $(cat ctl.out)"
be "$other"
gets disk || fail "one that was put on the list does not get the volume: $(cat client.err)"
same in.img out.img
stop_server server
expect_nothing_left
