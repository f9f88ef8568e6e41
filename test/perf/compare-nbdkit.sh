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
build=
runs=5
seconds=5
check=false
json=false
while [ $# -gt 0 ]; do
	case $1 in
	--build)
		build=${2:?--build: expected a directory}
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
ebd=$(realpath "${build:?--build: expected a build directory}/apps/ebd/ebd")
size=512M

for tool in nbdkit fio taskset; do
	command -v "$tool" >/dev/null || {
		echo "needs $tool"
		exit 77
	}
done
fio --enghelp 2>/dev/null | grep -qw nbd || {
	echo "needs a fio with the nbd engine"
	exit 77
}
# The first two cores we may use: the server has one, the client the other.
read -ra cores <<<"$(taskset -cp $$ | sed -E 's/.*: //; s/,/ /g' | tr ' ' '\n' |
	awk -F- '{ for (i = $1; i <= ($2 == "" ? $1 : $2); i++) printf "%d ", i }')"
[ ${#cores[@]} -ge 2 ] || {
	echo "needs two cores"
	exit 77
}
on_server=(taskset -c "${cores[0]}")
on_client=(taskset -c "${cores[1]}")

T=$(mktemp -d)
pids=()
finish() {
	local pid rc=$?

	trap - EXIT INT TERM
	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$T"
	exit "$rc"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
export RUNTIME_DIRECTORY=$T

start() { # NAME COMMAND...
	local name=$1

	shift
	"$@" >"$T/$name.log" 2>&1 </dev/null &
	pids+=($!)
}

wait_until() { # COMMAND...
	local end=$((SECONDS + 30))

	until "$@" 2>/dev/null; do
		[ "$SECONDS" -lt "$end" ] || {
			echo "compare-nbdkit.sh: waited 30 s for: $*" >&2
			tail -n 5 "$T"/*.log >&2
			exit 1
		}
		read -rt 0.05 <><(:) || true
	done
}

# fio and ebd perf; each gives its IOPS.
fio_run() { # DEPTH SECONDS RW
	"${on_client[@]}" fio --name=x --ioengine=nbd --uri="nbd+unix:///?socket=$T/nbd.sock" --rw="$3" \
		--bs=4k --iodepth="$1" --size=$size --time_based --runtime="$2" --randrepeat=0 --norandommap \
		--output-format=terse --terse-version=3 2>>"$T/fio.log" | tail -n 1 | cut -d';' -f8
}

fio_fill() {
	"${on_client[@]}" fio --name=x --ioengine=nbd --uri="nbd+unix:///?socket=$T/nbd.sock" --rw=write \
		--bs=128k --iodepth=16 --size=$size --refill_buffers >>"$T/fio.log" 2>&1
}

ebd_run() { # DEPTH SECONDS
	"${on_client[@]}" "$ebd" perf --link "virtio:$T/ebd.sock" mem --rw randread --bs 4k --depth "$1" \
		--time "$2s" --warmup 200ms --idle spin --json 2>>"$T/perf.log" |
		sed -nE 's/^ *"iops": ?([0-9]+).*/\1/p' | head -n 1
}

start nbdkit "${on_server[@]}" nbdkit -f -U "$T/nbd.sock" memory $size
head -c $size /dev/urandom >"$T/fill"
start serve "${on_server[@]}" "$ebd" serve --link "vhost:$T/ebd.sock" --volume "mem=mem:$size,file=$T/fill" \
	--idle spin
wait_until test -S "$T/nbd.sock"
wait_until grep -qx ready "$T/serve.log"
rm -f "$T/fill"
serve=${pids[1]}
kill -STOP "$serve"
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
		kill -STOP "$serve"
		fio_run "$1" "$seconds" randread >>"$T/nbd.$1"
		kill -CONT "$serve"
		ebd_run "$1" "$seconds" >>"$T/ebd.$1"
		$json || printf 'depth %-3s run %s  nbdkit+fio %9s IOPS  ebd %9s IOPS\n' "$1" "$run" \
			"$(tail -n 1 "$T/nbd.$1")" "$(tail -n 1 "$T/ebd.$1")"
	done
	[ "$(grep -cE '^[1-9][0-9]*$' "$T/nbd.$1")" -eq "$(wc -l <"$T/nbd.$1")" ] &&
		[ "$(grep -cE '^[1-9][0-9]*$' "$T/ebd.$1")" -eq "$(wc -l <"$T/nbd.$1")" ] || {
		echo "compare-nbdkit.sh: a run gave no number" >&2
		tail -n 5 "$T"/*.log >&2
		exit 1
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

	kill -STOP "$serve"
	from=$(awk '$1 == "cpu" { print $2 + $3 + $4 + $7 + $8 + $9, $2 + $3 + $4 + $5 + $6 + $7 + $8 + $9 }' /proc/stat)
	read -rt 2 <><(:) || true
	to=$(awk '$1 == "cpu" { print $2 + $3 + $4 + $7 + $8 + $9, $2 + $3 + $4 + $5 + $6 + $7 + $8 + $9 }' /proc/stat)
	kill -CONT "$serve"
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
