# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
# shellcheck shell=bash disable=SC2034
#
# What the system tests share. A test is a script that sources this file, works in a directory of its
# own, $T, and ends with 0 (passed), 77 (skipped; the last line says why) or anything else (failed).
# Whatever happens, nothing of it stays: processes, namespaces, interfaces, mounts, files.

set -u
BUILD=$(realpath "${MPNIC_BUILD:?run it by test/system/run.sh}")
EBD=$BUILD/apps/ebd/ebd
MPNIC=$BUILD/apps/mpnic/mpnic
NBD_PLUGIN=$BUILD/apps/nbdkit-ebd/nbdkit-ebd-plugin.so
FIO_ENGINE=$BUILD/apps/fio-ebd/fio-ebd.so
SRC=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
PATH=$PATH:/usr/sbin:/sbin

# A short path: the name of a UNIX socket has room for 107 bytes.
T=$(mktemp -d /tmp/mpnic.XXXXXX)
cd "$T" || exit 1
# What DPDK leaves in its runtime directory would be seen here.
export RUNTIME_DIRECTORY=$T/run
mkdir "$RUNTIME_DIRECTORY"

declare -A PIDS=() # by name: processes that were started and not waited for
NETNS=()
MOUNTS=()
LOOPS=()
RC=0

clean_up() {
	local rc=$? name

	trap - EXIT INT TERM
	# A mount goes before the program that serves it.
	for name in "${MOUNTS[@]}"; do
		umount "$name" 2>/dev/null
	done
	for name in "${LOOPS[@]}"; do
		losetup -d "$name" 2>/dev/null
	done
	for name in "${!PIDS[@]}"; do
		kill -KILL "${PIDS[$name]}" 2>/dev/null
		wait "${PIDS[$name]}" 2>/dev/null
	done
	if [ "$rc" -ne 0 ] && [ "$rc" -ne 77 ]; then
		tail -n 15 ./*.out ./*.err 2>/dev/null
	fi
	for name in "${NETNS[@]}"; do
		ip netns del "$name" 2>/dev/null
	done
	for name in "${MOUNTS[@]}"; do
		umount "$name" 2>/dev/null
	done
	cd /
	rm -rf "$T"
	[ -z "${WHY:-}" ] || echo "$WHY"
	exit "$rc"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The reason is said last, after what the programs said.
fail() {
	WHY="FAILED in line ${BASH_LINENO[0]} of ${BASH_SOURCE[1]##*/}: $*"
	exit 1
}

skip() {
	WHY=$*
	exit 77
}

need_root() {
	[ "$(id -u)" -eq 0 ] || skip "needs root: $*"
}

need() {
	command -v "$1" >/dev/null || skip "needs $1"
}

# ---- Conditions ----

# Wait until a command succeeds, at most so many seconds. The one place that sleeps.
wait_for() { # SECONDS COMMAND...
	local end=$((SECONDS + $1))

	shift
	until "$@" 2>/dev/null; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.02
	done
}

is_gone() { # PID
	! kill -0 "$1" 2>/dev/null || [ "$(ps -o stat= -p "$1" | cut -c1)" = Z ]
}

# ---- Processes ----

# Start a command in the background; its output goes to NAME.out and NAME.err.
start() { # NAME COMMAND...
	local name=$1

	shift
	# Now: the process empties them when it gets to it, and until then they are those of the one before.
	: >"$name.out" 2>"$name.err"
	"$@" >"$name.out" 2>"$name.err" </dev/null &
	PIDS[$name]=$!
}

# Wait for a process and leave its exit status in RC.
reap() { # NAME SECONDS
	local pid=${PIDS[$1]}

	wait_for "$2" is_gone "$pid" ||
		fail "$1 did not end within $2 s: $(ps -L -o stat=,wchan:32=,comm= -p "$pid" | sort | uniq -c)"
	RC=0
	wait "$pid" || RC=$?
	unset "PIDS[$1]"
}

send() { # NAME SIGNAL
	# A process under taskset, ip or setpriv is the same process: they exec.
	kill "-$2" "${PIDS[$1]}" || fail "$1 is not there any more"
}

# End a server the clean way and expect that it was one.
stop_server() { # NAME [SIGNAL]
	send "$1" "${2:-TERM}"
	reap "$1" 20
	[ "$RC" -eq 0 ] || fail "$1 ended with status $RC"
}

