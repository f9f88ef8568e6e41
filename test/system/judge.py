#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Reads the fields of captured frames, one frame a line as wire.sh has tshark print them, and holds them
# against the rules of doc/wire-format.md and against the image that was copied.
#
#	judge.py IMAGE read|write <fields

import sys

DISC, CTRL, CMD, DATA, RSP, GRANT, NAK, PROBE = range(8)
READ, WRITE = 1, 2
OPEN, CHALLENGE, PROOF, OPENED, CLOSE, CLOSED = 1, 2, 3, 4, 6, 7
RETX, LAST, CRC = 0x2, 0x4, 0x8
OK, RUNNING = 0, 10

NAMES = (
    "dir kind op sid tag addr off plen flags cseq ack status granted limit crc_valid src dst isn p payload"
).split()
TEXT = {"dir", "src", "dst", "payload"}


def number(text):
    if text in ("True", "False"):
        return int(text == "True")
    return int(text, 0) if text else 0


class Frame:
    def __init__(self, nr, line):
        self.nr = nr
        for name, text in zip(NAMES, line.rstrip("\n").split("\t")):
            setattr(self, name, text if name in TEXT else number(text))
        self.data = bytes.fromhex(self.payload.replace(":", ""))


def check(good, frame, text):
    if not good:
        sys.exit(f"frame {frame.nr}: {text}: " + str({n: getattr(frame, n) for n in NAMES[:-1]}))


class Session:
    """What both ends must keep to, from OPENED on."""

    def __init__(self, frame):
        self.sid = frame.sid
        self.isn = frame.isn
        self.p = frame.p
        self.limit = frame.limit
        self.client = frame.dst
        self.server = frame.src
        self.cmds = {}
        self.last = frame.isn

    def command(self, f):
        """A CMD: new ones count up by one and keep below the limit, copies are copies."""
        old = self.cmds.get(f.cseq)
        if old is not None:
            check(f.flags & RETX, f, "a copy without RETX")
            check((f.tag, f.addr, f.off, f.op) == old["key"], f, "a copy that differs")
            return
        check(f.cseq == (self.last + 1) & 0xFFFFFFFF, f, "cseq does not count up")
        check((self.limit - f.cseq) & 0xFFFFFFFF < 1 << 31, f, "beyond the limit")
        check(not f.flags & RETX, f, "RETX in a first copy")
        self.last = f.cseq
        running = [c for c in self.cmds.values() if not c["done"]]
        check(f.tag not in [c["key"][0] for c in running], f, "tag in use")
        self.cmds[f.cseq] = {
            "key": (f.tag, f.addr, f.off, f.op),
            "got": {},
            "granted": set(),
            "done": False,
        }
        if f.op == WRITE and f.plen:
            check(f.plen == f.off, f, "immediate data of another length")
            self.cmds[f.cseq]["got"][0] = f.data

    def fragment(self, f, to_server):
        """A DATA: a fragment of a live command, of exactly its size, granted when it is a write."""
        cmd = self.find(f)
        _, _, length, op = cmd["key"]
        check(op != (READ if to_server else WRITE), f, "data in the wrong direction")
        check(f.off % self.p == 0 and f.off < length, f, "no fragment of the command")
        check(f.plen == min(self.p, length - f.off), f, "not the fragment's length")
        check(bool(f.flags & LAST) == (f.off + f.plen == length), f, "LAST is wrong")
        check(f.off not in cmd["got"] or f.flags & RETX, f, "sent again without RETX")
        check(not to_server or f.off in cmd["granted"], f, "was not granted")
        cmd["got"][f.off] = f.data
        if not to_server and sum(map(len, cmd["got"].values())) == length:
            cmd["done"] = True

    def find(self, f):
        cmd = self.cmds.get(f.cseq)
        check(cmd is not None, f, "of no command")
        check((f.tag, f.addr, f.op) == (cmd["key"][0], cmd["key"][1], cmd["key"][3]), f, "not of its command")
        return cmd

    def grant(self, f):
        cmd = self.find(f)
        check(f.op == WRITE, f, "a grant of something else than a write")
        check(f.off % self.p == 0 and 0 < f.granted <= cmd["key"][2] - f.off, f, "outside the command")
        cmd["granted"].update(range(f.off, f.off + f.granted, self.p))

    def response(self, f):
        cmd = self.find(f)
        check(f.status in (OK, RUNNING), f, "an error status")
        check(f.op != READ or f.status != OK, f, "a RSP for a read that went well")
        check(f.off == cmd["key"][2], f, "RSP of another length")
        if f.status == OK:
            cmd["done"] = True

    def frame(self, f):
        to_server = f.dir == "to target"
        check(f.sid == self.sid, f, "another session")
        check((f.src, f.dst) == ((self.client, self.server) if to_server else (self.server, self.client)), f, "stations")
        if not to_server and (f.limit - self.limit) & 0xFFFFFFFF < 1 << 31:
            self.limit = f.limit
        if f.kind == CMD:
            self.command(f)
        elif f.kind == DATA:
            self.fragment(f, to_server)
        elif f.kind == GRANT:
            self.grant(f)
        elif f.kind == RSP:
            self.response(f)


def handshake(frames):
    """The order of what comes before the first command; gives the session and what is left."""
    want = [(CTRL, OPEN), (CTRL, CHALLENGE), (CTRL, PROOF), (CTRL, OPENED)]
    for i, f in enumerate(frames):
        if f.kind == CTRL and want and (f.kind, f.op) == want[0]:
            want.pop(0)
            check(f.sid == 0 or f.op == OPENED, f, "a sid before OPENED")
            if not want:
                check(f.sid != 0, f, "OPENED without a sid")
                return Session(f), frames[i + 1 :]
        elif f.kind in (CMD, DATA, RSP, GRANT, NAK):
            check(False, f, "before the session was opened")
    sys.exit(f"no session was opened: {want} is missing")


def moved(session, op):
    """The volume's bytes as the frames of one operation moved them: {address: data}."""
    parts = {}
    total = 0
    for cmd in session.cmds.values():
        _, addr, length, cmd_op = cmd["key"]
        if cmd_op != op:
            continue
        size = sum(map(len, cmd["got"].values()))
        if size != length:
            sys.exit(f"{size} bytes of {length} at {addr} are on the wire")
        total += length
        for off, data in cmd["got"].items():
            parts[addr + off] = data
    return parts, total


def main():
    image = open(sys.argv[1], "rb").read()
    op = READ if sys.argv[2] == "read" else WRITE
    frames = [Frame(i + 1, line) for i, line in enumerate(sys.stdin)]
    for f in frames:
        check(f.flags & CRC and f.crc_valid, f, "checksum missing or wrong")
    session, rest = handshake(frames)
    for f in rest:
        if f.kind not in (DISC,) and f.sid != 0 and not (f.kind == CTRL and f.op == CLOSED):
            session.frame(f)
    unfinished = [c["key"] for c in session.cmds.values() if not c["done"]]
    if unfinished:
        sys.exit(f"commands without an end: {unfinished}")
    if not any(f.kind == CTRL and f.op == CLOSED for f in rest):
        sys.exit("the session was not closed")
    parts, total = moved(session, op)
    rebuilt = bytearray(len(image))
    for addr, data in parts.items():
        rebuilt[addr : addr + len(data)] = data
    if rebuilt != image:
        sys.exit("the frames do not make up the image")
    if total != len(image):
        sys.exit(f"the frames carry {total} bytes, the image has {len(image)}")
    print(f"{len(frames)} frames, {len(session.cmds)} commands, {total} bytes: all as they should be")


main()
