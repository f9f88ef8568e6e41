#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Several personalities on one vhost/virtio port, one core a side: what each gets of it, and what they do to
# each other. Prints a table in Markdown. What is compared is measured in turns.
#
# With --check it looks at bounds of orders of magnitude instead, without a table. To be run by hand after a change of
# the schedulers, and no part of CI: where other work kept one end from running for a second, frames of storage were
# dropped, which it takes for a fault.
#
#	share.sh --build DIR [--quick|--check]
# shellcheck disable=SC2016
set -eu
BUILD=${2:?--build DIR}
rounds=5 ms=3000 pings=500 seconds=4 churn=(10240 60 1)
check=false
case ${3:-} in
--quick) rounds=1 ms=600 pings=100 seconds=2 churn=() ;;
--check) rounds=1 ms=400 pings=50 seconds=1 churn=() check=true SHARED_CORE=true ;;
esac
# shellcheck source=test/perf/lib.sh
. "$(dirname "$0")/lib.sh"
src=$(realpath "$(dirname "$0")/../..")
SHARE=$(realpath "$BUILD/test/perf/share")
link=$T/share.sock
MPNIC=$(realpath "$BUILD/apps/mpnic/mpnic")
# Eight queues: one holds its own reads back, so that they fit into the ring of the link.
saturating='depth=64 size=64k queues=8'
# How pollers wait: when it is not time that is looked at they may have one core together.
wait='yield=0'
! $check || wait='yield=1'
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

	trap '' INT TERM
	for ns in "${namespaces[@]}"; do
		ip netns del "$ns" 2>/dev/null || true
	done
	finish "$rc"
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
	"${BOUND[@]}" "${NS_SERVER[@]}" "${ON_SERVER[@]}" "$SHARE" serve "vhost:$link" "sched=$1" "$wait" $2 >"$T/serve.out" 2>"$T/serve.log" &
	server=$!
	pids+=("$server")
	wait_until grep -qx ready "$T/serve.out"
	# shellcheck disable=SC2086
	"${BOUND[@]}" "${NS_CLIENT[@]}" "${ON_CLIENT[@]}" timeout -k 5 120 "${BOUND[@]}" "$SHARE" load "virtio:$link" \
		"sched=$1" "$wait" "ms=$ms" $3 >"$T/load.out" 2>"$T/load.log" &
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
	# Below 10 ms it would not sleep between two, on a core that is measured.
	run_here "${NS_CLIENT[@]}" ping -n -i 0.012 -c "$pings" 10.67.0.1 >"$T/ping.out" || true
	sed -n 's/.*time=\([0-9.]*\) ms/\1/p' "$T/ping.out" | sort -g |
		awk '{ v[NR] = $1 } END { print v[int(NR * 0.99)] * 1000 }' >"$T/ping.p99"
}

with_ping() { # SCHEDULER: p99 in us
	local keep=$ms

	# As long as the pings take, and a second more.
	ms=$((pings * 12 + 2500))
	run "$1" net=mpn0 "net=mpn0 $saturating" ping_both
	ms=$keep
	cat "$T/ping.p99"
}

ping_both() {
	address "mpns$$" 10.67.0.1
	p99_of_ping
}

