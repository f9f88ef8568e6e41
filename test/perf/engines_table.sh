#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# compare-engines.sh for several loads, some times each, as a table in Markdown.
#
#	engines_table.sh --build DIR [--quick]
set -eu
build=${2:?--build DIR}
runs=5 seconds=3
[ "${3:-}" != --quick ] || runs=3 seconds=1
here=$(dirname "$0")
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT

middle() {
	sort -g | awk '{ v[NR] = $1 } END { printf "%.6g %.6g %.6g\n", v[int((NR + 1) / 2)], v[1], v[NR] }'
}

echo "fio $(fio --version | sed 's/fio-//') with each engine, the same job file (\`test/perf/engines.fio\`) and the same two cores:"
echo "\`ebd\` reads from \`ebd serve\`, \`nbd\` from nbdkit's memory plugin, the others a local file past the page cache."
echo "fio is most of what is measured with \`ebd\`. IOPS are medians of $runs runs."
echo
echo "| load | ebd | nbd | libaio | io_uring | ebd to nbd | least .. greatest | wanted | |"
echo "|---|---:|---:|---:|---:|---:|---|---|---|"

load() { # TITLE RW BS DEPTH WANTED
	local engine mid low high verdict=

	rm -f "$T"/*
	for _ in $(seq "$runs"); do
		"$here/compare-engines.sh" --build "$build" --rw "$2" --bs "$3" --depth "$4" \
			--seconds "$seconds" >"$T/out" || {
			cat "$T/out"
			exit 77
		}
		sed -n 's/^ratio of ebd to nbd: //p' "$T/out" >>"$T/ratio"
		for engine in ebd nbd libaio io_uring; do
			awk -v e=$engine '$1 == e { print $2 }' "$T/out" >>"$T/$engine"
		done
	done
	printf '| %s |' "$1"
	for engine in ebd nbd libaio io_uring; do
		printf ' %.0f |' "$(middle <"$T/$engine" | cut -d' ' -f1)"
	done
	read -r mid low high <<<"$(middle <"$T/ratio")"
	[ -z "$5" ] || verdict=$(awk -v v="$mid" -v w="$5" 'BEGIN { print (v >= w ? "met" : "**not met**") }')
	printf ' %.2f | %.2f .. %.2f | %s | %s |\n' "$mid" "$low" "$high" "${5:+at least $5}" "$verdict"
}

load "4 KiB random read, depth 32" randread 4k 32 5
load "4 KiB random read, depth 1" randread 4k 1 ""
load "4 KiB random write, depth 32" randwrite 4k 32 ""
load "128 KiB read, depth 16" read 128k 16 ""
