#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Runs the lines of README.md's tables of clients and back ends, as they stand there.
. "$(dirname "$0")/lib.sh"
# shellcheck source=test/system/ceph_lib.sh
. "$SRC/test/system/ceph_lib.sh"

for tool in nbdkit nbdinfo nbdcopy qemu-img qemu-nbd fio sfdisk; do
	need "$tool"
done
[ -e "$NBD_PLUGIN" ] || skip "the nbdkit plugin was not built"

# What an installation would give: programs in the PATH, a plugin that nbdkit finds.
mkdir bin
ln -s "$BUILD" build
ln -s "$EBD" bin/ebd
ln -s "$BUILD/apps/vhost-ebd/vhost-ebd" bin/vhost-ebd
cat >bin/nbdkit <<END
#!/bin/bash
args=()
for arg; do
	[ "\$arg" != ebd ] || arg=$NBD_PLUGIN
	args+=("\$arg")
done
exec $(command -v nbdkit) "\${args[@]}"
END
# A machine without a screen, which boots from the first disk and ends when it is told to from inside.
qemu=$(command -v qemu-system-x86_64)
cat >bin/qemu-system-x86_64 <<END
#!/bin/bash
timeout 60 $qemu -display none -no-reboot -device isa-debug-exit,iobase=0xf4 -accel tcg "\$@"
[ \$? -eq 67 ] && echo booted
END
chmod +x bin/nbdkit bin/qemu-system-x86_64
export PATH=$T/bin:$PATH

# A disk with a partition, whose boot sector ends the machine with a status of its own: mov al, 0x21;
# out 0xf4, al.
make_disk() {
	rm -f disk.img
	truncate -s 32M disk.img
	printf '\xb0\x21\xe6\xf4\xeb\xfe' | dd of=disk.img conv=notrunc status=none
	echo '2048,16384' | sfdisk -q disk.img || fail "sfdisk"
}
qemu-img create -q -f qcow2 disk.qcow2 16M

# The commands of a table, by the first cell of its head.
rows() { # HEAD
	awk -v head="| $1 |" '
		index($0, head) == 1 { in_table = 1; next }
		!/^\|/ { in_table = 0 }
		in_table && /`/ {
			sub(/^[^`]*`/, ""); sub(/`[^`]*$/, "")
			gsub(/\\\|/, "|")
			print
		}' "$SRC/README.md"
}

skipped=()
lacks() { # COMMAND
	case $1 in
	*fio-ebd*) [ -e "$FIO_ENGINE" ] || echo "the fio engine (-Dfio_source)" ;;
	*losetup*)
		[ "$(id -u)" -eq 0 ] || echo root
		[ -c /dev/fuse ] || echo /dev/fuse
		[ -e /dev/loop-control ] || echo "loop devices"
		command -v nbdfuse >/dev/null || echo nbdfuse
		;;
	*qemu-system*) [ -n "$qemu" ] || echo qemu-system-x86_64 ;;
	*rbd:*)
		command -v ceph-osd ceph-mon >/dev/null || echo Ceph
		"$EBD" serve --volume help | grep -q '^ *rbd:' || echo librbd
		;;
	esac
}

# In a group of its own, which is gone when the row is over.
row_start() { # COMMAND
	start row setsid bash -c "$1"
}
row_end() {
	kill -TERM "-${PIDS[row]}" 2>/dev/null
	reap row 20
	if [ -e q.pid ]; then
		kill "$(cat q.pid)" 2>/dev/null
		rm -f q.pid
	fi
	wait_for 10 test ! -e ebd0.sock || true
}
said() { # PATTERN
	grep -q -- "$1" row.out || is_gone "${PIDS[row]}"
}
use() { # COMMAND
	local dev

	row_start "$1"
	case $1 in
	*losetup*)
		wait_for 30 said '^/dev/loop' || fail "$1: no device"
		dev=$(cat row.out)
		LOOPS+=("$dev")
		MOUNTS+=("$T/disk")
		[ "$(blockdev --getsize64 "$dev")" = $((32 << 20)) ] || fail "$1: it has another size"
		dd if="$dev" bs=1M status=none | cmp - disk.img || fail "$1: it reads something else"
		losetup -d "$dev"
		umount disk
		reap row 20
		;;
	*vhost-ebd*)
		wait_for 90 said '^booted'
		grep -q '^booted' row.out || fail "$1: did not boot: $(cat row.err)"
		row_end
		;;
	*qemu-system*)
		reap row 90
		grep -q '^booted' row.out || fail "$1: did not boot: $(cat row.err)"
		;;
	*)
		reap row 90
		[ "$RC" -eq 0 ] || fail "$1: status $RC: $(cat row.err)"
		;;
	esac
}

serve_line=$(rows "back end" | head -n 1)
[ "$(rows client | wc -l)" -ge 11 ] && [ "$(rows "back end" | wc -l)" -ge 10 ] ||
	fail "the tables are not found"

while IFS= read -r -u 3 command; do
	why=$(lacks "$command")
	[ -z "$why" ] || {
		skipped+=("$why")
		continue
	}
	make_disk
	start server setsid bash -c "$serve_line"
	wait_for 30 is_ready server || fail "$serve_line: does not get ready"
	use "$command"
	kill -TERM "-${PIDS[server]}"
	reap server 20
	rm -f out.img out.qcow2 vb.sock
done 3< <(rows client)

while IFS= read -r -u 3 command; do
	why=$(lacks "$command")
	[ -z "$why" ] || {
		skipped+=("$why")
		continue
	}
	case $command in
	*rbd:*)
		ceph_up rbd
		in_ceph rbd create --size 16M rbd/disk0 || fail "no image"
		export CEPH_CONF
		;;
	esac
	make_disk
	row_start "$command"
	wait_for 60 said '^ready' && ! is_gone "${PIDS[row]}" || fail "$command: $(cat row.err)"
	timeout 60 "$EBD" copy --link virtio:ebd0.sock ebd:disk0 out.img --verify >copy.out 2>copy.err ||
		fail "$command: a copy ended with status $?"
	row_end
	[ "$RC" -eq 0 ] || [ "$RC" -eq 143 ] || fail "$command: ended with status $RC: $(cat row.err)"
done 3< <(rows "back end")

[ ${#skipped[@]} -eq 0 ] || skip "all but some lines passed; those need: ${skipped[*]}"
