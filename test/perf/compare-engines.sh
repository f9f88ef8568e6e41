#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# fio with four engines doing the same work, by the job file engines.fio: a line for each, and the ratio of
# ebd to nbd.
#
#	compare-engines.sh --build DIR [--rw randread] [--bs 4k] [--depth 32] [--seconds 5] [--disk FILE]
#
# The build needs -Dfio_source. Without --disk the file is a temporary one of 512 MiB where TMPDIR is.
set -eu
BUILD=
RW=randread
BS=4k
DEPTH=32
SECONDS_EACH=5
DISK=
while [ $# -gt 0 ]; do
	value=${2:?$1: expected a value}
	case $1 in
	--build) BUILD=$value ;;
	--rw) RW=$value ;;
	--bs) BS=$value ;;
	--depth) DEPTH=$value ;;
	--seconds) SECONDS_EACH=$value ;;
	--disk) DISK=$value ;;
	*)
		echo "compare-engines.sh: '$1': expected --build, --rw, --bs, --depth, --seconds or --disk" >&2
		exit 2
		;;
	esac
	shift 2
done
: "${BUILD:?--build: expected a build directory}"
ENGINE=$(realpath "$BUILD/apps/fio-ebd/fio-ebd.so")
here=$(realpath "$(dirname "$0")")
for tool in nbdkit fio; do
	command -v "$tool" >/dev/null || {
		echo "needs $tool"
		exit 77
	}
done
[ -e "$ENGINE" ] || {
	echo "needs the fio engine: -Dfio_source"
	exit 77
}

# shellcheck source=test/perf/lib.sh
. "$here/lib.sh"

if [ -z "$DISK" ]; then
	DISK=$T/disk
	# Blocks that were never written would be read without the disk.
	head -c 512M /dev/urandom >"$DISK"
	sync "$DISK"
fi
LINK=virtio:$T/ebd.sock
URI="nbd+unix:///?socket=$T/nbd.sock"
export ENGINE LINK URI DISK RW BS DEPTH SECONDS_EACH
start_ebd_server 512M
start nbdkit "${ON_SERVER[@]}" nbdkit -f -U "$T/nbd.sock" memory 512M
wait_until test -S "$T/nbd.sock"

# Memory that was never written is a special case. A server that spins stands still while others are
# measured: each engine has a run of its own.
run() { # SECTION [fio options]
	"${ON_CLIENT[@]}" fio --section="$1" --output-format=terse --terse-version=3 "${@:2}" \
		"$here/engines.fio" 2>>"$T/fio.log" | grep '^3;' || {
		tail -n 5 "$T/fio.log" >&2
		return 1
	}
}
kill -STOP "$SERVER"
RW=write BS=1M DEPTH=4 run nbd --time_based=0 --ramp_time=0 >/dev/null
kill -CONT "$SERVER"
printf '%-9s %10s %12s %12s\n' engine IOPS "KiB/s" "mean us"
for engine in ebd nbd libaio io_uring; do
	[ "$engine" = ebd ] || kill -STOP "$SERVER"
	run "$engine" | awk -F';' -v name="$engine" '
		{ printf "%-9s %10d %12d %12.1f\n", name, $8 + $49, $7 + $48, ($8 > 0 ? $40 : $81) }' |
		tee -a "$T/table"
	kill -CONT "$SERVER"
done
awk '{ iops[$1] = $2 } END { printf "ratio of ebd to nbd: %.2f\n", iops["ebd"] / iops["nbd"] }' "$T/table"
