#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# What a machine's disk costs: 4 KiB random reads of the same memory volume, in turns,
#
#	by ebd perf						on the client's core
#	by a frontend of vhost-user-blk through vhost-ebd	both on the client's core
#
# The frontend is a guest without a machine (test/vhost): it takes what came and asks again. Emulation, which
# would hide the target, is left out; the core it shares with the target is not.
#
#	compare-vhost.sh --build DIR [--short] [--depth N]
set -eu
BUILD=
runs=5 seconds=5 depth=32
while [ $# -gt 0 ]; do
	case $1 in
	--build)
		BUILD=${2:?--build: expected a directory}
		shift
		;;
	--depth)
		depth=${2:?--depth: expected a number from 1 to 64}
		shift
		;;
	--short) runs=3 seconds=1 ;;
	*)
		echo "compare-vhost.sh: '$1': expected --build DIR, --short or --depth N" >&2
		exit 2
		;;
	esac
	shift
done
# shellcheck source=test/perf/lib.sh
. "$(dirname "$0")/lib.sh"

start_ebd_server 512M --link "vhost:$T/vhost.sock"
start target "${ON_CLIENT[@]}" "$BUILD/apps/vhost-ebd/vhost-ebd" --link "virtio:$T/vhost.sock" mem \
	--socket "$T/guest.sock" --idle yield --depth "$depth"
target=$LAST_PID
wait_until grep -qx ready "$T/target.log"

for run in $(seq "$runs"); do
	# Who does not measure must not run.
	kill -STOP "$target"
	ebd_perf --rw randread --bs 4k --depth "$depth" --time "${seconds}s" --warmup 200ms
	kill -CONT "$target"
	json_get "$T/perf.json" iops | cut -d. -f1 >>"$T/ebd"
	"${ON_CLIENT[@]}" "$BUILD/test/vhost/vhost_blk" "$T/guest.sock" perf "$seconds" "$depth" \
		2>"$T/guest.log" | awk '$1 == "iops" { print $2 }' >>"$T/vhost"
	printf 'run %s  ebd perf %9s IOPS  vhost-ebd %9s IOPS\n' "$run" "$(tail -n 1 "$T/ebd")" \
		"$(tail -n 1 "$T/vhost")"
done
[ "$(grep -cE '^[1-9][0-9]*$' "$T/vhost")" -eq "$runs" ] || die "a run gave no number"
paste "$T/vhost" "$T/ebd" | awk '{ print $1 / $2 }' >"$T/ratios"
read -r ebd _ _ <<<"$(spread <"$T/ebd")"
read -r vhost _ _ <<<"$(spread <"$T/vhost")"
read -r mid low high <<<"$(spread <"$T/ratios")"
awk -v d="$depth" -v e="$ebd" -v v="$vhost" -v r="$mid" -v low="$low" -v high="$high" 'BEGIN {
	printf "ratio at depth %d: %.2f (%.2f .. %.2f), medians %d and %d IOPS\n", d, r, low, high, v, e
}'
