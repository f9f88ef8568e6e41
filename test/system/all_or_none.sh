#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# A command for "all" that one NIC cannot do changes none, and says which one it was. Nothing gets a name
# that no command could use.
. "$(dirname "$0")/lib.sh"

trial=$BUILD/test/system/trial.so
start mpnic "$MPNIC" --lcores '(0-1)@0' --no-huge --no-pci -m 256 -- --link ring:a --link ring:b --socket s --idle sleep
answers() {
	timeout 30 "$MPNIC" --connect s -e "show program"
}
wait_for 30 answers >begin.log 2>&1 || fail "$(cat begin.log mpnic.err)"

ask() { # STATUS COMMAND
	RC=0
	timeout -k 5 30 "$MPNIC" --connect s -e "$2" >ask.out 2>ask.err </dev/null || RC=$?
	[ "$RC" -eq "$1" ] || fail "$2: status $RC: $(cat ask.err)"
}
state() {
	ask 0 "show config"
	cp ask.out "$1"
}
# A line that is refused for a reason, and changes nothing.
refused() { # COMMAND PATTERN
	state before
	ask 1 "$1"
	[ "$(wc -l <ask.err)" -eq 1 ] || fail "$1: said $(wc -l <ask.err) lines: $(cat ask.err)"
	grep -qE -- "$2" ask.err || fail "$1: $(cat ask.err)"
	state after
	diff before after || fail "$1: was refused, and changed the state"
}

# Its life.
ask 0 "personality define nic1 net taken"
refused "personality define all net taken" "^'taken': nic1: there is a personality of this name"
ask 0 "personality define nic1 storage other"
ask 0 "personality load nic1 other"
ask 0 "personality define all storage"
refused "personality load all storage" "^'storage': .*nic1.*belongs to 'other'"
refused "personality unload all storage" "^'storage': nic0: cannot unload: it is defined"
ask 0 "personality load nic0 storage"
refused "personality start all storage" "^'storage': nic1: cannot start: it is defined"
ask 0 "personality define all $trial"
ask 0 "personality load nic0 trial"
ask 0 "personality load nic1 trial no-start"
refused "personality start all trial" "^'trial': .*nic1"
refused "personality undefine all trial" "^'trial': nic0: cannot undefine: it is loaded"

# Its VLAN and limits.
ask 0 "personality define nic0 net p"
ask 0 "personality define nic1 storage p"
refused "set limits all p 64 64 32" "^'32': nic1: personality 'p': solicited I/O has no frames of its own"
refused "vlan add all 10 taken" "^'taken': nic0: no such personality"
refused "vlan add all 10 trial" "^'trial': nic0: its VLAN cannot change: it is loaded"
ask 0 "vlan add nic1 10 p"
refused "vlan add all 10 p" "^'p': nic1: it has VLAN 10 already"
refused "vlan del all 10" "^'10': nic0: no personality has this VLAN"
ask 0 "vlan add nic0 10 p"
ask 0 "personality load nic1 p"
refused "vlan del all 10" "^'p': nic1: its VLAN cannot change: it is loaded"
refused "set weight all taken 3" "^'taken': nic0: no such personality"

# The port.
ask 0 "set map nic1 rx=1"
refused "set fwd rxonly all" "nic1: its stages are on several lcores: set map off"
ask 0 "set map nic1 off"
ask 0 "set fwd echo nic1"
refused "set map all rx=1" "nic1: set fwd off"
refused "set fwd-size 10000" "^'10000': nic0: frames of nic0 have at most|^'10000': frames of nic0 have at most"

# Names.
for name in all json off; do
	refused "port attach ring:c $name" "^'$name': expected a name: this is a word of the commands"
	refused "personality define nic0 net $name" "^'$name': expected a name: this is a word of the commands"
	refused "volume add $name mem:1M" "^'$name': expected a name: this is a word of the commands"
done
for name in rx tx; do
	refused "personality define nic0 net $name" "^'$name': expected a name: this is a stage of every NIC"
done
refused "personality define nic0 net a,b" "^'a,b': expected a name without any of ,="
refused "port attach ring:c a=b" "^'a=b': expected a name without any of ="
refused "volume add a=b mem:1M" "^'a=b': expected a name without any of ="

ask 0 quit
reap mpnic 20
[ "$RC" -eq 0 ] || fail "it ended with status $RC"
expect_nothing_left
