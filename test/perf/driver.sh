#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# The first evaluation that the report on multi-personality network interfaces asks for (3.7): how much simpler
# the block driver became, by counting in its sources what it holds and what it would hold without the
# storage personality. (The second, time inside the driver, is in stages.sh.) Prints Markdown.
set -eu
lib=$(dirname "$0")/../../lib

# The client's driver, what the personality does for it, and the engine below.
driver=("$lib"/ebd/{client,queue,io,event,error}.c)
personality=("$lib"/storage/st_{device,request,frame,loan,place,copy,personality,discover,arena}.c
	"$lib"/xfer/{xfer,ini*,place,loan}.c)
for i in "${!personality[@]}"; do
	[ -e "${personality[i]}" ] || unset "personality[i]"
done

# Source without comments and empty lines.
code() { # FILES
	cat "$@" | sed 's|//.*||' | awk '
		{
			while (match($0, /\/\*([^*]|\*[^\/])*\*\//))
				$0 = substr($0, 1, RSTART - 1) substr($0, RSTART + RLENGTH)
			if (open) {
				if (!(i = index($0, "*/"))) next
				$0 = substr($0, i + 2)
				open = 0
			}
			if ((i = index($0, "/*"))) { $0 = substr($0, 1, i - 1); open = 1 }
			if ($0 ~ /[^ \t]/) print
		}'
}

lines() {
	code "$@" | wc -l
}

# Different words of a pattern.
words() { # PATTERN FILES
	code "${@:2}" | grep -oE "\\b($1)\\b" | grep -v _COUNT | sort -u | wc -l
}

row() { # WHAT COMMAND...
	printf '| %s | %s | %s |\n' "$1" "$("${@:2}" "${driver[@]}")" \
		"$("${@:2}" "${driver[@]}" "${personality[@]}")"
}

echo "What the client's driver (\`lib/ebd\`) holds, and what it would hold if it had no storage personality to give"
echo "requests to (the initiator's part of \`lib/storage\` and \`lib/xfer\`):"
echo
echo "| | with the personality | without it |"
echo "|---|---:|---:|"
row "lines of code" lines
row "names of DPDK (functions, types, constants)" words 'rte_[a-z0-9_]+|RTE_[A-Z0-9_]+'
row "of them about frame buffers" words 'rte_(pktmbuf|mbuf|mempool)[a-z0-9_]*'
row "kinds of frames and control messages it can tell apart" words \
	'WIRE_(CMD|DATA|RSP|ACCEPT|GRANT|ABORT|NAK|PROBE|MESSAGE|CTRL_[A-Z]+|DISC_[A-Z]+)'
row "causes for which it refuses a frame" words 'WIRE_DROP_[A-Z_]+'
