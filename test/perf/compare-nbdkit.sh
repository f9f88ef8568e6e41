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
#	--check	exit status 1 when the ratio at depth 32 is below 4
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

declare -A ratio
for depth in 1 32; do
	rm -f "$T/nbd" "$T/ebd"
	for run in $(seq "$runs"); do
		# Whoever does not measure must not run: a spinning server would take the other one's core.
		kill -STOP "$serve"
		fio_run "$depth" "$seconds" randread >>"$T/nbd"
		kill -CONT "$serve"
		ebd_run "$depth" "$seconds" >>"$T/ebd"
		$json || printf 'depth %-3s run %s  nbdkit+fio %9s IOPS  ebd %9s IOPS\n' "$depth" "$run" \
			"$(tail -n 1 "$T/nbd")" "$(tail -n 1 "$T/ebd")"
	done
	[ "$(grep -cE '^[1-9][0-9]*$' "$T/nbd")" -eq "$runs" ] && [ "$(grep -cE '^[1-9][0-9]*$' "$T/ebd")" -eq "$runs" ] || {
		echo "compare-nbdkit.sh: a run gave no number" >&2
		tail -n 5 "$T"/*.log >&2
		exit 1
	}
	cp "$T/nbd" "$T/nbd.$depth"
	cp "$T/ebd" "$T/ebd.$depth"
	ratio[$depth]=$(awk -v n="$(median "$T/nbd")" -v e="$(median "$T/ebd")" \
		-v nmin="$(sorted "$T/nbd" | head -n 1)" -v nmax="$(sorted "$T/nbd" | tail -n 1)" \
		-v emin="$(sorted "$T/ebd" | head -n 1)" -v emax="$(sorted "$T/ebd" | tail -n 1)" \
		'BEGIN { printf "%.2f %.2f %.2f %d %d", e / n, emin / nmax, emax / nmin, n, e }')
done

list() { # FILE
	paste -sd, "$1"
}

if $json; then
	printf '{"block_size": 4096, "seconds": %s, "depths": [' "$seconds"
	sep=
	for depth in 1 32; do
		read -r r low high n e <<<"${ratio[$depth]}"
		printf '%s\n  {"depth": %s, "nbdkit_iops": [%s], "ebd_iops": [%s], "nbdkit_median": %s, "ebd_median": %s, "ratio": %s, "ratio_low": %s, "ratio_high": %s}' \
			"$sep" "$depth" "$(list "$T/nbd.$depth")" "$(list "$T/ebd.$depth")" "$n" "$e" "$r" "$low" "$high"
		sep=,
	done
	printf '\n]}\n'
else
	for depth in 1 32; do
		read -r r low high n e <<<"${ratio[$depth]}"
		printf 'ratio at depth %-2s: %s (%s .. %s), medians %s and %s IOPS\n' "$depth" "$r" "$low" "$high" "$n" "$e"
	done
fi
if $check; then
	read -r r low high n e <<<"${ratio[32]}"
	awk -v r="$r" 'BEGIN { exit !(r >= 4) }' || {
		echo "compare-nbdkit.sh: the ratio at depth 32 is $r (at best $high): expected at least 4" >&2
		exit 1
	}
fi
