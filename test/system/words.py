#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Tells an mpnic, over its socket, every command of its table with words that are wrong. Each must be
# refused in one line that names a word, and change nothing.
#
#	words.py SOCKET
import json
import os
import re
import socket
import sys

FREE = {"NAME", "TEXT", "FILE", "SECTION"}  # any word will do, or may do
NUMBERS = ["-1", "0x", "1e9", "99999999999999999999", "1;2", "\x01"]
BOGUS = "?bogus?"


class Talk:
    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX)
        # Blocking: where many wait already, one that cannot wait is told EAGAIN.
        self.s.connect(path)
        self.s.settimeout(30)
        self.f = self.s.makefile("rb")

    def ask(self, line):
        self.s.sendall(line.encode() + b"\n")
        head = self.f.readline().split()
        assert len(head) == 2 and head[0] in (b"ok", b"error"), f"{line!r}: answer {head}"
        return head[0] == b"ok", self.f.read(int(head[1])).decode()


def tokens(syntax):
    """(word, stands for something, optional) of each."""
    return [(t.strip("[]"), t.strip("[")[0].isupper(), t.startswith("[")) for t in syntax.split()]


def wrong_lines(cmd, known):
    toks = tokens(cmd["syntax"])
    needed = [t for t in toks if not t[2]]
    fill = [BOGUS if arg else word for word, arg, _ in toks]

    # Too few words, unless that is another command; too many; all of them wrong.
    for n in range(1, len(needed)):
        if not any(fits(k, fill[:n]) for k in known):
            yield " ".join(fill[:n])
    yield " ".join(fill + ["surplus"])
    if any(arg and word.split("|")[0] not in FREE for word, arg, _ in toks):
        yield " ".join(fill)
        if any(arg for _, arg, _ in needed):
            yield " ".join(fill[: len(needed)])
    # One word of what would be right.
    good = cmd.get("example", "").split()
    for i, word in enumerate(good):
        if toks[i][1] and toks[i][0].split("|")[0] in FREE:
            continue
        for bad in [BOGUS, "x" * 300, "%n%s%s"] + (NUMBERS if toks[i][0].startswith("N") else []):
            yield " ".join(good[:i] + [bad] + good[i + 1 :])


def fits(syntax, words):
    toks = tokens(syntax)
    if len(words) > len(toks) or len(words) < len([t for t in toks if not t[2]]):
        return False
    return all(arg or word == w for (word, arg, _), w in zip(toks, words))


def state(t):
    ok, text = t.ask("show config")
    assert ok
    return text


def check_commands(path):
    t = Talk(path)
    ok, text = t.ask("help json")
    assert ok
    commands = json.loads(text)["commands"]
    known = [c["syntax"] for c in commands]
    before = state(t)
    told = 0
    for cmd in commands:
        for line in wrong_lines(cmd, known):
            ok, text = t.ask(line)
            told += 1
            assert not ok, f"'{line}' was not refused: {text}"
            assert re.fullmatch(r"'[^\n]*': [^\n]+\n", text), f"'{line}': {text!r}"
            assert state(t) == before, f"'{line}' was refused, and changed the state"
    assert told > 5 * len(commands) / 2, f"only {told} lines for {len(commands)} commands"
    # What is shown is shown as JSON, too.
    for cmd in commands:
        if cmd["syntax"].startswith("show values"):
            ok, text = t.ask("show values NIC json")
            assert ok and json.loads(text)["values"] == ["net_ring0", "net_ring1"], text
        elif cmd["syntax"].startswith(("show ", "help", "volume kinds")) and not any(
            a and not o for _, a, o in tokens(cmd["syntax"])
        ):
            assert cmd["syntax"].endswith(" [json]"), f"{cmd['syntax']}: no json"
            line = " ".join(w for w, a, _ in tokens(cmd["syntax"]) if not a)
            ok, text = t.ask(line)
            assert ok, f"{line}: {text}"
            json.loads(text)
    check_dumps(t)
    print(f"{told} lines were refused")


def check_dumps(t):
    """What DPDK says about itself is text of its own; JSON tells of as many things."""
    names = json.loads(t.ask("show values WHAT json")[1])["values"]
    assert len(names) >= 8, names
    for name in names:
        ok, text = t.ask(f"dump {name}")
        assert ok and text, f"dump {name}: {text}"
        ok, answer = t.ask(f"dump {name} json")
        assert ok, f"dump {name} json: {answer}"
        (elements,) = json.loads(answer).values()
        assert elements and all(isinstance(e, dict) for e in elements), answer
        for e in elements:
            assert e.get("name", "") in text, f"dump {name}: no {e['name']}"
    for name, begin in [("rings", "^ring <"), ("mempools", "^mempool <"), ("lcores", "^lcore ")]:
        n = len(re.findall(begin, t.ask(f"dump {name}")[1], re.M))
        assert n == len(json.loads(t.ask(f"dump {name} json")[1])[name]) > 0, name


def check_strangers(path):
    """Those who do not keep to the rules harm nobody."""
    # Bytes, no line; a line that is too long; a zero; nothing at all.
    for junk in [os.urandom(64), b"x" * 100000, b"show\0port\n", b"\n" * 3, b"\xff\xfe\n"]:
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        s.settimeout(30)
        try:
            s.sendall(junk)
            if b"\n" in junk and b"\0" not in junk:
                assert s.recv(4096)[:3] in (b"ok ", b"err"), junk[:20]
        except (BrokenPipeError, ConnectionResetError):
            pass
        s.close()
    # More than it has room for, who say nothing, and one who asks.
    crowd = []
    for _ in range(20):
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        crowd.append(s)
    t = Talk(path)
    assert t.ask("show program")[0]
    # Several lines at once, in pieces; answers come in order.
    t.s.sendall(b"show volume js")
    t.s.sendall(b"on\nshow session json\nshow co")
    for key in ("volumes", "sessions"):
        head = t.f.readline().split()
        assert key in json.loads(t.f.read(int(head[1])))
    t.s.sendall(b"nfig json\n")
    head = t.f.readline().split()
    assert "config" in json.loads(t.f.read(int(head[1])))
    # One who asks for much and does not listen.
    deaf = Talk(path)
    for _ in range(200):
        try:
            deaf.s.settimeout(0.05)
            deaf.s.sendall(b"help json\n" * 20)
        except (TimeoutError, BrokenPipeError):
            break
    t = Talk(path)
    assert t.ask("show program")[0]


check_strangers(sys.argv[1])
check_commands(sys.argv[1])