# Two hosts, an mpnic for each, and TCP between their interfaces: Mbit/s.
iperf() { # personality|io
	local i mbps

	trap 'kill "${server[@]}" "${client[@]}" 2>/dev/null || true' EXIT
	trap 'exit 143' TERM
	server=() client=()
	cat >"$T/personality.cmd" <<-'END'
		personality define nic0 net
		personality load nic0 net tap=mpn0
		personality start nic0 net
		start
	END
	printf 'set fwd io all\nstart\n' >"$T/io.cmd"
	server=(--link "vhost:$link") client=(--link "virtio:$link,wait=20s")
	[ "$1" != io ] || server+=(--link tap:mpn0) client+=(--link tap:mpn0)
	start mpnics "${NS_SERVER[@]}" "${ON_SERVER[@]}" "$MPNIC" --no-pci -m 256 --file-prefix "s$$" -- "${server[@]}" \
		--cmdline-file "$T/$1.cmd" --idle yield
	server=("$LAST_PID")
	wait_until ip -n "mpns$$" link show dev mpn0 >/dev/null
	start mpnicc "${NS_CLIENT[@]}" "${ON_CLIENT[@]}" "$MPNIC" --no-pci -m 256 --file-prefix "c$$" -- "${client[@]}" \
		--cmdline-file "$T/$1.cmd" --idle yield
	client=("$LAST_PID")
	wait_until ip -n "mpnc$$" link show dev mpn0 >/dev/null
	for i in s c; do
		wait_until ip -n "mpn$i$$" link set dev mpn0 mtu 1500 up
	done
	address "mpns$$" 10.67.0.1
	address "mpnc$$" 10.67.0.2
	wait_until "${NS_CLIENT[@]}" ping -q -c 1 -W 1 10.67.0.1 >/dev/null
	start iperfs "${NS_SERVER[@]}" iperf3 -s -1
	wait_until sh -c "timeout 60 '${NS_CLIENT[0]}' '${NS_CLIENT[1]}' iperf3 -c 10.67.0.1 -f m -t $seconds >'$T/iperf.out' 2>&1"
	mbps=$(awk '/receiver/ { for (i = 2; i <= NF; i++) if ($i == "Mbits/sec") print $(i - 1) }' "$T/iperf.out")
	for i in "${client[@]}" "${server[@]}"; do
		kill -TERM "$i"
		wait "$i" || die "mpnic: $1"
	done
	[ -n "$mbps" ] || die "iperf3: $(tail -n 2 "$T/iperf.out")"
	echo "$mbps"
}

in_shell() { # FUNCTION...
	("$@") &
	pids+=("$!")
	wait "$!"
}

can_iperf=false
! $can_tap || ! command -v iperf3 >/dev/null || can_iperf=true

for ((i = 0; i < rounds; i++)); do
	if $can_tap; then
		run prio-drr '' 'depth=32'
		alone=$(value reads_per_s)
		run prio-drr net=mpn0 'net=mpn0 depth=32'
		ratio "$(value reads_per_s)" "$alone" >>"$T/idle"
		with_ping fifo >"$T/ping.fifo"
		with_ping prio-drr >"$T/ping.drr"
		ratio "$(cat "$T/ping.fifo")" "$(cat "$T/ping.drr")" >>"$T/ping"
		paste -d' ' "$T/ping.fifo" "$T/ping.drr" >>"$T/ping_us"
	fi
	if $can_iperf; then
		# In a shell of its own: the other rows do not depend on it.
		in_shell iperf io >"$T/iperf.io" && in_shell iperf personality >"$T/iperf.personality" || can_iperf=false
	fi
	if $can_iperf; then
		ratio "$(cat "$T/iperf.personality")" "$(cat "$T/iperf.io")" >>"$T/iperf"
		paste -d' ' "$T/iperf.personality" "$T/iperf.io" >>"$T/iperf_mbps"
	fi

	run prio-drr flood=1 "flood=1 weight=3 $saturating"
	awk '$1 == "window" { print $4 }' "$T/load.out" | spread | cut -d' ' -f1 >>"$T/jain"

	run prio-drr echo=1 'rate=1000'
	alone=$(value rtt_p99_ns)
	run prio-drr echo=1 "rate=1000 $saturating"
	drr=$(value rtt_p99_ns)
	run fifo echo=1 "rate=1000 $saturating"
	fifo=$(value rtt_p99_ns)
	ratio "$drr" "$alone" >>"$T/probe"
	ratio "$fifo" "$drr" >>"$T/probe_fifo"
	echo "$alone $drr $fifo" >>"$T/probe_ns"

	run prio-drr '' 'depth=32'
	alone=$(value reads_per_s)
	run prio-drr '' 'junk=1 depth=32'
	ratio "$(value reads_per_s)" "$alone" >>"$T/junk_server"
	run prio-drr junk=1 'depth=32'
	ratio "$(value reads_per_s)" "$alone" >>"$T/junk_client"

	run prio-drr echo=1 'window=64'
	peak=$(value answers_per_s)
	run prio-drr echo=1 "rate=$((2 * peak))"
	ratio "$(value answers_per_s)" "$peak" >>"$T/twice"
