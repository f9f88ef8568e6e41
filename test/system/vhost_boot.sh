#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# A machine's firmware boots from a served volume, reads and writes it: one queue of the four there are, no
# interrupts.
. "$(dirname "$0")/vhost_lib.sh"

need qemu-system-x86_64
need as
need ld

# The boot sector: say so, read the second sector, say what is in it, write it to the third, end.
as --32 -o boot.o - <<'END'
.code16
.globl _start
_start:
	xor %ax, %ax
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %ss
	mov $0x7c00, %sp
	mov %dl, drive
	mov $hello, %si
	call print
	mov $0x0201, %ax	/* read 1 sector */
	mov $0x0002, %cx	/* from the second */
	mov $0x8000, %bx
	call disk
	mov $0x8000, %si
	call print
	mov $0x0301, %ax	/* write 1 sector */
	mov $0x0003, %cx
	call disk
	mov $bye, %si
	call print
	mov $0xf4, %dx		/* isa-debug-exit: status 2 * 16 + 1 */
	mov $0x10, %al
	out %al, %dx
stop:	hlt
	jmp stop
disk:	xor %dh, %dh
	mov drive, %dl
	int $0x13
	jc failed
	ret
failed:	mov $error, %si
	call print
	jmp stop
print:	mov $0x3f8, %dx		/* the serial line */
next:	lodsb
	test %al, %al
	jz end
	out %al, %dx
	jmp next
end:	ret
drive:	.byte 0
hello:	.asciz "booted\n"
bye:	.asciz "written\n"
error:	.asciz "disk error\n"
.org 510
.word 0xaa55
END
ld -m elf_i386 -Ttext 0x7c00 --oformat binary -o boot.bin boot.o || fail "cannot make a boot sector"

link_up vhost 9000
truncate -s 8M disk.img
dd if=boot.bin of=disk.img conv=notrunc status=none
printf 'this is the second sector\n\0' | dd of=disk.img bs=512 seek=1 conv=notrunc status=none
serve server "$SERVER_LINK" disk0=file:disk.img
vhost_serve target --queues 4

machine 64 -device vhost-user-blk-pci,chardev=disk,num-queues=4,bootindex=1 \
	-device isa-debug-exit,iobase=0xf4
start qemu "${MACHINE[@]}"
reap qemu 60
tr -d '\r' <qemu.out >guest.out
[ "$RC" -eq 33 ] || fail "QEMU ended with status $RC"
guest_said booted
guest_said "this is the second sector"
guest_said written

stop_server target
stop_server server
dd if=disk.img of=second bs=512 skip=1 count=1 status=none
dd if=disk.img of=third bs=512 skip=2 count=1 status=none
same second third
