#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# What clients and back ends that others have written cost on top of what they do by themselves: 4 KiB random
# reads, 32 at a time, of 512 MiB of memory. The two sides of a ratio take turns, on the same two cores, which
# all processes of a side share as the kernel likes. Prints a table in Markdown.
#
#	by NBD		fio -> nbdkit with the plugin -> ebd serve, and fio -> nbdkit's memory plugin
#	an NBD volume	ebd perf -> ebd serve -> nbdkit's memory plugin, and libnbd -> the same
#	an RBD volume	ebd perf -> ebd serve -> a Ceph cluster of one node, and fio's rbd engine -> the same
#	a guest's disk	see compare-vhost.sh; and qemu-img bench inside an emulated machine, compared with nothing
#
# Of the volumes served it tells, too, who took how much time of a core for a read.
#
#	clients_table.sh --build DIR [--quick] [--only plugin|nbd|rbd|vhost|guest]...
set -eu
BUILD='' runs=7 seconds=4 size=512M rbd_size=64M quick=() only=()
while [ $# -gt 0 ]; do
	case $1 in
	--build)
		BUILD=${2:?--build: expected a directory}
		shift
		;;
	--only)
		only+=("${2:?--only: expected plugin, nbd, rbd, vhost or guest}")
		shift
		;;
	--quick) runs=3 seconds=1 size=64M rbd_size=16M quick=(--short) ;;
	*)
		echo "clients_table.sh: '$1': expected --build DIR, --quick or --only NAME" >&2
		exit 2
		;;
	esac
	shift
done
for tool in nbdkit nbdinfo fio; do
	command -v "$tool" >/dev/null || {
		echo "needs $tool"
		exit 77
	}
done
here=$(realpath "$(dirname "$0")")
# shellcheck source=test/perf/lib.sh
. "$here/lib.sh"
BACKEND=$BUILD/test/perf/backend
PLUGIN=$BUILD/apps/nbdkit-ebd/nbdkit-ebd-plugin.so
BACKEND=$(realpath "$BACKEND") PLUGIN=$(realpath "$PLUGIN") BUILD=$(realpath "$BUILD")
# Whoever is started from here on has both cores.
taskset -cp "${CORES[0]},${CORES[1]}" $$ >/dev/null
cd "$T"

wanted() { # NAME
	[ ${#only[@]} -eq 0 ] || [[ " ${only[*]} " == *" $1 "* ]]
}

# ---- Those who measure; each gives IOPS ----

fio_iops() { # fio options
	fio --name=x --thread --rw=randread --bs=4k --iodepth=32 --time_based --runtime="$seconds" --randrepeat=0 \
		--norandommap --output-format=terse --terse-version=3 "$@" 2>>fio.log | tail -n 1 | cut -d';' -f8
}

fio_nbd() { # SOCKET
	fio_iops --ioengine=nbd --uri="nbd+unix:///?socket=$T/$1" --size="$size"
}

fio_rbd() {
	CEPH_CONF=$T/ceph/ceph.conf fio_iops --ioengine=rbd --clientname=admin --pool=p --rbdname=disk \
		--size="$rbd_size"
}

# A server that shares its core with who asks it: nobody spins, and both sleep while others make the answers.
ebd_iops() { # VOLUME
	timeout -k 5 60 "$EBD" perf --link "virtio:$T/ebd.sock" "$1" --rw randread --bs 4k --depth 32 \
		--time "${seconds}s" --warmup 200ms --idle sleep --json >perf.json 2>perf.log || die "ebd perf $1"
	json_get perf.json iops | cut -d. -f1
}

backend_iops() { # KIND NAME [CONNECTIONS]
	timeout -k 5 60 "$BACKEND" "$1" "$2" "$seconds" 32 "${@:3}" 2>>backend.log | sed -n 's/^iops //p'
}

# ---- Who took the cores ----

back_end= # the process of a back end that both sides ask; none: nobody wants to know

# Nanoseconds that a process, or a thread, has run so far, with its threads that have ended.
ran_ns() { # DIRECTORY
	awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); printf "%.0f", ($12 + $13) * 1e9 / hz }' "$1/stat"
}

