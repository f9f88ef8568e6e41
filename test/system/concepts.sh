#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Every command of doc/concepts.md shows what stands beside it.
. "$(dirname "$0")/lib.sh"

doc=$SRC/doc/concepts.md
awk '/^```mpnic$/ { on = 1; next } /^```/ { on = 0 } on' "$doc" >lab.mpnic
[ -s lab.mpnic ] || fail "the commands to begin with are not there"
start mpnic "$MPNIC" -l 0 --no-huge --no-pci -m 256 -- --link ring:lab --cmdline-file lab.mpnic --socket s \
	--idle sleep
answers() {
	"$MPNIC" --connect s -e "show program" >begin.log 2>&1
}
wait_for 30 answers || fail "$(cat begin.log mpnic.err)"

# "command<TAB>what is to be in its answer"
awk -F '|' '/^\| .*`/ {
	n = split($4, command, "`")
	m = split($5, word, "`")
	print command[2] "\t" (m > 1 ? word[2] : "")
}' "$doc" >rows
[ "$(wc -l <rows)" -ge 30 ] || fail "only $(wc -l <rows) rows were found"
while IFS=$'\t' read -r command word; do
	RC=0
	timeout -k 5 30 "$MPNIC" --connect s -e "$command" >answer 2>&1 </dev/null || RC=$?
	if [ -z "$word" ]; then
		[ "$RC" -eq 0 ] || fail "$command: $(cat answer)"
		[ ! -s answer ] || fail "$command: is not silent: $(head -n 1 answer)"
	else
		grep -qF -- "$word" answer || fail "$command: no '$word' in: $(head -n 50 answer)"
	fi
done <rows

timeout 30 "$MPNIC" --connect s -e quit
reap mpnic 20
[ "$RC" -eq 0 ] || fail "it ended with status $RC"
