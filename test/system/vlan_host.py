# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# What `ip link add link IFACE name IFACE.VID type vlan id VID` does, for kernels without it: a tap whose
# frames are on the interface with the tag of the VLAN.	vlan_host.py IFACE VID

import fcntl
import os
import select
import socket
import struct
import sys

TUNSETIFF = 0x400454CA
IFF_TAP = 2
IFF_NO_PI = 0x1000
SOL_PACKET = 263
PACKET_AUXDATA = 8
TP_STATUS_VLAN_VALID = 0x10
ETH_P_ALL = 3

iface, vid = sys.argv[1], int(sys.argv[2])
tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", f"{iface}.{vid}".encode(), IFF_TAP | IFF_NO_PI))
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
wire.bind((iface, ETH_P_ALL))
print("ready", flush=True)


def from_wire():
    """The kernel has taken the tag off, and says which it was."""
    frame, notes, _, address = wire.recvmsg(65536, 256)
    if address[2] == socket.PACKET_OUTGOING:
        return
    for level, kind, data in notes:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _, _, _, _, tci, _ = struct.unpack("IIIHHHH", data[:20])
            if status & TP_STATUS_VLAN_VALID and tci & 0xFFF == vid:
                os.write(tap, frame)


while True:
    for fd in select.select([tap, wire], [], [])[0]:
        if fd is wire:
            from_wire()
        else:
            frame = os.read(tap, 65536)
            wire.send(frame[:12] + struct.pack("!HH", 0x8100, vid) + frame[12:])