# Start ebd serve and wait until clients can come.
serve() { # NAME LINK VOLUME... [-- more arguments]
	local name=$1 link=$2 args=()

	shift 2
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		args+=(--volume "$1")
		shift
	done
	[ $# -eq 0 ] || shift
	[ ${#BEFORE_SERVER[@]} -eq 0 ] || "${BEFORE_SERVER[@]}" &
	start "$name" "${SERVER_CMD[@]}" "$EBD" serve --link "$link" "${args[@]}" "$@"
	wait_for 30 is_ready "$name" || fail "$name did not get ready"
	is_gone "${PIDS[$name]}" && fail "$name ended at once"
	return 0
}

is_ready() {
	grep -qx ready "$1.out" || is_gone "${PIDS[$1]}"
}

BEFORE_SERVER=() # what has to happen while the server or the client starts
BEFORE_CLIENT=()
SERVER_CMD=() # what stands in front of the server's and the client's command line
CLIENT_CMD=()

# Run the client in the foreground, at most so long; its exit status is in RC.
client() { # SECONDS COMMAND [arguments]
	local limit=$1

	shift
	RC=0
	[ ${#BEFORE_CLIENT[@]} -eq 0 ] || "${BEFORE_CLIENT[@]}" &
	timeout -k 5 "$limit" "${CLIENT_CMD[@]}" "$EBD" "$@" >client.out 2>client.err </dev/null ||
		RC=$?
	[ "$RC" -ne 124 ] && [ "$RC" -ne 137 ] || fail "ebd $* did not end within $limit s"
}

expect_ok() {
	client "$@"
	[ "$RC" -eq 0 ] || fail "ebd ${*:2} ended with status $RC"
}

# A number that SIGUSR1 makes the server print.
counter() { # NAME KEY
	local before

	before=$(grep -c '^buffers_max' "$1.out")
	send "$1" USR1
	wait_for 5 has_more_answers "$1" "$before" || return 1
	awk -v key="$2" '$1 == key && $2 ~ /^[0-9]+$/ { value = $2 } END { print value }' "$1.out"
}

has_more_answers() {
	[ "$(grep -c '^buffers_max' "$1.out")" -gt "$2" ]
}

counter_is() { # NAME KEY VALUE
	[ "$(counter "$1" "$2")" = "$3" ]
}

counter_above() { # NAME KEY VALUE
	[ "$(counter "$1" "$2")" -gt "$3" ]
}

# One field of the JSON a client printed.
json() { # KEY
	sed -nE "s/.*\"$1\": ?\"?([^,\"}]*).*/\\1/p" client.out | head -n 1
}

# Part of one core, in percent, that a process used while so many seconds went by.
cpu_percent() { # NAME SECONDS
	local pid=${PIDS[$1]} from to hz

	hz=$(getconf CLK_TCK)
	from=$(awk '{ print $14 + $15 }' "/proc/$pid/stat")
	sleep "$2"
	to=$(awk '{ print $14 + $15 }' "/proc/$pid/stat")
	echo $(((to - from) * 100 / hz / $2))
}

# ---- Images ----

# Random data with holes in it, of so many KiB; the last quarter is a hole.
make_image() { # FILE KIB
	local i step=$(($2 / 16))

	truncate -s "$2K" "$1"
	for i in 0 1 3 5 6 7 10 11; do
		dd if=/dev/urandom of="$1" bs=1K seek=$((i * step)) count=$((step - i)) conv=notrunc \
			status=none
	done
}

same() { # FILE FILE
	cmp "$1" "$2" || fail "$1 and $2 differ"
}

# The storage personality has received frames, and lost none on their way: FILE is the answer to show flow NIC json.
expect_storage_kept() { # FILE
	awk '
		/"personality"/ { who = $2 }
		/"(rx_full|tx_full|rx_no_frames|rx_stopped|tx_stopped|rx_frames)"/ { gsub(/[":,]/, ""); n[who, $1] = $2 }
		END {
			s = "\"storage\","
			if (n[s, "rx_full"] + n[s, "rx_no_frames"] + n[s, "rx_stopped"] + n[s, "tx_stopped"] > 0) {
				print "frames of storage were dropped"
				exit 1
			}
			if (n[s, "rx_frames"] == 0) { print "storage received nothing"; exit 1 }
		}' "$1" || fail "$(cat "$1")"
}

# ---- Links ----

netns_add() {
	ip netns add "$1" || skip "no network namespaces here"
	NETNS+=("$1")
	nsenter --net="/run/netns/$1" true || skip "no way into network namespaces here"
	ip -n "$1" link set lo up
}

# Bring a tap into the bridge once its program has made it.
join_bridge() { # NETNS TAP
	wait_for 20 ip -n "$1" link show "$2" >"$2.log" 2>&1 || return 1
	ip -n "$1" link set "$2" master br0 mtu "$MTU" up
}

# Set up what a kind of link needs; gives SERVER_LINK, CLIENT_LINK, SERVER_CMD, CLIENT_CMD, MTU_ARGS.
link_up() { # KIND MTU
	local ns=mpn$$

	MTU=$2
	MTU_ARGS=(--mtu "$MTU")
	case $1 in
	vhost)
		SERVER_LINK=vhost:$T/l.sock CLIENT_LINK=virtio:$T/l.sock
		;;
	memif)
		SERVER_LINK=memif:$T/l.sock CLIENT_LINK=memif:$T/l.sock
		;;
	tap)
		need_root "tap interfaces and a bridge"
		[ -c /dev/net/tun ] || skip "no /dev/net/tun"
		netns_add "$ns"
		ip -n "$ns" link add br0 type bridge || skip "the kernel has no bridge"
		ip -n "$ns" link set br0 mtu "$MTU" up
		SERVER_LINK=tap:ebds CLIENT_LINK=tap:ebdc
		SERVER_CMD=(nsenter --net="/run/netns/$ns") CLIENT_CMD=(nsenter --net="/run/netns/$ns")
		# Each program makes its tap anew: it must be put on the bridge each time.
		BEFORE_SERVER=(join_bridge "$ns" ebds) BEFORE_CLIENT=(join_bridge "$ns" ebdc)
		;;
	af_packet)
		need_root "network namespaces"
		netns_add "${ns}s"
		netns_add "${ns}c"
		ip link add ebds netns "${ns}s" mtu "$MTU" type veth \
			peer name ebdc netns "${ns}c" mtu "$MTU" || skip "the kernel has no veth"
		ip -n "${ns}s" link set ebds up
		ip -n "${ns}c" link set ebdc up
		SERVER_LINK=af_packet:ebds CLIENT_LINK=af_packet:ebdc
		SERVER_CMD=(nsenter --net="/run/netns/${ns}s") CLIENT_CMD=(nsenter --net="/run/netns/${ns}c")
		;;
	switched) # as af_packet, with a bridge in between: what its ports carry can be captured
		need_root "network namespaces"
		netns_add "${ns}s"
		netns_add "${ns}c"
		netns_add "${ns}b"
		ip -n "${ns}b" link add br0 type bridge || skip "the kernel has no bridge"
		ip -n "${ns}b" link set br0 mtu "$MTU" up
		for end in s c; do
			ip link add "ebd$end" netns "$ns$end" mtu "$MTU" type veth \
				peer name "port$end" netns "${ns}b" mtu "$MTU" || skip "the kernel has no veth"
			ip -n "$ns$end" link set "ebd$end" up
			ip -n "${ns}b" link set "port$end" master br0 up
		done
		SERVER_LINK=af_packet:ebds CLIENT_LINK=af_packet:ebdc
		SERVER_CMD=(nsenter --net="/run/netns/${ns}s") CLIENT_CMD=(nsenter --net="/run/netns/${ns}c")
		SWITCH_CMD=(nsenter --net="/run/netns/${ns}b")
		;;
	*)
		fail "'$1': expected vhost, memif, tap, af_packet or switched"
		;;
	esac
}

# ---- NBD ----

# Start nbdkit with the plugin and wait until clients can come; its URI is in URI.
nbd_serve() { # NAME [nbdkit options] -- PARAMETER...
	local name=$1 options=()

	shift
	[ -e "$NBD_PLUGIN" ] || skip "the nbdkit plugin was not built"
	need nbdkit
	need nbdinfo
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	URI="nbd+unix:///?socket=$T/$name.sock"
	start "$name" nbdkit -f -U "$T/$name.sock" "${options[@]}" "$NBD_PLUGIN" link="$CLIENT_LINK" "$@"
	wait_for 30 nbd_is_ready "$name"
	! is_gone "${PIDS[$name]}" || fail "nbdkit ended at once"
}

# It listens before it has opened the volume.
nbd_is_ready() {
	is_gone "${PIDS[$1]}" || timeout 10 nbdinfo --size "$URI"
}

# nbdkit ends clean, and leaves its socket behind.
nbd_stop() { # NAME
	stop_server "$1"
	rm -f "$T/$1.sock"
}

# Run a program, at most so long; what it printed is in run.out.
run() { # SECONDS COMMAND...
	local limit=$1

	shift
	timeout -k 5 "$limit" "$@" >run.out 2>run.err </dev/null ||
		fail "$* ended with status $?"
}

# ---- The end ----

# Nothing may be left of programs that have ended.
expect_nothing_left() {
	local left

	left=$(find "$T" -type s) && [ -z "$left" ] || fail "sockets are left: $left"
	left=$(find "$RUNTIME_DIRECTORY" -mindepth 2) && [ -z "$left" ] || fail "files are left: $left"
}
