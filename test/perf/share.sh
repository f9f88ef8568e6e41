#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Several personalities on one vhost/virtio port, one core a side: what each gets of it, and what they do to
# each other. Prints a table in Markdown. What is compared is measured in turns.
#
#	share.sh --build DIR [--quick]
# shellcheck disable=SC2016
set -eu
BUILD=${2:?--build DIR}
rounds=5 ms=3000 pings=1000 churn=(10240 60 1)
[ "${3:-}" != --quick ] || rounds=1 ms=600 pings=200 churn=()
# shellcheck source=test/perf/lib.sh
. "$(dirname "$0")/lib.sh"
src=$(realpath "$(dirname "$0")/../..")
SHARE=$(realpath "$BUILD/test/perf/share")
link=$T/share.sock
dropped=0
namespaces=()

# Taps live in namespaces of their own; the way in is free of charge.
can_tap=false
if [ "$(id -u)" -eq 0 ] && [ -c /dev/net/tun ] && command -v ping >/dev/null && ip netns add "mpns$$" 2>/dev/null; then
	can_tap=true
	namespaces=("mpns$$" "mpnc$$")
	ip netns add "mpnc$$"
fi
leave() {
	local ns rc=$?

	for ns in "${namespaces[@]}"; do
		ip netns del "$ns" 2>/dev/null || true
	done
	(exit "$rc")
	finish
}
trap leave EXIT

NS_SERVER=() NS_CLIENT=()
if $can_tap; then
	NS_SERVER=(nsenter --net="/run/netns/mpns$$") NS_CLIENT=(nsenter --net="/run/netns/mpnc$$")
fi

value() { # NAME: of the last run
	awk -v name="$1" '$1 == name { print $2 }' "$T/load.out"
}