# Our server does not run then.
theirs_taking() { # COMMAND...
	local active=()

	taking took.theirs "$@"
}

# Run a side, give its IOPS, and add a line of microseconds a read to FILE: who measures, the server's own thread,
# the others of its process, the back end.
taking() { # FILE COMMAND...
	local file=$1 server=${active[0]:-} own=0 all=0 back iops

	shift
	if [ -z "$back_end" ]; then
		"$@"
		return
	fi
	[ -z "$server" ] || own=$(ran_ns "/proc/$server/task/$server") all=$(ran_ns "/proc/$server")
	back=$(ran_ns "/proc/$back_end")
	iops=$("$@" && times >took.times)
	echo "$iops"
	is_number "$iops" || return 1
	if [ -n "$server" ]; then
		own=$(($(ran_ns "/proc/$server/task/$server") - own))
		all=$(($(ran_ns "/proc/$server") - all))
	fi
	back=$(($(ran_ns "/proc/$back_end") - back))
	# Ours has warmed up for a fifth of a second. The second line of times is of the children: 0m1.234s 0m0.567s
	awk -v reads=$((iops * seconds + ${server:+iops / 5} + 0)) -v own="$own" -v all="$all" -v back="$back" 'NR == 2 {
		gsub(/s/, "")
		split($1, u, "m")
		split($2, k, "m")
		client = (u[1] + k[1]) * 60 + u[2] + k[2]
		printf "%.2f %.2f %.2f %.2f\n", client * 1e6 / reads, own / reads / 1e3, (all - own) / reads / 1e3,
			back / reads / 1e3
	}' took.times >>"$file"
}

# A line of medians of what taking() has noted.
tell_shares() { # NAME FILE
	local i line="| $1 |" all=0 one

	for i in 1 2 3 4; do
		one=$(cut -d' ' -f$i "$2" | spread | cut -d' ' -f1)
		line+=" $(printf %.1f "$one") |"
		all=$(awk -v a="$all" -v b="$one" 'BEGIN { print a + b }')
	done
	shares+=("$line $(printf %.1f "$all") |")
}

# ---- The table ----

is_number() {
	[[ $1 =~ ^[1-9][0-9]*$ ]]
}

active=() # processes of our side

