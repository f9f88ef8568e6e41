#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# What was typed at a terminal is there at the next start; what a program says is not kept.
. "$(dirname "$0")/lib.sh"

need python3
export XDG_STATE_HOME=$T/state
file=$XDG_STATE_HOME/mpnic/history
eal=(-l 0 --no-huge --no-pci -m 64 --vdev net_ring0)

# Types at a terminal: waits for the text in front of each ':' and types what is behind it.
type_in() { # TEXT:KEYS...
	timeout 60 python3 - "$MPNIC" "${eal[@]}" -- -i "##" "$@" <<'END' >typed.out || fail "the terminal: $(tail -n 5 typed.out)"
import os, pty, sys
at = sys.argv.index("##")
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:at])
seen = b""
for step in sys.argv[at + 1:]:
    text, keys = step.split(":", 1)
    while text.encode() not in seen:
        seen += os.read(fd, 4096)
    seen = b""
    os.write(fd, keys.encode().decode("unicode_escape").encode())
try:
    while True:
        part = os.read(fd, 4096)
        if not part:
            break
        seen += part
except OSError:
    pass
sys.stdout.write(seen.decode(errors="replace"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
}

printf '%s\n' "show program" quit | timeout 30 "$MPNIC" "${eal[@]}" -- -i >pipe.out 2>&1 || fail "$(cat pipe.out)"
[ ! -e "$file" ] || fail "what came through a pipe was kept"

type_in 'mpnic> :show program\r' 'mpnic> :show program\r' 'mpnic> :\r' 'mpnic> :show fwd\r' 'mpnic> :quit\r'
printf '%s\n' "show program" "show fwd" quit | diff - "$file" || fail "other lines were kept"
[ "$(stat -c %a "$file")" = 600 ] || fail "others may read it: $(stat -c %a "$file")"

# Three times up, from an empty line: what was typed before the last start.
type_in 'mpnic> :\x1b[A\x1b[A\x1b[A\r' 'uptime_s:quit\r'
[ "$(tail -n 2 "$file" | head -n 1)" = "show program" ] || fail "it was not there again: $(cat "$file")"

# Of a long one half is kept; one that cannot be written is no trouble.
for i in $(seq 1200); do echo "show xstats nic$i"; done >"$file"
type_in 'mpnic> :quit\r'
[ "$(head -n 1 "$file")" = "show xstats nic501" ] || fail "it begins with $(head -n 1 "$file")"
[ "$(tail -n 1 "$file")" = quit ] || fail "it ends with $(tail -n 1 "$file")"
[ "$(find "$XDG_STATE_HOME" -type f | wc -l)" -eq 1 ] || fail "files are left: $(find "$XDG_STATE_HOME")"
rm -rf "$XDG_STATE_HOME"
: >"$XDG_STATE_HOME"
type_in 'mpnic> :show program\r' 'uptime_s:quit\r'
expect_nothing_left
