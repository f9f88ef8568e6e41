#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# instructions.sh for several loads, as a table in Markdown.	instructions_table.sh --build DIR [--quick]
set -eu
here=$(dirname "$0")
build=${2:?--build DIR}
loads=('4k read, depth 32|--rw randread --depth 32' '4k read, depth 1|--rw randread --depth 1'
	'4k write, depth 32|--rw randwrite --depth 32')
[ "${3:-}" = --quick ] || loads+=('4k read on loan, depth 32|--rw randread --placement loan'
	'64k read, depth 32|--rw randread --bs 64k' '64k write, depth 32|--rw randwrite --bs 64k')
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
n=0
for load in "${loads[@]}"; do
	# shellcheck disable=SC2086
	"$here/instructions.sh" --build "$build" ${load#*|} >"$T/$n"
	n=$((n + 1))
done

cat <<'END'
Client and server in one process, joined by a ring: both sides and the driver of the ring are in it. By callgrind,
two runs of different length subtracted. *load* is `ebd perf` itself, *placement* the copies (a vector copy of
4 KiB is about 400 instructions), *storage* the glue between frames and the engine. On a ring frames refer to the
volume's own memory, and what is lent must not change: loans are copied there.

END
{
	printf '| stage |'
	printf ' %s |' "${loads[@]%%|*}"
	printf '\n|---|'
	printf -- '---:|%.0s' "${loads[@]}"
	printf '\n'
	paste -d' ' "$T"/[0-9]* | awk '{ printf "| %s |", $1; for (i = 2; i <= NF; i += 2) printf " %s |", $i; print "" }'
}