# Take turns, print the row.
row() { # NAME COMPARED_WITH WANTED [OURS...] -- [THEIRS...]
	local name=$1 other=$2 wanted=$3 ours=() ratio low high a b

	shift 3
	while [ "$1" != -- ]; do
		ours+=("$1")
		shift
	done
	shift
	: >ours
	: >theirs
	: >ratios
	rm -f took.ours took.theirs
	for _ in $(seq "$runs"); do
		# Who does not measure must not run.
		[ ${#active[@]} -eq 0 ] || kill -STOP "${active[@]}"
		b=$(theirs_taking "$@") || b=
		[ ${#active[@]} -eq 0 ] || kill -CONT "${active[@]}"
		a=$(taking took.ours "${ours[@]}") || a=
		is_number "$a" && is_number "$b" || die "$name: a run gave no number"
		echo "$a" >>ours
		echo "$b" >>theirs
		awk -v a="$a" -v b="$b" 'BEGIN { print a / b }' >>ratios
	done
	read -r ratio low high <<<"$(spread <ratios)"
	print_row "$name" "$other" "$(spread <ours | cut -d' ' -f1)" "$(spread <theirs | cut -d' ' -f1)" \
		"$ratio" "$low" "$high" "$wanted"
	[ -n "$back_end" ] && [ -n "$wanted" ] || return 0
	tell_shares "$name" took.ours
	tell_shares "... $other" took.theirs
}

print_row() { # NAME COMPARED_WITH OURS THEIRS RATIO LOW HIGH WANTED
	awk -v name="$1" -v other="$2" -v a="$3" -v b="$4" -v r="$5" -v low="$6" -v high="$7" -v w="$8" 'BEGIN {
		verdict = w == "" ? "" : (r >= w ? "met" : "**not met**")
		printf "| %s | %s | %.0f | %.0f | %.2f | %.2f .. %.2f | %s | %s |\n", name, other, a, b, r, low, high,
			(w == "" ? "" : "at least " w), verdict
	}'
}

why_not() { # NAME REASON
	echo "| $1 | | | | | | | not measured: $2 |"
}

# ---- The servers ----

kit() { # SOCKET ARGUMENTS
	local socket=$1

	shift
	start "kit-$socket" nbdkit -f -U "$T/$socket" "$@"
	wait_until nbdinfo --size "nbd+unix:///?socket=$T/$socket" >/dev/null
}

serve() { # NAME=SPEC
	start serve "$EBD" serve --link "vhost:$T/ebd.sock" --volume "$1"
	active=("$LAST_PID")
	wait_until grep -qx ready serve.log
}

end_ours() {
	kill "${active[@]}"
	wait "${active[@]}" 2>/dev/null || true
	active=()
}

fill() { # fio options
	fio --name=x --rw=write --bs=128k --iodepth=16 --refill_buffers "$@" >>fio.log 2>&1 || die "cannot fill: $*"
}

memory_kit() {
	kit mem.sock memory "$size"
	memory=$LAST_PID
	fill --ioengine=nbd --uri="nbd+unix:///?socket=$T/mem.sock" --size="$size"
}

# What a process tells about the payload of its NIC.
payload() { # PID KEY
	"$BUILD/test/system/telemetry_ask" "$T/dpdk/mpnic-$1/dpdk_telemetry.v2" /mpnic/payload |
		grep -oE "\"$2\":[0-9]+" | head -n 1 | cut -d: -f2
}

measure_plugin() {
	head -c "$size" /dev/urandom >fill
	serve "mem=mem:$size,file=$T/fill"
	kit ebd.nbd "$PLUGIN" link="virtio:$T/ebd.sock" volume=mem
	local plugin=$LAST_PID copied bounced wire

	active+=("$plugin")

	row "fio by NBD, through nbdkit with the plugin" "nbdkit's memory plugin" 0.5 fio_nbd ebd.nbd -- \
		fio_nbd mem.sock
	copied=$(payload "$plugin" copied) bounced=$(payload "$plugin" bounced) wire=$(payload "$plugin" wire)
	notes+=("For each byte of payload the plugin moved $(
		awk -v a="$((copied + bounced))" -v b="$wire" 'BEGIN { printf "%.3f", a / b }'
	) bytes: once, from its frame into nbdkit's buffer, as the memory plugin moves it there.")
	end_ours
}

measure_nbd() {
	local uri="nbd+unix:///?socket=$T/mem.sock" connections

	back_end=$memory
	for connections in 1 4; do
		serve "nbd=nbd:$uri,connections=$connections"
		row "a volume nbd:, $connections connection(s), served" "libnbd" 0.8 ebd_iops nbd -- \
			backend_iops libnbd "$uri" "$connections"
		end_ours
		row "the same back end without a server" "libnbd" "" \
			backend_iops volume "nbd:$uri,connections=$connections" -- \
			backend_iops libnbd "$uri" "$connections"
	done
	back_end=
}

# What ceph_lib.sh has of the system tests' lib.sh, whose failure is ours.
need() {
	command -v "$1" >/dev/null
}
fail() {
	die "$@"
}
wait_for() { # SECONDS COMMAND...
	wait_until "${@:2}"
}

measure_rbd() {
	local name="a volume rbd:, served" tool

	for tool in ceph-mon ceph-osd ceph rbd monmaptool; do
		PATH=$PATH:/usr/sbin need "$tool" || {
			why_not "$name" "needs $tool"
			return
		}
	done
	fio --enghelp 2>/dev/null | grep -qw rbd && "$EBD" serve --volume help | grep -q '^ *rbd:' || {
		why_not "$name" "needs a fio with rbd, and librbd"
		return
	}
	# shellcheck source=test/system/ceph_lib.sh
	. "$here/../system/ceph_lib.sh"
	ceph_up p
	back_end=$LAST_PID
	in_ceph rbd create --size "$rbd_size" p/disk || die "no image"
	CEPH_CONF=$CEPH_CONF fill --ioengine=rbd --clientname=admin --pool=p --rbdname=disk --size="$rbd_size"
	serve "rbd=rbd:p/disk,conf=$CEPH_CONF"
	row "$name" "fio's rbd engine" 0.8 ebd_iops rbd -- fio_rbd
	end_ours
	row "the same back end without a server" "fio's rbd engine" "" \
		backend_iops volume "rbd:p/disk,conf=$CEPH_CONF" -- fio_rbd
	back_end=
}

measure_vhost() {
	local ours theirs ratio low high

	"$here/compare-vhost.sh" --build "$BUILD" "${quick[@]}" >vhost.out || die "compare-vhost.sh"
	read -r ratio low high ours theirs <<<"$(sed -nE \
		's/^ratio at depth 32: ([0-9.]+) \(([0-9.]+) .. ([0-9.]+)\), medians ([0-9]+) and ([0-9]+) IOPS$/\1 \2 \3 \4 \5/p' \
		vhost.out)"
	print_row "a frontend of vhost-user-blk, through vhost-ebd" "ebd perf" "$ours" "$theirs" "$ratio" "$low" \
		"$high" 0.6
}

# Inside a machine that is emulated: what the emulation leaves. Its host is one of the system tests.
measure_guest() {
	local rc=0 depth iops

	MPNIC_BUILD=$BUILD timeout -k 5 120 "$here/../system/vhost_linux.sh" bench >guest.out 2>&1 || rc=$?
	if [ $rc -eq 77 ]; then
		why_not "a disk inside an emulated machine" "$(tail -n 1 guest.out)"
		return
	fi
	[ $rc -eq 0 ] || die "the guest: $(tail -n 1 guest.out)"
	sed -nE 's/^qemu-img in the guest: ([0-9]+) ([0-9]+)$/\1 \2/p' guest.out >reads
	while read -r depth iops; do
		echo "| qemu-img bench inside an emulated machine, $depth at a time, by vhost-ebd | | $iops | | | | | |"
	done <reads
	notes+=("Inside the machine the emulation of its processor is what is measured; the row above leaves it out.")
}

notes=() shares=()
memory=
echo "4 KiB random reads, 32 at a time. IOPS are medians of $runs runs of $seconds s each, the sides in turns; all"
echo "processes of a side share the two cores."
echo
echo "| | compared with | IOPS | IOPS of that | ratio | least .. greatest | wanted | |"
echo "|---|---|---:|---:|---:|---|---|---|"
! wanted plugin && ! wanted nbd || memory_kit
! wanted plugin || measure_plugin
! wanted nbd || measure_nbd
if [ -n "$memory" ]; then
	kill "$memory"
	wait "$memory" 2>/dev/null || true
fi
! wanted rbd || measure_rbd
! wanted vhost || measure_vhost
! wanted guest || measure_guest
if [ ${#shares[@]} -gt 0 ]; then
	echo
	echo "Microseconds of a core for each read; librbd has threads of its own, in whatever process uses it:"
	echo
	echo "| | client | server: its thread | its back end's threads | NBD server or OSD | all |"
	echo "|---|---:|---:|---:|---:|---:|"
	printf '%s\n' "${shares[@]}"
fi
if [ ${#notes[@]} -gt 0 ]; then
	echo
	printf '%s\n' "${notes[@]}"
fi
