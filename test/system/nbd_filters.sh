#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# nbdkit's filters in front of the plugin, and errors of the server behind it.
. "$(dirname "$0")/lib.sh"

for tool in nbdcopy qemu-io fio; do
	need "$tool"
done
link_up vhost 9000
make_image disk.img 8192
cp disk.img original.img
serve server "$SERVER_LINK" disk0=file:disk.img bad=error:rate=1,ops=write,errno=ENOSPC:mem:8M

# Errors and delays before the plugin: whoever tries again gets the right data.
nbd_serve kit --filter=retry-request --filter=error --filter=delay -- disk0 error-pread-rate=5% \
	error-pwrite-rate=5% delay-read=1ms delay-write=1ms retry-request-delay=1
make_image changed.img 8192
run 120 nbdcopy "$URI" out.img
same out.img original.img
run 120 nbdcopy --flush changed.img "$URI"
same disk.img changed.img
nbd_stop kit

nbd_serve kit --filter=error -- disk0 error-pread=EIO error-pread-rate=100%
timeout 20 nbdcopy "$URI" out.img 2>run.err && fail "an error filter let a copy through"
nbd_stop kit

# Unaligned requests, made whole by a filter, without one refused.
nbd_serve kit --filter=blocksize -- disk0 minblock=512
run 20 qemu-io -f raw "$URI" -c 'write -P 9 100 1000' -c 'read -P 9 100 1000'
nbd_stop kit
! cmp -s disk.img changed.img || fail "the unaligned write did not arrive"

# An error of the back end keeps its meaning.
nbd_serve kit -- bad
timeout 20 qemu-io -f raw "$URI" -c 'write 0 4k' >run.out 2>&1
grep -qi 'no space left' run.out || fail "the error became: $(cat run.out)"
run 20 qemu-io -f raw "$URI" -c 'read -P 0 0 4k'
nbd_stop kit

stop_server server
expect_nothing_left
