# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
# shellcheck shell=bash disable=SC2034
#
# What the measurements share: two cores, processes that end with the script, medians. Sourced after
# BUILD is set; works in a directory of its own, $T.

EBD=$(realpath "${BUILD:?}/apps/ebd/ebd")
T=$(mktemp -d "${TMPDIR:-/tmp}/mpnperf.XXXXXX")
export RUNTIME_DIRECTORY=$T
pids=()

# What is started ends with the shell that started it, even when that one is killed: a server spins for ever.
BOUND=(setpriv --pdeathsig KILL)
command -v setpriv >/dev/null || BOUND=()

finish() { # [STATUS]
	local pid rc=${1:-$?}

	# Once begun it is finished, who ever asks again.
	trap - EXIT
	trap '' INT TERM
	for pid in "${pids[@]}"; do
		kill -CONT "$pid" 2>/dev/null || true
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$T"
	exit "$rc"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

die() {
	echo "${0##*/}: $*" >&2
	tail -n 5 "$T"/*.log >&2 2>/dev/null || true
	exit 1
}

# The first two cores we may use: the server has one, the client the other.
read -ra CORES <<<"$(taskset -cp $$ | sed -E 's/.*: //; s/,/ /g' | tr ' ' '\n' |
	awk -F- '{ for (i = $1; i <= ($2 == "" ? $1 : $2); i++) printf "%d ", i }')"
# What does not time anything can do with one: SHARED_CORE=true.
[ ${#CORES[@]} -ge 2 ] || ! ${SHARED_CORE:-false} || CORES+=("${CORES[0]}")
[ ${#CORES[@]} -ge 2 ] || {
	echo "needs two cores"
	exit 77
}
ON_SERVER=(taskset -c "${CORES[0]}")
ON_CLIENT=(taskset -c "${CORES[1]}")

LAST_PID=
start() { # NAME COMMAND...
	local name=$1

	shift
	"${BOUND[@]}" "$@" >"$T/$name.log" 2>&1 </dev/null &
	LAST_PID=$!
	pids+=("$LAST_PID")
}

# Run it here, and hear signals meanwhile: bash looks at them when what it runs has ended.
run_here() { # COMMAND...
	"${BOUND[@]}" "$@" &
	pids+=("$!")
	wait "$!"
}

wait_until() { # COMMAND...
	local end=$((SECONDS + 60))

	until "$@" 2>/dev/null; do
		[ "$SECONDS" -lt "$end" ] || die "waited 60 s for: $*"
		read -rt 0.05 <><(:) || true
	done
}

# The middle of the numbers on the input, the least and the greatest.
spread() {
	sort -g | awk '{ v[NR] = $1 } END {
		m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
		printf "%.6g %.6g %.6g\n", m, v[1], v[NR]
	}'
}

# A number of a JSON file by the names that lead to it: json_get FILE iops_ratio median
json_get() { # FILE KEY...
	local file=$1

	shift
	awk -v path="$*" '
		BEGIN { want = split(path, keys, " ") }
		{
			line = $0
			sub(/^ +/, "", line)
			if (line ~ /^"[^"]*": [{[]/) {
				split(line, part, "\"")
				stack[++depth] = part[2]
			} else if (line ~ /^[}\]]/) {
				depth--
			} else if (line ~ /^"/) {
				split(line, part, "\"")
				if (depth != want - 1 || part[2] != keys[want]) next
				for (i = 1; i < want; i++) if (stack[i] != keys[i]) next
				sub(/^"[^"]*": "?/, "", line)
				sub(/"?,?$/, "", line)
				print line
				exit
			}
		}' "$file"
}

# Serve the filled memory volume "mem" on a vhost link, spinning; a server of its own.
start_ebd_server() { # SIZE [arguments]
	local size=$1

	shift
	head -c "$size" /dev/urandom >"$T/fill"
	start serve "${ON_SERVER[@]}" "$EBD" serve --link "vhost:$T/ebd.sock" \
		--volume "mem=mem:$size,file=$T/fill" --idle spin "$@"
	SERVER=$LAST_PID
	wait_until grep -qx ready "$T/serve.log"
	rm -f "$T/fill"
}

# ebd perf on the client's core; the result is in $T/perf.json. LINK_OPTIONS are those of the link (",place=32").
ebd_perf() { # ARGUMENTS
	"${ON_CLIENT[@]}" "${BOUND[@]}" timeout -k 5 300 "${BOUND[@]}" "$EBD" perf \
		--link "virtio:$T/ebd.sock${LINK_OPTIONS:-}" mem --idle spin --json "$@" >"$T/perf.json" 2>"$T/perf.log" || die "ebd perf $*"
}
