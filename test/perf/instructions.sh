#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Instructions of a request, by callgrind: client and server in one process, joined by a ring, so that
# both sides and the wire's driver are in it. Two runs of different length are subtracted: what is left
# is what requests cost, without start and end. No noise of the machine is in these numbers.
#
#	instructions.sh --build DIR [--bs SIZE] [--depth N] [--rw LOAD] [--placement HOW]
#		[--functions N]
#
# Prints "STAGE INSTRUCTIONS" a line, then "total N"; with --functions the N dearest functions.
set -eu
build='' bs=4k depth=32 rw=randread placement=auto functions=0
while [ $# -gt 0 ]; do
	case $1 in
	--build) build=${2:?} ;;
	--bs) bs=${2:?} ;;
	--depth) depth=${2:?} ;;
	--rw) rw=${2:?} ;;
	--placement) placement=${2:?} ;;
	--functions) functions=${2:?} ;;
	*)
		echo "instructions.sh: '$1': expected --build, --bs, --depth, --rw, --placement, --functions" >&2
		exit 2
		;;
	esac
	shift 2
done
ebd=$(realpath "${build:?--build: expected a build directory}/apps/ebd/ebd")
for tool in valgrind callgrind_annotate; do
	command -v "$tool" >/dev/null || {
		echo "needs $tool"
		exit 77
	}
done
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
export RUNTIME_DIRECTORY=$T

count() { # REQUESTS OUTPUT
	valgrind --tool=callgrind --callgrind-out-file="$T/out" "$ebd" perf --link ring:i \
		--volume m=mem:16M m --no-huge --rw "$rw" --bs "$bs" --depth "$depth" --ops "$1" \
		--placement "$placement" --idle spin >"$T/log" 2>&1 || {
		tail -n 5 "$T/log" >&2
		exit 1
	}
	# "1,234 (5.6%)  file:function [object]" to "1234 file:function"
	callgrind_annotate --threshold=100 --show-percs=no "$T/out" |
		awk '$1 ~ /^[0-9,]+$/ && $2 ~ /:/ { gsub(",", "", $1); sub(".*/", "", $2); print $1, $2 }' |
		awk '{ n[$2] += $1 } END { for (f in n) print n[f], f }' >"$2"
}

few=2000 many=6000
count $few "$T/few"
count $many "$T/many"
awk -v few=$few -v many=$many 'NR == FNR { n[$2] -= $1; next } { n[$2] += $1 }
	END { for (f in n) printf "%.2f %s\n", n[f] / (many - few), f }' "$T/few" "$T/many" |
	sort -rn >"$T/cost"

# What belongs to which stage, by the file of the function.
awk '
	function stage(f) {
		if (f ~ /^(perf_|cmd_perf|mpn_hist)/) return "load"
		if (f ~ /^(io|queue|client|export|server)\.[ch]:/) return "submit"
		if (f ~ /^(nic|idle|eal)\.[ch]:/) return "poll"
		if (f ~ /^classify\.c:/) return "classify"
		if (f ~ /^(flow|rte_ring.*)\.[ch]:/) return "flow"
		if (f ~ /^sched[_a-z]*\.c:/) return "scheduling"
		if (f ~ /^(ini|tgt|xfer|wire|crc)[_a-z0-9]*\.[ch]:/) return "xfer"
		# A function of a header that was taken into another one.
		if (f ~ /:(ini|tgt|xfer|wire)_/) return "xfer"
		if (f ~ /^st_copy|mem(cpy|move|set)/) return "placement"
		if (f ~ /^(st_|dev_st)/ || f ~ /:(st|dev_st)_/) return "storage"
		if (f ~ /^(volume|mem|null|vol_[a-z]*)\.[ch]:/ || f ~ /:vol_/) return "volume"
		if (f ~ /:ebd_/) return "submit"
		if (f ~ /^(rte_|mbuf|\?\?\?:(rte_|eth_|common_|bucket_))/ || f ~ /eth_ring|mempool|mbuf/)
			return "driver"
		return "other"
	}
	{ n[stage($2)] += $1; all += $1 }
	END {
		split("load submit poll classify flow scheduling xfer placement storage volume driver other", s, " ")
		for (i = 1; i in s; i++) printf "%s %.0f\n", s[i], n[s[i]]
		printf "total %.0f\n", all
	}' "$T/cost"
[ "$functions" -eq 0 ] || head -n "$functions" "$T/cost"
