# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
# shellcheck shell=bash disable=SC2034,SC2054,SC2016
#
# For tests of vhost-ebd: the target, and machines that QEMU emulates. Never KVM: what runs here runs anywhere.
. "$(dirname "$0")/lib.sh"

VHOST_EBD=$BUILD/apps/vhost-ebd/vhost-ebd
VHOST_BLK=$BUILD/test/vhost/vhost_blk

# Start the target and wait until a guest can come. Its socket is g.sock.
vhost_serve() { # NAME [options]
	local name=$1

	shift
	start "$name" "$VHOST_EBD" --no-huge --link "$CLIENT_LINK" disk0 --socket g.sock "$@"
	wait_for 30 is_ready "$name" || fail "$name did not get ready"
	is_gone "${PIDS[$name]}" && fail "$name ended at once"
	return 0
}

# A number that SIGUSR1 makes the target print.
vhost_counter() { # NAME KEY
	local before

	before=$(grep -c '^in_flight' "$1.out")
	send "$1" USR1
	wait_for 5 vhost_has_more "$1" "$before" || return 1
	awk -v key="$2" '$1 == key { value = $2 } END { print value }' "$1.out"
}

vhost_counter_above() { # NAME KEY VALUE
	[ "$(vhost_counter "$1" "$2")" -gt "$3" ]
}

vhost_has_more() {
	[ "$(grep -c '^in_flight' "$1.out")" -gt "$2" ]
}

# What every machine has: shared memory, a serial line as its only voice.
machine() { # MIB [options]
	local mib=$1

	shift
	MACHINE=(qemu-system-x86_64 -accel tcg -m "${mib}M" -nodefaults -display none -serial stdio -no-reboot
		-object "memory-backend-memfd,id=mem,size=${mib}M,share=on" -machine pc,memory-backend=mem
		-chardev "socket,id=disk,path=$T/g.sock,reconnect=1" "$@")
}

# ---- Debian's kernel, with a busybox for everything else ----

# Modules of the disk, each behind those it needs.
GUEST_MODULES='virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk'

# A program of the host, or a file by its path, with the libraries it needs, for the guest.
give_to_guest() { # PROGRAM|PATH
	local file=$1 path

	if [ ! -e "$file" ]; then
		need "$1"
		file=$(command -v "$1")
	fi
	for path in "$file" $(ldd "$file" | grep -o '/[^ ]*'); do
		mkdir -p "guest${path%/*}" && cp -L "$path" "guest$path" || fail "cannot copy $path"
	done
}

# Make guest.cpio, whose init loads the modules and runs the commands on stdin. More programs may be in it.
make_guest() { # [PROGRAM|PATH]...
	local module program

	need busybox
	need qemu-system-x86_64
	KERNEL=$("$SRC/devtools/fetch-kernel.sh" 2>kernel.err) || skip "no kernel: $(tail -n 1 kernel.err)"
	mkdir -p guest/bin guest/proc guest/sys guest/dev guest/mnt guest/lib
	cp "$(command -v busybox)" guest/bin/
	for program in "$@"; do
		give_to_guest "$program"
	done
	for module in $GUEST_MODULES; do
		cp "$KERNEL/$module.ko" guest/lib/ || fail "the kernel has no $module"
	done
	{
		printf '%s\n' '#!/bin/busybox sh' '/bin/busybox --install -s /bin' 'export PATH=/bin:/usr/bin' \
			'mount -t proc proc /proc' 'mount -t sysfs sys /sys' 'mount -t devtmpfs dev /dev'
		# Two of them need each other's symbols in older kernels: the order is tried twice.
		printf 'for m in %s; do insmod /lib/$m.ko 2>/dev/null; done\n' "$GUEST_MODULES $GUEST_MODULES"
		cat
		printf '%s\n' 'echo guest-ended' 'poweroff -f'
	} >guest/init
	chmod +x guest/init
	(cd guest && find . | busybox cpio -o -H newc 2>/dev/null) >guest.cpio
}

start_guest() { # [WORD for the guest's command line] [options]
	local word=${1:-}

	[ $# -eq 0 ] || shift
	machine 256 -device vhost-user-blk-pci,chardev=disk,num-queues=2 -smp 2 -kernel "$KERNEL/vmlinuz" \
		-initrd guest.cpio -append "console=ttyS0 quiet panic=-1 $word" "$@"
	start qemu "${MACHINE[@]}"
}

# Wait until it has powered off. What it said is in guest.out, without carriage returns.
reap_guest() { # SECONDS
	reap qemu "$1"
	tr -d '\r' <qemu.out >guest.out
	[ "$RC" -eq 0 ] || fail "QEMU ended with status $RC"
	grep -qx guest-ended guest.out || fail "the guest did not come to its end"
}

guest_said() { # LINE
	grep -qx -- "$1" guest.out || fail "the guest did not say '$1'"
}
