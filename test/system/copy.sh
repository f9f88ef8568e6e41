#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# The main job over one kind of link: discover, info, copy both ways, verify, sparse, end.
#	copy.sh vhost|memif|tap|af_packet MTU
. "$(dirname "$0")/lib.sh"

link_up "$1" "$2"
make_image disk.img 16384
cp disk.img original.img
serve server "$SERVER_LINK" disk0=file:disk.img scratch=mem:32M -- "${MTU_ARGS[@]}"

expect_ok 30 discover --link "$CLIENT_LINK" "${MTU_ARGS[@]}"
grep -q disk0 client.out && grep -q scratch client.out || fail "a volume was not discovered"

expect_ok 30 info --link "$CLIENT_LINK" "${MTU_ARGS[@]}" disk0 --json
[ "$(json size)" = $((16 << 20)) ] || fail "the size of disk0 is '$(json size)'"
[ "$(json payload_unit)" = "$([ "$2" -ge 8242 ] && echo 8192 || echo 1408)" ] ||
	fail "the payload unit at MTU $2 is '$(json payload_unit)'"

# Volume to file, holes stay holes.
expect_ok 120 copy --link "$CLIENT_LINK" "${MTU_ARGS[@]}" ebd:disk0 out.img --verify --json
same out.img original.img
[ "$(json verified)" = true ] || fail "--verify did not verify"
[ "$(json bytes)" = $((16 << 20)) ] || fail "copied '$(json bytes)' bytes"
[ "$(stat -c %b out.img)" -lt $((13 << 11)) ] || fail "the copy has no holes"

# File to volume.
make_image changed.img 16384
expect_ok 120 copy --link "$CLIENT_LINK" "${MTU_ARGS[@]}" changed.img ebd:disk0 --verify
same disk.img changed.img

# Volume to volume's own memory and back, without sparseness.
expect_ok 120 copy --link "$CLIENT_LINK" "${MTU_ARGS[@]}" --sparse off changed.img ebd:scratch
expect_ok 120 copy --link "$CLIENT_LINK" "${MTU_ARGS[@]}" --sparse off ebd:scratch big.img
[ "$(stat -c %s big.img)" = $((32 << 20)) ] || fail "scratch has another size"
cmp -n $((16 << 20)) big.img changed.img || fail "what scratch returned differs"

# Random reads and writes that are checked.
expect_ok 60 perf --link "$CLIENT_LINK" "${MTU_ARGS[@]}" scratch --rw randrw --bs 16k --ops 2000 \
	--verify --json
[ "$(json verify_bad)" = 0 ] || fail "verify found '$(json verify_bad)' bad blocks"
[ "$(json errors)" = 0 ] || fail "'$(json errors)' errors"

stop_server server
same disk.img changed.img
expect_nothing_left
