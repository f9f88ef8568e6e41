#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Ratios from one run over vhost/virtio, one core a side: to the ceiling, and to nbdkit's memory
# plugin with fio's nbd engine on the same two cores, in turns. Prints a table in Markdown. Reads are
# measured without a copy, received in place and on loan, and with one; what is wanted goes for the first two.
#
#	table.sh --build DIR [--quick]
set -eu
BUILD='' pairs=10 runs=5 seconds=3 size=512M
while [ $# -gt 0 ]; do
	case $1 in
	--build)
		BUILD=${2:?}
		shift
		;;
	--quick) pairs=5 runs=3 seconds=1 size=128M ;;
	*)
		echo "table.sh: '$1': expected --build DIR or --quick" >&2
		exit 2
		;;
	esac
	shift
done
# shellcheck source=test/perf/lib.sh
. "$(dirname "$0")/lib.sh"

start_ebd_server $size --ceiling
echo "| work | to | ratio | least .. greatest | wanted | |"
echo "|---|---|---|---|---|---|"

row() { # WORK TO VALUE LOW HIGH WANTED SIGN
	awk -v work="$1" -v to="$2" -v v="$3" -v low="$4" -v high="$5" -v want="$6" -v sign="$7" 'BEGIN {
		if (want == "") {
			printf "| %s | %s | %.2f | %.2f .. %.2f | | |\n", work, to, v, low, high
			exit
		}
		met = sign == ">" ? v >= want : v <= want
		printf "| %s | %s | %.2f | %.2f .. %.2f | %s %s | %s |\n", work, to, v, low, high,
			sign == ">" ? "at least" : "at most", want, met ? "met" : "**not met**"
	}'
}

# ---- The ceiling ----

to_ceiling() { # WORK KEY WANTED SIGN ARGUMENTS
	local work=$1 key=$2 wanted=$3 sign=$4

	shift 4
	ebd_perf --ceiling --time "${pairs}s" "$@"
	row "$work" ceiling "$(json_get "$T/perf.json" "$key" median)" \
		"$(json_get "$T/perf.json" "$key" min)" "$(json_get "$T/perf.json" "$key" max)" \
		"$wanted" "$sign"
}

PLACE=,place=32 # the link has a data queue

# The same read without a copy, in two ways, and with one.
read_to_ceiling() { # WORK KEY WANTED SIGN ARGUMENTS
	local work=$1 key=$2 wanted=$3 sign=$4

	shift 4
	LINK_OPTIONS=$PLACE to_ceiling "$work, in place" "$key" "$wanted" "$sign" --placement in-place "$@"
	to_ceiling "$work, on loan" "$key" "$wanted" "$sign" --placement loan "$@"
	to_ceiling "$work, copied" "$key" "" "$sign" --placement copy "$@"
}

read_to_ceiling "4 KiB random read, depth 32" iops_ratio 0.80 ">" --rw randread --depth 32
read_to_ceiling "4 KiB random read, depth 128" iops_ratio 0.80 ">" --rw randread --depth 128
read_to_ceiling "4 KiB random read, depth 1, p50" p50_ratio 1.5 "<" --rw randread --depth 1
to_ceiling "4 KiB random write, depth 32" iops_ratio 0.70 ">" --rw randwrite --depth 32
read_to_ceiling "128 KiB sequential read, depth 16" iops_ratio 0.90 ">" --rw read --bs 128k --depth 16
to_ceiling "128 KiB sequential write, depth 16" iops_ratio 0.90 ">" --rw write --bs 128k --depth 16

# ---- Many sessions ----

: >"$T/ratios"
for _ in $(seq $runs); do
	ebd_perf --depth 32 --time "${seconds}s" --placement loan
	one=$(json_get "$T/perf.json" iops)
	ebd_perf --depth 32 --time "${seconds}s" --placement loan --queues 64
	awk -v a="$(json_get "$T/perf.json" iops)" -v b="$one" 'BEGIN { print a / b }' >>"$T/ratios"
done
read -r mid low high <<<"$(spread <"$T/ratios")"
row "4 KiB random read in total, 64 sessions, on loan" "1 session" "$mid" "$low" "$high" 0.90 ">"

# ---- Copies ----

