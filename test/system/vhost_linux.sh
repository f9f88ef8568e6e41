#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Debian's kernel mounts ext4 from a served volume, writes, syncs, powers off: the image is clean and has
# what was written. With "kill" the target is killed three times meanwhile; with "reset" the machine is reset
# once while it reads and writes; with "grow" the disk grows, the guest is told and writes to its new end;
# with "bench" it says how fast qemu-img reads there, most of which is the machine's emulation.
#
#	vhost_linux.sh [kill|reset|grow|bench]
. "$(dirname "$0")/vhost_lib.sh"

need mkfs.ext4
need debugfs
programs=()
[ "${1:-}" != bench ] || programs=(qemu-img)
make_guest "${programs[@]}" <<'END'
echo "serial $(cat /sys/block/vda/serial)"
echo "queues $(ls /sys/block/vda/mq | wc -l)"
echo "cache $(cat /sys/block/vda/queue/write_cache)"
echo "bytes $(($(cat /sys/block/vda/size) * 512))"
mount -t ext4 -o discard /dev/vda /mnt && echo mounted
if grep -q " reset" /proc/cmdline && [ ! -e /mnt/again ]; then
	touch /mnt/again
	sync
	dd if=/dev/vda of=/dev/null bs=64k iflag=direct 2>/dev/null &
	dd if=/dev/urandom of=/mnt/junk bs=64k count=300 oflag=direct 2>/dev/null &
	until [ "$(wc -c 2>/dev/null </mnt/junk || echo 0)" -gt 1000000 ]; do :; done
	echo b >/proc/sysrq-trigger
fi
# What is said just before the reset may be lost with the machine.
[ ! -e /mnt/again ] || echo "here again"
if grep -q " bench" /proc/cmdline; then
	for depth in 1 32; do
		echo "qemu-img $depth 4000 $(qemu-img bench -f raw -t none -d $depth -c 4000 -s 4096 -S 69632 /dev/vda 2>&1 | tail -n 1)"
	done
fi
rm -f /mnt/junk
cp -r /bin /mnt/bin
i=0
while [ $i -lt 40 ]; do
	dd if=/dev/urandom of=/mnt/file bs=64k count=8 seek=$((i * 8)) conv=notrunc 2>/dev/null || echo write-failed
	sync
	echo "round $i"
	i=$((i + 1))
done
dd if=/dev/urandom of=/mnt/direct bs=1M count=2 oflag=direct 2>/dev/null || echo write-failed
rm -r /mnt/bin
sync
echo 3 >/proc/sys/vm/drop_caches
echo "file $(md5sum </mnt/file)"
echo "direct $(md5sum </mnt/direct)"
# Without a write cache each write is durable when it is answered.
echo "write through" >/sys/block/vda/cache_type
echo "cache now $(cat /sys/block/vda/queue/write_cache)"
dd if=/mnt/direct of=/mnt/copy bs=64k oflag=direct 2>/dev/null || echo write-failed
umount /mnt && echo unmounted
if grep -q " grow" /proc/cmdline; then
	echo waits-to-grow
	end=$(($(cut -d. -f1 /proc/uptime) + 60))
	while [ "$(cat /sys/block/vda/size)" -eq 131072 ] && [ "$(cut -d. -f1 /proc/uptime)" -lt $end ]; do :; done
	echo "bytes now $(($(cat /sys/block/vda/size) * 512))"
	echo from-the-new-end | dd of=/dev/vda bs=512 seek=163839 conv=sync,fsync 2>/dev/null || echo write-failed
fi
END

link_up vhost 9000
truncate -s 64M disk.img
mkfs.ext4 -q disk.img || fail "mkfs.ext4"
serve server "$SERVER_LINK" disk0=file:disk.img -- --control "$T/ctl.sock"
vhost_serve target --queues 2 --serial a-serial-number

if [ "${1:-}" = reset ]; then
	start_guest reset -action reboot=reset
else
	start_guest "${1:-}"
fi
if [ "${1:-}" = grow ]; then
	wait_for 120 grep -q waits-to-grow qemu.out || fail "the guest does not come to its end"
	truncate -s 80M disk.img
	timeout 10 "$EBD" ctl --control "$T/ctl.sock" resize disk0 >ctl.out || fail "the server does not resize"
fi
if [ "${1:-}" = kill ]; then
	for round in 5 15 25; do
		wait_for 60 grep -q "round $round" qemu.out || fail "the guest does not come to round $round"
		send target KILL
		reap target 10
		vhost_serve target --queues 2 --serial a-serial-number
	done
fi
reap_guest 120
[ "${1:-}" != reset ] || guest_said "here again"

guest_said "serial a-serial-number"
guest_said "queues 2"
guest_said "cache write back"
guest_said "bytes $((64 << 20))"
guest_said mounted
guest_said "cache now write through"
guest_said unmounted
if [ "${1:-}" = grow ]; then
	guest_said "bytes now $((80 << 20))"
	tail -c 512 disk.img | grep -aq from-the-new-end || fail "what was written to the new end is not there"
fi
! grep -q "write-failed\|I/O error" guest.out || fail "the guest saw errors"

[ "$(vhost_counter target discards)" -gt 0 ] || fail "what the guest has removed was not discarded"
stop_server target
stop_server server
e2fsck -fn disk.img >fsck.out 2>&1 || fail "the file system is not clean"
for name in file direct copy; do
	debugfs -R "dump /$name $name.img" disk.img 2>/dev/null
done
guest_said "file $(md5sum <file.img)"
guest_said "direct $(md5sum <direct.img)"
same direct.img copy.img
# "qemu-img in the guest: DEPTH IOPS"
awk '$1 == "qemu-img" && $7 > 0 { printf "qemu-img in the guest: %d %.0f\n", $2, $3 / $7 }' guest.out
[ "${1:-}" != bench ] || [ "$(grep -c "^qemu-img .* Run completed in" guest.out)" -eq 2 ] ||
	fail "qemu-img does not run in the guest: $(grep ^qemu-img guest.out)"