done

# A busy machine measures itself. These hold whatever else goes on: nothing fails, nothing is dropped, nobody starves.
if $check; then
	holds() { # TEXT FILE LEAST
		awk -v least="$3" '{ v = $1 } END { exit !(v >= least) }' "$2" || die "$1: $(cat "$2"), expected at least $3"
	}
	[ "$dropped" -eq 0 ] || die "$dropped storage frames were dropped in queues"
	holds 'shares of storage and a flood' "$T/jain" 0.55
	holds 'fifo to prio-drr, p99 of a probe' "$T/probe_fifo" 0.02
	holds 'junk' "$T/junk_server" 0.02
	holds 'junk' "$T/junk_client" 0.02
	holds 'twice the load' "$T/twice" 0.02
	$can_tap || { echo "no root, or no tap: storage beside an interface was not tried" && exit 77; }
	holds 'an idle interface' "$T/idle" 0.02
	holds 'ping' "$T/ping" 0.001
	exit 0
fi

echo "One vhost/virtio port, one core a side. *Median (least to greatest)* of $rounds rounds; what is compared runs in turns. Storage saturates with 8 queues of 64 reads of 64 KiB each."
echo
echo '| work | at least | measured |'
echo '|---|---|---|'
! $can_tap || row 'storage 4 KiB random read, depth 32: with an idle network personality (tap) to alone' 0.97 "$T/idle"
[ ! -s "$T/iperf" ] || row 'iperf3 (TCP, MTU 1500) over the network personality: to the same over taps that `set fwd io` joins with the link' \
	0.85 "$T/iperf"
row 'storage and a flood saturating, weights 3:1 under `prio-drr`: Jain index of weighted shares, windows of 100 ms' \
	0.98 "$T/jain"
row 'probe with priority (64-byte echo, 1,000/s) while storage saturates: p99 to its own alone' \
	'at most 5' "$T/probe"
row '... p99 under `fifo` to that under `prio-drr`' 10 "$T/probe_fifo"
! $can_tap || row 'ping while storage saturates: p99 under `fifo` to that under `prio-drr`' 5 "$T/ping"
row 'storage 4 KiB random read, half of what the server receives of unknown type: to none' 0.90 "$T/junk_server"
row '... half of what the client receives' 0.90 "$T/junk_client"
row 'twice the questions an echo can answer: answers to the peak' 0.90 "$T/twice"
echo "| storage frames dropped in queues under all of the above | 0 | $dropped |"
if [ ${#churn[@]} -gt 0 ] && $can_tap; then
	rc=0
	run_here env MPNIC_BUILD="$BUILD" "$src/test/system/churn.sh" "${churn[@]}" >"$T/churn.out" 2>&1 || rc=$?
	[ $rc -eq 0 ] || [ $rc -eq 77 ] || die "$(tail -n 3 "$T/churn.out")"
	[ $rc -ne 0 ] || printf '| %s: wrong bytes, lost requests | 0, 0 | 0, 0 (%s) |\n' \
		'a personality started, stopped, unloaded, loaded every second for a minute, beside 10 GiB copied and verified' \
		"$(tail -n 1 "$T/churn.out")"
fi
echo
awk '{ printf "Probe, p99: alone %.1f µs, beside storage %.1f µs under `prio-drr`, %.1f µs under `fifo`.\n", $1 / 1000, $2 / 1000, $3 / 1000 }' \
	"$T/probe_ns" | sed -n "$(((rounds + 1) / 2))p"
! $can_tap || awk '{ printf "\nPing, p99: %.0f µs under `fifo`, %.0f µs under `prio-drr`.\n", $1, $2 }' "$T/ping_us" |
	sed -n "1,$((2 * ((rounds + 1) / 2)))p" | tail -n 2
[ ! -s "$T/iperf_mbps" ] || awk '{ printf "\niperf3: %.0f Mbit/s over the personality, %.0f over `io`.\n", $1, $2 }' "$T/iperf_mbps" |
	sed -n "1,$((2 * ((rounds + 1) / 2)))p" | tail -n 2
