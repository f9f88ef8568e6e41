#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Server and client on one and the same core.	onecore.sh vhost|memif
. "$(dirname "$0")/lib.sh"

link_up "$1" 9000
core=$(taskset -cp $$ | sed -E 's/.*: ([0-9]+).*/\1/')
SERVER_CMD=(taskset -c "$core") CLIENT_CMD=(taskset -c "$core")
make_image disk.img 16384
serve server "$SERVER_LINK" disk0=file:disk.img scratch=mem:16M
expect_ok 60 copy --link "$CLIENT_LINK" ebd:disk0 out.img --verify
same out.img disk.img
expect_ok 60 perf --link "$CLIENT_LINK" scratch --rw randrw --bs 4k --ops 5000 --verify --json
[ "$(json verify_bad)" = 0 ] || fail "verify found '$(json verify_bad)' bad blocks"
stop_server server
expect_nothing_left
