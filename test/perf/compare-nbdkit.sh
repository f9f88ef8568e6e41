#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# 4 KiB random reads from memory, two ways, on the same two cores, in turns:
#
#   nbdkit's memory plugin (filled first)  <- UNIX socket ->  fio's nbd engine
#   ebd serve, a mem volume (filled first) <- vhost/virtio ->  ebd perf
#
# Prints every run, the medians, and their ratio with its spread (the worst run of one against the best
# of the other, and the other way round).
#
#	compare-nbdkit.sh --build DIR [--short] [--check] [--json]
#
#	--short	3 runs of 1 s each, not 5 of 5 s
#	--check	exit status 1 when the best run of ebd at depth 32 is not 4 times as fast as the best one of
#		nbdkit: what else goes on in the machine makes runs slower, never faster, and pollers
#		more than others. It gets up to three times as many runs to show it; on a machine that
#		is busy with other things a bad ratio says nothing: exit status 77.
set -eu
BUILD=
runs=5
seconds=5
check=false
json=false
while [ $# -gt 0 ]; do
	case $1 in
	--build)
		BUILD=${2:?--build: expected a directory}
		shift
		;;
	--short) runs=3 seconds=1 ;;
	--check) check=true ;;
	--json) json=true ;;
	*)
		echo "compare-nbdkit.sh: '$1': expected --build DIR, --short, --check or --json" >&2
		exit 2
		;;
	esac
	shift
done
for tool in nbdkit fio; do
	command -v "$tool" >/dev/null || {
		echo "needs $tool"
		exit 77
	}
done
fio --enghelp 2>/dev/null | grep -qw nbd || {
	echo "needs a fio with the nbd engine"
	exit 77
}
# shellcheck source=test/perf/lib.sh
. "$(dirname "$0")/lib.sh"
size=512M

# fio and ebd perf; each gives its IOPS.
fio_run() { # DEPTH SECONDS RW
	"${ON_CLIENT[@]}" fio --name=x --ioengine=nbd --uri="nbd+unix:///?socket=$T/nbd.sock" --rw="$3" \
		--bs=4k --iodepth="$1" --size=$size --time_based --runtime="$2" --randrepeat=0 --norandommap \
		--output-format=terse --terse-version=3 2>>"$T/fio.log" | tail -n 1 | cut -d';' -f8
}

fio_fill() {
	"${ON_CLIENT[@]}" fio --name=x --ioengine=nbd --uri="nbd+unix:///?socket=$T/nbd.sock" --rw=write \
		--bs=128k --iodepth=16 --size=$size --refill_buffers >>"$T/fio.log" 2>&1
}

ebd_run() { # DEPTH SECONDS
	ebd_perf --rw randread --bs 4k --depth "$1" --time "$2s" --warmup 200ms
	json_get "$T/perf.json" iops | cut -d. -f1
}

start_ebd_server $size
start nbdkit "${ON_SERVER[@]}" nbdkit -f -U "$T/nbd.sock" memory $size
wait_until test -S "$T/nbd.sock"
kill -STOP "$SERVER"
fio_fill

sorted() { # FILE
	sort -n "$1"
}

median() { # FILE
	sorted "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

measure() { # DEPTH RUNS
	local run

	for run in $(seq "$2"); do
		# Whoever does not measure must not run: a spinning server would take the other one's core.
		kill -STOP "$SERVER"
		fio_run "$1" "$seconds" randread >>"$T/nbd.$1"
		kill -CONT "$SERVER"
		ebd_run "$1" "$seconds" >>"$T/ebd.$1"
		$json || printf 'depth %-3s run %s  nbdkit+fio %9s IOPS  ebd %9s IOPS\n' "$1" "$run" \
			"$(tail -n 1 "$T/nbd.$1")" "$(tail -n 1 "$T/ebd.$1")"
	done
	[ "$(grep -cE '^[1-9][0-9]*$' "$T/nbd.$1")" -eq "$(wc -l <"$T/nbd.$1")" ] &&
		[ "$(grep -cE '^[1-9][0-9]*$' "$T/ebd.$1")" -eq "$(wc -l <"$T/nbd.$1")" ] || {
		die "a run gave no number"
	}
}

# Ratio of the medians, of worst to best, best to worst, best to best; the medians.
ratios() { # DEPTH
	local n=$T/nbd.$1 e=$T/ebd.$1

	awk -v n="$(median "$n")" -v e="$(median "$e")" \
		-v nmin="$(sorted "$n" | head -n 1)" -v nmax="$(sorted "$n" | tail -n 1)" \
		-v emin="$(sorted "$e" | head -n 1)" -v emax="$(sorted "$e" | tail -n 1)" \
		'BEGIN { printf "%.2f %.2f %.2f %.2f %d %d", e / n, emin / nmax, emax / nmin, emax / nmax, n, e }'
}

is_good() {
	awk -v best="$(ratios 32 | cut -d' ' -f4)" 'BEGIN { exit !(best >= 4) }'
}

measure 1 "$runs"
measure 32 "$runs"
for _ in 1 2; do
	! $check || is_good || measure 32 "$runs"
done

list() { # FILE
	paste -sd, "$1"
}

if $json; then
	printf '{"block_size": 4096, "seconds": %s, "depths": [' "$seconds"
	sep=
	for depth in 1 32; do
		read -r r low high best n e <<<"$(ratios "$depth")"
		printf '%s\n  {"depth": %s, "nbdkit_iops": [%s], "ebd_iops": [%s], ' "$sep" "$depth" \
			"$(list "$T/nbd.$depth")" "$(list "$T/ebd.$depth")"
		printf '"nbdkit_median": %s, "ebd_median": %s, "ratio": %s, "ratio_low": %s, ' "$n" "$e" "$r" "$low"
		printf '"ratio_high": %s, "ratio_best": %s}' "$high" "$best"
		sep=,
	done
	printf '\n]}\n'
else
	for depth in 1 32; do
		read -r r low high best n e <<<"$(ratios "$depth")"
		printf 'ratio at depth %-2s: %s (%s .. %s; best to best %s), medians %s and %s IOPS\n' "$depth" \
			"$r" "$low" "$high" "$best" "$n" "$e"
	done
fi
# Percent of the two cores that others use while ours do nothing.
others() {
	local from to

	kill -STOP "$SERVER"
	from=$(awk '$1 == "cpu" { print $2 + $3 + $4 + $7 + $8 + $9, $2 + $3 + $4 + $5 + $6 + $7 + $8 + $9 }' /proc/stat)
	read -rt 2 <><(:) || true
	to=$(awk '$1 == "cpu" { print $2 + $3 + $4 + $7 + $8 + $9, $2 + $3 + $4 + $5 + $6 + $7 + $8 + $9 }' /proc/stat)
	kill -CONT "$SERVER"
	awk -v a="$from" -v b="$to" 'BEGIN { split(a, f); split(b, t); printf "%d", 100 * (t[1] - f[1]) / (t[2] - f[2]) }'
}

if $check && ! is_good; then
	busy=$(others)
	if [ "$busy" -ge 10 ]; then
		echo "others use $busy % of the cores: a comparison says nothing now"
		exit 77
	fi
	echo "compare-nbdkit.sh: best to best at depth 32 is below 4: expected at least 4" >&2
	exit 1
fi
