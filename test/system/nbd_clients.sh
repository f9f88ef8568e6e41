#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Programs of others on a served volume, through the nbdkit plugin: nbdinfo, nbdcopy, qemu-img, qemu-io,
# fio; several connections, a volume that is read-only, wrong parameters.
. "$(dirname "$0")/lib.sh"

for tool in nbdinfo nbdcopy qemu-img qemu-io fio; do
	need "$tool"
done
link_up vhost 9000
make_image disk.img 16384
cp disk.img original.img
serve server "$SERVER_LINK" disk0=file:disk.img fixed=readonly:file:original.img

# What is wrong is said before anything is started.
for args in "" "link=$CLIENT_LINK" "link=$CLIENT_LINK volume=x depth=0" "link=$CLIENT_LINK volume=x deep=1"; do
	# shellcheck disable=SC2086
	timeout 10 nbdkit -f -U wrong.sock "$NBD_PLUGIN" $args 2>wrong.err &&
		fail "nbdkit took '$args'"
	grep -qE 'missing|expected|no such parameter' wrong.err || fail "'$args': $(cat wrong.err)"
done
timeout 20 nbdkit -f -U wrong.sock "$NBD_PLUGIN" link="$CLIENT_LINK" nothere 2>wrong.err &&
	fail "nbdkit opened a volume that is not there"
rm -f wrong.sock
grep -q nothere wrong.err || fail "the missing volume is not named: $(cat wrong.err)"

nbd_serve kit -t 32 -- disk0

run 20 nbdinfo --json "$URI"
for want in '"export-size": 16777216' '"block_size_minimum": 512' '"can_multi_conn": true' \
	'"can_flush": true' '"can_trim": true' '"can_fast_zero": true' '"is_read_only": false'; do
	grep -qF "$want" run.out || fail "nbdinfo does not say $want: $(cat run.out)"
done

# Out and in, whole images.
run 60 nbdcopy --connections=4 "$URI" out.img
same out.img original.img
run 60 qemu-img convert -f raw -O raw "$URI" out2.img
same out2.img original.img
run 60 qemu-img compare -f raw -F raw "$URI" original.img
make_image changed.img 16384
run 60 nbdcopy --connections=4 --flush changed.img "$URI"
same disk.img changed.img
run 60 qemu-img convert -n -f raw -O raw original.img "$URI"
same disk.img original.img
run 60 qemu-img bench -f raw -c 4000 -d 32 -s 4k "$URI"
run 60 qemu-img bench -f raw -w --flush-interval=64 -c 2000 -d 32 -s 4k "$URI"

# Every kind of request; zeroes, FUA and trim in the middle of a pattern.
run 60 qemu-io -f raw "$URI" -c 'write -P 7 0 2M' -c 'write -z 64k 64k' -c 'write -z -u 256k 64k' \
	-c 'write -f -P 8 1M 4k' -c 'discard 512k 64k' -c 'flush' \
	-c 'read -P 7 0 64k' -c 'read -P 0 64k 64k' -c 'read -P 7 128k 128k' -c 'read -P 0 256k 64k' \
	-c 'read -P 7 320k 192k' -c 'read -P 7 576k 448k' -c 'read -P 8 1M 4k' -c 'read -P 7 1028k 1020k'
! grep -qi 'failed' run.out || fail "qemu-io: $(cat run.out)"
cmp -s -n 65536 -i 65536:0 disk.img /dev/zero || fail "the zeroes are not on the disk"

# fio checks what it has written, on two connections at once. It writes nothing twice: NBD has no order
# among requests under way.
run 120 fio --name=w --ioengine=nbd --uri="$URI" --rw=randwrite --bs=4k --iodepth=32 \
	--size=8M --verify=crc32c --verify_fatal=1 --randrepeat=0 \
	--name=v --ioengine=nbd --uri="$URI" --offset=8M --size=8M --rw=randwrite --bs=16k --iodepth=16 \
	--verify=crc32c --verify_fatal=1 --trim_percentage=10

# Every byte was moved once, from its frame to nbdkit's buffer or back: what NBD needs, and no more.
payload() { # KEY
	"$BUILD/test/system/telemetry_ask" "$RUNTIME_DIRECTORY/dpdk/mpnic-${PIDS[kit]}/dpdk_telemetry.v2" \
		/mpnic/payload | grep -oE "\"$1\":[0-9]+" | head -n 1 | cut -d: -f2
}
[ "$(payload wire)" -gt $((96 << 20)) ] || fail "only $(payload wire) bytes are counted"
[ "$(payload copied)" -le "$(payload wire)" ] ||
	fail "$(payload copied) bytes were copied for $(payload wire) of payload"
[ "$(payload bounced)" -le $(($(payload wire) / 100)) ] ||
	fail "$(payload bounced) bytes were moved twice of $(payload wire)"
nbd_stop kit

# Nothing writes to a volume that is read-only.
nbd_serve kit -- volume=fixed
run 20 nbdinfo --is readonly "$URI"
run 60 qemu-img compare -f raw -F raw "$URI" original.img
timeout 20 qemu-io -f raw "$URI" -c 'write 0 4k' >run.out 2>&1 && fail "a read-only volume was opened for writing"
nbd_stop kit

# In the background it works as well, and goes away without a trace.
nbdkit -U "$T/bg.sock" -P "$T/bg.pid" "$NBD_PLUGIN" link="virtio:l.sock" disk0 ||
	fail "nbdkit does not go to the background"
wait_for 20 test -s bg.pid || fail "nbdkit does not get ready in the background"
run 20 nbdinfo --size "nbd+unix:///?socket=$T/bg.sock"
[ "$(cat run.out)" = $((16 << 20)) ] || fail "the size is '$(cat run.out)'"
kill "$(cat bg.pid)"
wait_for 20 is_gone "$(cat bg.pid)" || fail "nbdkit does not end"
rm -f bg.sock

stop_server server
expect_nothing_left
