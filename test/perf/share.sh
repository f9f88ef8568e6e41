#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Several personalities on one vhost/virtio port, one core a side: what each gets of it, and what they do to
# each other. Prints a table in Markdown. What is compared is measured in turns.
#
#	share.sh --build DIR [--quick] [--only ROW]... [--rounds N]
#	share.sh --build DIR --check
#
#	--only ROW	idle, ping, iperf, flood, probe, junk, twice or churn; may be repeated
#	--rounds N	default: 5, with --quick 1
#
# --check takes no times: with both ends on whatever cores there are, each of them stopped for longer than a port may
# stand still, all get ahead, no request fails and no frame of storage is dropped in a queue. It is a test.
# shellcheck disable=SC2016
set -eu
usage() {
	echo "share.sh: $*: expected --build DIR, --quick, --only ROW, --rounds N or --check" >&2
	exit 2
}
BUILD='' rows=(idle ping iperf flood probe junk twice churn) only=()
rounds=5 ms=3000 least=0 pings=500 seconds=4 churn=(10240 60 1)
quick=false check=false
while [ $# -gt 0 ]; do
	case $1 in
	--quick) quick=true rounds=1 ms=600 pings=100 seconds=2 ;;
	--check) check=true rounds=1 ms=200 least=20 pings=20 SHARED_CORE=true ;;
	--build | --only | --rounds)
		[ $# -gt 1 ] || usage "$1"
		case $1 in
		--build) BUILD=$2 ;;
		--only) only+=("$2") ;;
		--rounds) rounds=$2 ;;
		esac
		shift
		;;
	*) usage "'$1'" ;;
	esac
	shift
done
[ -n "$BUILD" ] || usage 'no --build'
[[ $rounds =~ ^[1-9][0-9]*$ ]] || usage "--rounds '$rounds'"
for row in "${only[@]}"; do
	[[ " ${rows[*]} " = *" $row "* ]] || usage "--only '$row', of ${rows[*]}"
