#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Server and client in one process, joined by a ring.	ring.sh MTU
. "$(dirname "$0")/lib.sh"

make_image disk.img 16384
cp disk.img original.img
ring=(--link ring:r0 --mtu "$1" --volume disk0=file:disk.img)

expect_ok 30 info "${ring[@]}" disk0 --json
[ "$(json size)" = $((16 << 20)) ] || fail "the size of disk0 is '$(json size)'"
expect_ok 60 copy "${ring[@]}" ebd:disk0 out.img --verify
same out.img original.img
make_image changed.img 16384
expect_ok 60 copy "${ring[@]}" changed.img ebd:disk0 --verify
same disk.img changed.img
expect_nothing_left
