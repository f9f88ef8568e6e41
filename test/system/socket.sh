#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Commands over a socket: by mpnic --connect, by strangers, and every command with words that are wrong.
. "$(dirname "$0")/lib.sh"
need python3

cat >begin <<END
personality define net_ring0 storage
personality load net_ring0 storage
personality start net_ring0 storage
personality define net_ring0 net
personality define net_ring1 storage
personality load net_ring1 storage
volume add one mem:8M
END
begin() {
	start mpnic "$MPNIC" -l 0 --no-huge --no-pci -m 256 --vdev net_ring0 --vdev net_ring1 -- --socket s \
		--cmdline-file begin --idle sleep
	wait_for 30 "$MPNIC" --connect s -e "show program" >begin.log 2>&1 || fail "$(cat begin.log mpnic.err)"
}
ask() { # STATUS ARGUMENT...
	RC=0
	timeout -k 5 30 "$MPNIC" --connect s "${@:2}" >ask.out 2>ask.err </dev/null || RC=$?
	[ "$RC" -eq "$1" ] || fail "mpnic --connect ${*:2}: status $RC: $(cat ask.err)"
}

begin
[ "$(stat -c %a s)" = 600 ] || fail "others may use the socket: $(stat -c %A s)"
ask 0 -e "show port net_ring0 json" -e "set weight all storage 7" -e "show flow net_ring1"
grep -q '"driver"' ask.out || fail "the port is not shown"
grep -q '^weight *7\|weight *7' ask.out || fail "the flow is not shown"
ask 1 -e "show port nowhere" -e "set weight all storage 8"
grep -q "^'nowhere': no such NIC: expected net_ring0, net_ring1$" ask.err || fail "$(cat ask.err)"
ask 0 -e "show flow net_ring1"
grep -q 'weight *7' ask.out || fail "it went on behind a command that failed"
printf '%s\n' "show program" "no such thing" quit | timeout 30 "$MPNIC" --connect s >ask.out 2>&1 ||
	fail "the prompt of --connect: status $?"
grep -q '^polling *yes' ask.out || fail "nothing was answered at the prompt"
grep -q "^'no': expected" ask.out || fail "nothing was refused at the prompt"
ask 0 -e "set weight all storage 1"
# What the other program has is completed, too.
printf 'show port net_ring1\nshow port net_ri\t1\nquit\n' | timeout 30 "$MPNIC" --connect s >ask.out 2>&1 ||
	fail "the prompt of --connect: status $?"
[ "$(grep -c '^    *driver' ask.out)" -eq 2 ] || fail "a name of the other program is not completed: $(cat ask.out)"

python3 "$SRC/test/system/words.py" s >words.out 2>words.err || fail "$(tail -n 1 words.err)"

# SIGUSR1: everything at once.
send mpnic USR1
wait_for 10 grep -q '^volume add one' mpnic.out || fail "nothing was dumped"
for word in version ports personalities flows delays vlans maps fwd volumes sessions lines; do
	grep -q "^$word" mpnic.out || fail "no $word in what was dumped"
done

# A second one does not take the place of the first; one that was killed leaves its place.
timeout 30 "$MPNIC" -l 0 --no-huge --no-pci -m 64 -- --socket s >second.out 2>second.err
[ $? -eq 1 ] || fail "two listen at one socket"
grep -q "'s': Address already in use" second.err || fail "$(cat second.err)"
send mpnic KILL
reap mpnic 20
ask 1 -e "show program"
grep -q "nobody answers" ask.err || fail "$(cat ask.err)"
begin
ask 0 -e quit
reap mpnic 20
[ "$RC" -eq 0 ] || fail "it ended with status $RC"
[ ! -e s ] || fail "the socket is still there"