# A server and a load of their own. BESIDE runs meanwhile.
run() { # SCHEDULER "SERVER'S OPTIONS" "LOAD'S OPTIONS" [COMMAND BESIDE]
	local server client

	# shellcheck disable=SC2086
	"${NS_SERVER[@]}" "${ON_SERVER[@]}" "$SHARE" serve "vhost:$link" "sched=$1" $2 >"$T/serve.out" 2>"$T/serve.log" &
	server=$!
	pids+=("$server")
	wait_until grep -qx ready "$T/serve.out"
	# shellcheck disable=SC2086
	"${NS_CLIENT[@]}" "${ON_CLIENT[@]}" timeout -k 5 120 "$SHARE" load "virtio:$link" "sched=$1" "ms=$ms" $3 >"$T/load.out" \
		2>"$T/load.log" &
	client=$!
	pids+=("$client")
	[ $# -lt 4 ] || "${@:4}"
	wait "$client" || die "share load $3"
	kill -TERM "$server"
	wait "$server" || die "share serve $2"
	[ "$(value errors)" = 0 ] || die "$(value errors) requests failed: $3"
	dropped=$((dropped + $(value storage_dropped) + $(awk '$1 == "storage_dropped" { print $2 }' "$T/serve.out")))
}

ratio() { # A B
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.4f\n", (b > 0 ? a / b : 0) }'
}

# The row's name, what it must reach, and the file of its numbers, one a line.
row() { # TEXT BOUND FILE [UNIT]
	local m lo hi

	read -r m lo hi < <(spread <"$3")
	printf '| %s | %s | %.3g%s (%.3g to %.3g) |\n' "$1" "$2" "$m" "${4:-}" "$lo" "$hi"
}

address() { # netns NAME
	wait_until ip -n "$1" addr add "$2/24" dev mpn0
}

p99_of_ping() {
	address "mpnc$$" 10.67.0.2
	wait_until "${NS_CLIENT[@]}" ping -q -c 1 -W 1 10.67.0.1 >/dev/null
	"${NS_CLIENT[@]}" ping -n -i 0.002 -c "$pings" 10.67.0.1 >"$T/ping.out" || true
	sed -n 's/.*time=\([0-9.]*\) ms/\1/p' "$T/ping.out" | sort -g |
		awk '{ v[NR] = $1 } END { print v[int(NR * 0.99)] * 1000 }' >"$T/ping.p99"
}

with_ping() { # SCHEDULER: p99 in us
	local keep=$ms

	# As long as the pings take, and a second more.
	ms=$((pings * 2 + 2500))
	run "$1" net=mpn0 "net=mpn0 depth=128 size=64k" ping_both
	ms=$keep
	cat "$T/ping.p99"
}

ping_both() {
	address "mpns$$" 10.67.0.1
	p99_of_ping
}

for ((i = 0; i < rounds; i++)); do
	if $can_tap; then
		run prio-drr '' 'depth=32'
		alone=$(value reads_per_s)
		run prio-drr net=mpn0 'net=mpn0 depth=32'
		ratio "$(value reads_per_s)" "$alone" >>"$T/idle"
		a=$(with_ping fifo)
		b=$(with_ping prio-drr)
		ratio "$a" "$b" >>"$T/ping"
	fi

	run prio-drr flood=1 'flood=1 depth=128 size=64k weight=3'
	awk '$1 == "window" { print $4 }' "$T/load.out" | spread | cut -d' ' -f1 >>"$T/jain"

	run prio-drr '' 'rate=1000'
	alone=$(value rtt_p99_ns)
	run prio-drr '' 'rate=1000 depth=128 size=64k'
	drr=$(value rtt_p99_ns)
	run fifo '' 'rate=1000 depth=128 size=64k'
	fifo=$(value rtt_p99_ns)
	ratio "$drr" "$alone" >>"$T/probe"
	ratio "$fifo" "$drr" >>"$T/probe_fifo"
	echo "$alone $drr $fifo" >>"$T/probe_ns"

	run prio-drr '' 'depth=32'
	alone=$(value reads_per_s)
	run prio-drr junk=1 'junk=1 depth=32'
	ratio "$(value reads_per_s)" "$alone" >>"$T/junk"

	run prio-drr '' 'window=64'
	peak=$(value answers_per_s)
	run prio-drr '' "rate=$((2 * peak))"
	ratio "$(value answers_per_s)" "$peak" >>"$T/twice"
done

echo "One vhost/virtio port, one core a side. *Median (least to greatest)* of $rounds rounds; what is compared runs in turns."
echo
echo '| work | at least | measured |'
echo '|---|---|---|'
! $can_tap || row 'storage 4 KiB random read, depth 32: with an idle network personality (tap) to alone' 0.97 "$T/idle"
row 'storage and a flood saturating, weights 3:1 under `prio-drr`: Jain index of weighted shares, windows of 100 ms' \
	0.98 "$T/jain"
row 'probe with priority (64-byte echo, 1,000/s) while storage saturates (64 KiB, depth 128): p99 to its own alone' \
	'at most 5' "$T/probe"
row '... p99 under `fifo` to that under `prio-drr`' 10 "$T/probe_fifo"
! $can_tap || row 'ping while storage saturates: p99 under `fifo` to that under `prio-drr`' 5 "$T/ping"
row 'storage 4 KiB random read, half of all frames of unknown type, both ways: to none' 0.90 "$T/junk"
row 'twice the questions an echo can answer: answers to the peak' 0.90 "$T/twice"
echo "| storage frames dropped in queues under all of the above | 0 | $dropped |"
if [ ${#churn[@]} -gt 0 ] && $can_tap; then
	MPNIC_BUILD=$BUILD "$src/test/system/churn.sh" "${churn[@]}" >"$T/churn.out" 2>&1 ||
		die "$(tail -n 3 "$T/churn.out")"
	echo '| a personality started, stopped, unloaded, loaded every second for a minute, beside 10 GiB copied and verified: wrong bytes, lost requests | 0, 0 | 0, 0 |'
fi
echo
awk '{ printf "Probe, p99: alone %.1f µs, beside storage %.1f µs under `prio-drr`, %.1f µs under `fifo`.\n", $1 / 1000, $2 / 1000, $3 / 1000 }' \
	"$T/probe_ns" | sed -n "$(((rounds + 1) / 2))p"