share() { # WORK KEY OF WANTED SIGN ARGUMENTS
	local work=$1 key=$2 of=$3 wanted=$4 sign=$5 v

	shift 5
	ebd_perf --time 1s "$@"
	v=$(awk -v a="$(json_get "$T/perf.json" payload "$key")" \
		-v b="$(json_get "$T/perf.json" payload "$of")" 'BEGIN { print (b > 0 ? a / b : 0) }')
	row "$work" "payload" "$v" "$v" "$v" "$wanted" "$sign"
}

for depth in 32 128; do
	LINK_OPTIONS=$PLACE share "bytes in place, 4 KiB reads, depth $depth" in_place_bytes wire_bytes 0.95 ">" \
		--depth $depth --placement in-place
done
LINK_OPTIONS=$PLACE share "bytes in place, 128 KiB reads, depth 32" in_place_bytes wire_bytes 0.95 ">" \
	--depth 32 --bs 128k --rw read --placement in-place
share "bytes copied by the client, 4 KiB reads on loan, depth 32" copied_bytes wire_bytes 0 "<" --depth 32 \
	--placement loan
# What is sent again is copied, so that a buffer is in one frame only.
ebd_perf --time 1s --rw randwrite
sent_again=$(json_get "$T/perf.json" retransmits)
copied=$(awk -v c="$(json_get "$T/perf.json" payload copied_bytes)" -v n="$sent_again" \
	-v all="$(json_get "$T/perf.json" payload wire_bytes)" 'BEGIN { print (c - n * 4096) / all }')
row "bytes copied by the client, 4 KiB writes, depth 32, but for $sent_again sent again" payload \
	"$copied" "$copied" "$copied" 0 "<"

# ---- nbdkit ----

for tool in nbdkit fio; do
	command -v $tool >/dev/null || {
		echo "| against nbdkit | | | | | needs $tool |"
		exit 0
	}
done
start nbdkit "${ON_SERVER[@]}" nbdkit -f -U "$T/nbd.sock" memory $size
wait_until test -S "$T/nbd.sock"
uri="nbd+unix:///?socket=$T/nbd.sock"

fio_run() { # RW BS DEPTH
	"${ON_CLIENT[@]}" fio --name=x --ioengine=nbd --uri="$uri" --rw="$1" --bs="$2" --iodepth="$3" \
		--size=$size --time_based --runtime="$seconds" --randrepeat=0 --norandommap \
		--output-format=terse --terse-version=3 2>>"$T/fio.log" |
		tail -n 1 | awk -F';' '{ print $8 + $49 }'
}

kill -STOP "$SERVER"
"${ON_CLIENT[@]}" fio --name=x --ioengine=nbd --uri="$uri" --rw=write --bs=128k --iodepth=16 \
	--size=$size --refill_buffers >>"$T/fio.log" 2>&1 || die "cannot fill nbdkit's memory"

to_nbdkit() { # WORK WANTED RW BS DEPTH [PLACEMENT]
	local theirs

	: >"$T/ratios"
	for _ in $(seq $runs); do
		# Whoever does not measure must not run: a spinning server would take the other one's core.
		kill -STOP "$SERVER"
		theirs=$(fio_run "$3" "$4" "$5")
		kill -CONT "$SERVER"
		ebd_perf --rw "$3" --bs "$4" --depth "$5" --time "${seconds}s" --warmup 200ms \
			--placement "${6:-auto}"
		awk -v a="$(json_get "$T/perf.json" iops)" -v b="$theirs" \
			'BEGIN { print (b > 0 ? a / b : 0) }' >>"$T/ratios"
	done
	read -r mid low high <<<"$(spread <"$T/ratios")"
	row "$1" "nbdkit + fio nbd" "$mid" "$low" "$high" "$2" ">"
}

to_nbdkit "4 KiB random read, depth 1, on loan" 15 randread 4k 1 loan
to_nbdkit "4 KiB random read, depth 1, copied" "" randread 4k 1 copy
LINK_OPTIONS=$PLACE to_nbdkit "4 KiB random read, depth 32, in place" 7 randread 4k 32 in-place
to_nbdkit "4 KiB random read, depth 32, on loan" 7 randread 4k 32 loan
to_nbdkit "4 KiB random read, depth 32, copied" "" randread 4k 32 copy
to_nbdkit "4 KiB random write, depth 32" 9 randwrite 4k 32
to_nbdkit "128 KiB sequential read, depth 16, on loan" 1.2 read 128k 16 loan
to_nbdkit "128 KiB sequential write, depth 16" 1.2 write 128k 16
