#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Instructions that it takes to find out whose a frame is, by callgrind: those of classify.c, vlan.c, claims.c
# and of moving bytes for them, without the flow. Two runs of different length are subtracted.
#
#	classify.sh --build DIR
#
# Prints "none N", "other N", "own N": see classify.c.
set -eu
[ "${1-}" = --build ] || {
	echo "classify.sh: expected --build DIR" >&2
	exit 2
}
program=$(realpath "${2:?--build: expected a build directory}/test/perf/classify")
for tool in valgrind callgrind_annotate; do
	command -v "$tool" >/dev/null || {
		echo "needs $tool"
		exit 77
	}
done
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
export RUNTIME_DIRECTORY=$T

count() { # HOW BURSTS
	valgrind --tool=callgrind --toggle-collect=nic_take_burst --callgrind-out-file="$T/out" \
		"$program" "$1" "$2" >"$T/log" 2>&1 || {
		tail -n 5 "$T/log" >&2
		exit 1
	}
	callgrind_annotate --threshold=100 --show-percs=no --auto=no "$T/out" |
		awk '$1 ~ /^[0-9,]+$/ && $2 ~ /:/ && !/rte_ring|flow/ {
			gsub(",", "", $1); n += $1 } END { printf "%d\n", n }'
}

few=1000 many=3000 burst=16
for how in none other own; do
	a=$(count "$how" $few)
	b=$(count "$how" $many)
	awk -v how="$how" -v n=$((b - a)) -v frames=$(((many - few) * burst)) \
		'BEGIN { printf "%s %.1f\n", how, n / frames }'
done