done
wanted() { # ROW
	# It takes two minutes, and what it is about does not hang on the time it takes.
	[ "$1" != churn ] || ! $quick || return 1
	[ ${#only[@]} -eq 0 ] || [[ " ${only[*]} " = *" $1 "* ]]
}
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
dropped=0 # frames of storage, in queues
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
		"sched=$1" "$wait" "ms=$ms" "least=$least" $3 >"$T/load.out" 2>"$T/load.log" &
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

# What must be reached, and the numbers of a file, one a line, if it was measured.
row() { # FILE TEXT BOUND
	local m lo hi

	[ -s "$T/$1" ] || return 0
	read -r m lo hi < <(spread <"$T/$1")
	printf '| %s | %s | %.3g (%.3g to %.3g) |\n' "$2" "$3" "$m" "$lo" "$hi"
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

# ---- The rows: each round adds a line to the files of its numbers ----

measure_idle() {
	local alone

	run prio-drr '' 'depth=32'
	alone=$(value reads_per_s)
	run prio-drr net=mpn0 'net=mpn0 depth=32'
	ratio "$(value reads_per_s)" "$alone" >>"$T/idle"
}

measure_ping() {
	with_ping fifo >"$T/ping.fifo"
	with_ping prio-drr >"$T/ping.drr"
	ratio "$(cat "$T/ping.fifo")" "$(cat "$T/ping.drr")" >>"$T/ping"
	paste -d' ' "$T/ping.fifo" "$T/ping.drr" >>"$T/ping_us"
}

measure_iperf() {
	# In a shell of its own: the other rows do not depend on it.
	in_shell iperf io >"$T/iperf.io" && in_shell iperf personality >"$T/iperf.personality" || can_iperf=false
	$can_iperf || return 0
	ratio "$(cat "$T/iperf.personality")" "$(cat "$T/iperf.io")" >>"$T/iperf"
	paste -d' ' "$T/iperf.personality" "$T/iperf.io" >>"$T/iperf_mbps"
}

measure_flood() {
	run prio-drr flood=1 "flood=1 weight=3 $saturating"
	awk '$1 == "window" { print $4 }' "$T/load.out" | spread | cut -d' ' -f1 >>"$T/flood"
}

measure_probe() {
	local alone drr fifo

	run prio-drr echo=1 'rate=1000'
	alone=$(value rtt_p99_ns)
	run prio-drr echo=1 "rate=1000 $saturating"
	drr=$(value rtt_p99_ns)
	run fifo echo=1 "rate=1000 $saturating"
	fifo=$(value rtt_p99_ns)
	ratio "$drr" "$alone" >>"$T/probe"
	ratio "$fifo" "$drr" >>"$T/probe_fifo"
	echo "$alone $drr $fifo" >>"$T/probe_ns"
}

measure_junk() {
	local alone

	# Who sends it is there all the time: what a personality costs that does nothing is another row.
	run prio-drr '' 'idle=1 depth=32'
	alone=$(value reads_per_s)
	run prio-drr '' 'junk=1 depth=32'
	ratio "$(value reads_per_s)" "$alone" >>"$T/junk_server"
	run prio-drr idle=1 'depth=32'
	alone=$(value reads_per_s)
	run prio-drr junk=1 'depth=32'
	ratio "$(value reads_per_s)" "$alone" >>"$T/junk_client"
}

measure_twice() {
	local peak

	run prio-drr echo=1 'window=64'
	peak=$(value answers_per_s)
	run prio-drr echo=1 "rate=$((2 * peak))"
	ratio "$(value answers_per_s)" "$peak" >>"$T/twice"
}

# ---- Nobody is starved, nothing lost ----

# One end after the other does not run: long enough for the other one to call its port stuck.
stop_each() {
	local pid both

	wait_until grep -q ^measuring "$T/load.out"
	mapfile -t both < <(awk '$1 == "pid" { print $2 }' "$T/load.out" "$T/serve.out")
	for pid in "${both[@]}"; do
		kill -STOP "$pid"
		read -rt 1.5 <><(:) || true
		kill -CONT "$pid"
		read -rt 0.2 <><(:) || true
	done
}

check_ping() {
	[ -s "$T/ping.p99" ] && [ "$(cat "$T/ping.p99")" != 0 ] || die "nobody answered a ping: $1"
}

if $check; then
	run prio-drr flood=1 "flood=1 weight=3 $saturating"
	# What was asked for of each of two is there, or the load would not have ended.
	run prio-drr echo=1 "rate=1000 $saturating"
	run fifo echo=1 "rate=1000 $saturating"
	run prio-drr '' 'junk=1 depth=32'
	run prio-drr junk=1 'depth=32'
	run prio-drr echo=1 'rate=1000000'
	ms=6000
	for sched in fifo prio-drr; do
		run "$sched" 'flood=1 echo=1' "flood=1 weight=3 rate=1000 $saturating" stop_each
	done
	ms=200
	if $can_tap; then
		for sched in fifo prio-drr; do
			with_ping "$sched" >/dev/null
			check_ping "$sched"
		done
	fi
	[ "$dropped" -eq 0 ] || die "$dropped storage frames were dropped in queues"
	$can_tap || { echo "no root, or no tap: storage beside an interface was not tried" && exit 77; }
	exit 0
fi

# ---- The table ----

needs_tap() { # ROW
	[ "$1" = idle ] || [ "$1" = ping ] || [ "$1" = churn ]
}

for ((i = 0; i < rounds; i++)); do
	for row in "${rows[@]}"; do
		[ "$row" != churn ] && wanted "$row" || continue
		! needs_tap "$row" || $can_tap || continue
		[ "$row" != iperf ] || $can_iperf || continue
		"measure_$row"
	done
done

echo "One vhost/virtio port, one core a side. *Median (least to greatest)* of $rounds rounds; what is compared runs in turns. Storage saturates with 8 queues of 64 reads of 64 KiB each."
echo
echo '| work | at least | measured |'
echo '|---|---|---|'
row idle 'storage 4 KiB random read, depth 32: with an idle network personality (tap) to alone' 0.97
row iperf 'iperf3 (TCP, MTU 1500) over the network personality: to the same over taps that `set fwd io` joins with the link' 0.85
row flood 'storage and a flood saturating, weights 3:1 under `prio-drr`: Jain index of weighted shares, windows of 100 ms' 0.98
row probe 'probe with priority (64-byte echo, 1,000/s) while storage saturates: p99 to its own alone' 'at most 5'
row probe_fifo '... p99 under `fifo` to that under `prio-drr`' 10
row ping 'ping while storage saturates: p99 under `fifo` to that under `prio-drr`' 5
row junk_server 'storage 4 KiB random read, half of what the server receives of unknown type: to none' 0.90
row junk_client '... half of what the client receives' 0.90
row twice 'twice the questions an echo can answer: answers to the peak' 0.90
echo "| storage frames dropped in queues under all of the above | 0 | $dropped |"
if wanted churn && $can_tap; then
	rc=0
	run_here env MPNIC_BUILD="$BUILD" "$src/test/system/churn.sh" "${churn[@]}" >"$T/churn.out" 2>&1 || rc=$?
	[ $rc -eq 0 ] || [ $rc -eq 77 ] || die "$(tail -n 3 "$T/churn.out")"
	[ $rc -ne 0 ] || printf '| %s: wrong bytes, lost requests | 0, 0 | 0, 0 (%s) |\n' \
		'a personality started, stopped, unloaded, loaded every second for a minute, beside 10 GiB copied and verified' \
		"$(tail -n 1 "$T/churn.out")"
fi
# The middle one of the rounds.
say_middle() { # FILE FORMAT VALUES
	[ -s "$T/$1" ] || return 0
	echo
	sed -n "$(((rounds + 1) / 2))p" "$T/$1" | awk "{ printf \"$2\\n\", $3 }"
}
say_middle probe_ns 'Probe, p99: alone %.1f µs, beside storage %.1f µs under `prio-drr`, %.1f µs under `fifo`.' \
	'$1 / 1000, $2 / 1000, $3 / 1000'
say_middle ping_us 'Ping, p99: %.0f µs under `fifo`, %.0f µs under `prio-drr`.' '$1, $2'
say_middle iperf_mbps 'iperf3: %.0f Mbit/s over the personality, %.0f over `io`.' '$1, $2'
