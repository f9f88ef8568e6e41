#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# rfc5532 against a server of its own.	rfc5532.sh --build DIR [--quick]
set -eu
BUILD=${2:?--build DIR}
size=512M
[ "${3:-}" != --quick ] || size=128M
# shellcheck source=test/perf/lib.sh
. "$(dirname "$0")/lib.sh"

start_ebd_server $size
"${ON_CLIENT[@]}" timeout -k 5 600 "$BUILD/test/perf/rfc5532" --link "virtio:$T/ebd.sock" "${@:3}" \
	2>"$T/rfc5532.log" || die "rfc5532 failed"
