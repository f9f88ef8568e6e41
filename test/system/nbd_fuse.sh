#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# The kernel's own file systems on a volume: nbdkit, nbdfuse, a loop device.
#	nbd_fuse.sh ext4|xfs
. "$(dirname "$0")/lib.sh"

fs=$1
need_root "mounts"
for tool in nbdfuse fusermount3 losetup "mkfs.$fs" fio; do
	need "$tool"
done
[ -c /dev/fuse ] || skip "no /dev/fuse"
[ -e /dev/loop-control ] || skip "no loop devices"
grep -qw "$fs" /proc/filesystems || modprobe -q "$fs" || skip "the kernel has no $fs"

has_size() {
	[ "$(stat -c %s disk)" = $((320 << 20)) ]
}

link_up vhost 9000
truncate -s 320M disk.img
serve server "$SERVER_LINK" disk0=file:disk.img
nbd_serve kit -t 8 -- disk0

# The volume as a file, the file as a block device.
touch disk
MOUNTS+=("$T/mnt" "$T/disk")
start fuse nbdfuse disk "$URI"
wait_for 20 has_size || fail "nbdfuse does not show the volume"
attach() {
	loop=$(losetup --find --show --direct-io=on disk 2>loop.err) || skip "no loop device: $(cat loop.err)"
	LOOPS+=("$loop")
}
attach
case $fs in
ext4) run 60 mkfs.ext4 -q "$loop" ;;
xfs) run 60 mkfs.xfs -q "$loop" ;;
esac

# A real tree in, by way of the page cache; its sums, and a file that fio has checked.
mkdir mnt tree
mount -t "$fs" "$loop" mnt || fail "cannot mount"
cp -r "$SRC/lib" "$SRC/test" "$SRC/doc" tree/
ln -s lib/ebd tree/link
ln tree/doc/architecture.md tree/hard
head -c 3000000 /dev/urandom >tree/blob
cp -a tree mnt/ || fail "cannot copy the tree in"
(cd tree && find . -type f -exec sha256sum {} + | sort) >sums
run 60 fio --name=f --directory=mnt --size=16M --bs=16k --rw=randwrite --ioengine=psync --fsync=16 \
	--verify=crc32c --verify_fatal=1
rm -rf mnt/tree/test
sync -f mnt
fstrim mnt || fail "fstrim"
umount mnt || fail "cannot unmount"
losetup -d "$loop"

check() { # DEVICE
	case $fs in
	ext4) run 60 e2fsck -fn "$1" ;;
	xfs) run 60 xfs_repair -n "$1" ;;
	esac
}

# What was unmounted is on the server: clean, and the same for another kernel that has cached nothing.
umount disk || fail "cannot end nbdfuse"
reap fuse 20
nbd_stop kit
stop_server server
check disk.img
serve server "$SERVER_LINK" disk0=file:disk.img
nbd_serve kit -r -- disk0
start fuse nbdfuse -r disk "$URI"
wait_for 20 has_size || fail "nbdfuse does not show the volume"
loop=$(losetup --find --show --read-only disk) || fail "no loop device"
LOOPS+=("$loop")
mount -t "$fs" -o ro "$loop" mnt || fail "cannot mount again"
(cd mnt/tree && find . -type f -exec sha256sum {} + | sort) >sums2
grep -v ' \./test/' sums | cmp - sums2 || fail "the tree came back changed"
[ "$(readlink mnt/tree/link)" = lib/ebd ] || fail "a link came back changed"
[ "$(stat -c %h mnt/tree/hard)" = 2 ] || fail "a hard link came back changed"
umount mnt
losetup -d "$loop"
umount disk
reap fuse 20
nbd_stop kit
stop_server server
expect_nothing_left
