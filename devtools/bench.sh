#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Measures everything that doc/performance.md tells, and writes it: tables and plots, each with the
# commit it is of and the noise seen. Refuses when others use the cores: pollers that share a core
# with somebody measure the scheduler.
#
#	devtools/bench.sh [--build DIR] [--only SECTION]... [--quick] [--force] [--out FILE]
#
#	--build DIR	a build of this tree (default: build-bench, made when it is not there)
#	--only SECTION	only this one, may be repeated; the others in FILE stay as they are
#	--quick		shorter runs
#	--force		measure although others use the cores; what is written says so
#	--out FILE	default: doc/performance.md; plots go into a directory of that name beside it
set -eu
cd "$(dirname "$0")/.."

# name, is it the same whatever else goes on, title, command. @ is the build directory.
sections='
table|timed|Ratios to the ceiling and to nbdkit|test/perf/table.sh --build @
stages|timed|Cycles of a request by stage|test/perf/stages.sh --build @
driver|exact|What the block driver holds|test/perf/driver.sh
instructions|exact|Instructions of a request|test/perf/instructions_table.sh --build @
crossover|timed|Copy or refer: the crossover|@/test/perf/crossover
clients|timed|Clients and back ends|test/perf/clients_table.sh --build @
engines|timed|One job file, four engines of fio|test/perf/engines_table.sh --build @
share|timed|Several personalities|test/perf/share.sh --build @
rfc5532|timed|The table of RFC 5532, again|test/perf/rfc5532.sh --build @
loss|exact|Loss: what is missing, or all from the gap on|@/test/perf/loss
incast|exact|Incast: granted and pushed|@/test/perf/incast
'
NOISE_MAX=5 # percent of the cores that others may use

build='build-bench'
out=doc/performance.md
quick=()
force=false
only=()
while [ $# -gt 0 ]; do
	case $1 in
	--quick) quick=(--quick) ;;
	--force) force=true ;;
	--build | --only | --out)
		[ $# -gt 1 ] || {
			echo "bench.sh: $1: expected a value" >&2
			exit 2
		}
		case $1 in
		--build) build=$2 ;;
		--only) only+=("$2") ;;
		--out) out=$2 ;;
		esac
		shift
		;;
	*)
		echo "bench.sh: '$1': expected --build, --only, --quick, --force or --out" >&2
		exit 2
		;;
	esac
	shift
done

names() {
	sed -n 's/^\([a-z0-9]\+\)|.*/\1/p' <<<"$sections"
}

for name in "${only[@]}"; do
	names | grep -qx -- "$name" || {
		echo "bench.sh: --only: '$name': expected one of $(names | paste -sd' ')" >&2
		exit 2
	}
done
# shellcheck source=devtools/setup.sh
. devtools/setup.sh
setup_packages build bench || exit 1
[ -d "$build" ] || meson setup --buildtype=release -Ddebug=true -Db_ndebug=true -Db_lto=true \
	-Dfio_source="$(devtools/fetch-fio.sh "$build-fio" 2>/dev/null)" "$build" >/dev/null
ninja -C "$build" >/dev/null
T=$(mktemp -d)
section_pid=
leave() {
	trap '' INT TERM
	[ -z "$section_pid" ] || kill "$section_pid" 2>/dev/null || true
	[ -z "$section_pid" ] || wait "$section_pid" 2>/dev/null || true
	rm -rf "$T"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
plots=${out%.md}
mkdir -p "$plots"

# ---- Noise ----

# Ticks that all of the machine was busy, and all ticks there were.
machine_ticks() {
	awk '$1 == "cpu" { busy = $2 + $3 + $4 + $7 + $8 + $9; print busy, busy + $5 + $6 }' /proc/stat
}

# Ticks that this script has used so far, with its children that have ended.
own_ticks() {
	awk '{ print $14 + $15 + $16 + $17 }' "/proc/$$/stat"
}

# Percent of the machine that others used between two looks: FROM_BUSY FROM_ALL FROM_OWN
others_since() {
	local busy all

	read -r busy all <<<"$(machine_ticks)"
	awk -v b="$((busy - $1))" -v a="$((all - $2))" -v o="$(($(own_ticks) - $3))" \
		'BEGIN { v = a > 0 ? 100 * (b - o) / a : 0; printf "%.1f", (v > 0 ? v : 0) }'
}

look() {
	echo "$(machine_ticks) $(own_ticks)"
}

too_noisy() { # PERCENT
	awk -v v="$1" -v max=$NOISE_MAX 'BEGIN { exit !(v >= max) }'
}

# shellcheck disable=SC2046,SC2086
idle_check() {
	local from noise

	from=$(look)
	read -rt 2 <><(:) || true
	noise=$(others_since $from)
	too_noisy "$noise" || return 0
	$force && return 0
	echo "bench.sh: others use $noise % of the cores: the numbers would not be valid." >&2
	echo "bench.sh: sections that count instead of timing can run: $(
		sed -n 's/^\([a-z0-9]\+\)|exact.*/--only \1/p' <<<"$sections" | paste -sd' '
	); --force measures all the same" >&2
	exit 77
}

# ---- The file ----

version_of() { # COMMAND...
	"$@" 2>/dev/null | head -n 1 || true
}

# "-O3, LTO", as meson was told.
build_type() {
	tr '{' '\n' <"$build/meson-info/intro-buildoptions.json" | sed -nE '
		s/.*"name": "optimization", "value": "([0-9a-z]*)".*/-O\1/p
		s/.*"name": "b_lto", "value": true.*/LTO/p
		s/.*"name": "b_ndebug", "value": "(true|if-release)".*/without assertions/p' |
		paste -sd, | sed 's/,/, /g'
}

machine() {
	local cores

	cores=$(taskset -cp $$ | sed 's/.*: //')
	echo "| | |"
	echo "|---|---|"
	echo "| CPU | $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1) |"
	echo "| cores used | $cores; the server has the first, the client the second |"
	echo "| caches | $(lscpu | sed -n 's/^L\([123][di]*\)[^:]*: */L\1 /p' | paste -sd, | sed 's/,/, /g') |"
	echo "| memory | $(awk '/^MemTotal/ { printf "%.1f GiB", $2 / 1048576 }' /proc/meminfo), hugepages $(
		awk '/^HugePages_Total/ { n = $2 } /^Hugepagesize/ { print n " of " $2 " KiB" }' /proc/meminfo
	) |"
	echo "| kernel | $(uname -sr) |"
	echo "| DPDK | $(pkg-config --modversion libdpdk) |"
	echo "| compiler | $(version_of "${CC:-cc}" --version) |"
	echo "| build | $(build_type) |"
	echo "| nbdkit, fio | $(version_of nbdkit --version), $(version_of fio --version) |"
	echo "| hypervisor | $(lscpu | sed -n 's/^Hypervisor vendor: *//p' | grep . || echo none) |"
}

skeleton() {
	local name title

	cat <<-'END'
		<!-- Written by devtools/bench.sh. What stands between the marks of a section is replaced. -->
		# Performance

		All numbers of a section come from one run of `devtools/bench.sh`, things that are compared in turns. A
		ratio is the median of the ratios of neighbouring runs, with the least and the greatest. What the ceiling is,
		and how `ebd perf` measures it: [Measuring](measuring.md).

		## Machine

		<!-- begin machine -->
		<!-- end machine -->
	END
	while IFS='|' read -r name _ title _; do
		[ -n "$name" ] || continue
		printf '\n## %s\n\n<!-- begin %s -->\nNot measured yet.\n<!-- end %s -->\n' "$title" "$name" \
			"$name"
	done <<<"$sections"
}

# Replace what stands between the marks of a section by a file.
insert() { # SECTION FILE
	# A section that came after the file was made.
	grep -qxF "<!-- begin $1 -->" "$out" ||
		printf '\n## %s\n\n<!-- begin %s -->\n<!-- end %s -->\n' \
			"$(sed -n "s/^$1|[a-z]*|\([^|]*\)|.*/\1/p" <<<"$sections")" "$1" "$1" >>"$out"
	awk -v name="$1" -v file="$2" '
		$0 == "<!-- end " name " -->" { skip = 0 }
		!skip { print }
		$0 == "<!-- begin " name " -->" {
			while ((getline line < file) > 0) print line
			skip = 1
		}' "$out" >"$T/new"
	cp "$T/new" "$out"
}

# A section prints Markdown; "@plot NAME TEXT" up to "@end" is a plot in the middle of it.
take_plots() { # FILE
	local svg

	awk -v dir="$T" -v base="$(basename "$plots")" '
		$1 == "@plot" {
			file = dir "/" $2 ".plot"
			text = substr($0, length($1 $2) + 3)
			printf "\n![%s](%s/%s.svg)\n\n", text, base, $2
			next
		}
		$1 == "@end" { close(file); file = ""; next }
		file { print >file; next }
		{ print }' "$1"
	for svg in "$T"/*.plot; do
		[ -f "$svg" ] || continue
		"$build/test/perf/plot" <"$svg" >"$plots/$(basename "${svg%.plot}").svg"
		rm "$svg"
	done
}

# shellcheck disable=SC2046,SC2086
run_section() { # NAME KIND TITLE COMMAND
	local from rc=0 noise command=${4//@/$build}

	echo "bench.sh: $1: $3"
	from=$(look)
	# It ends with this script, even when that is killed: pollers would go on for ever.
	setpriv --pdeathsig TERM $command "${quick[@]}" >"$T/out" 2>"$T/err" &
	section_pid=$!
	wait "$section_pid" || rc=$?
	section_pid=
	noise=$(others_since $from)
	if [ $rc -eq 77 ]; then
		echo "bench.sh: $1: skipped: $(tail -n 1 "$T/out")" >&2
		return 0
	fi
	if [ $rc -ne 0 ]; then
		tail -n 5 "$T/err" >&2
		echo "bench.sh: $1: failed" >&2
		return 1
	fi
	{
		take_plots "$T/out"
		echo
		printf 'Commit %s, \x60%s\x60' "$(git describe --always --dirty)" "${4//@/BUILD}${quick[*]:+ --quick}"
		if [ "$2" = exact ]; then
			echo "; counted, not timed: what else goes on does not matter."
		elif too_noisy "$noise"; then
			echo "."
			echo
			echo "**Not valid: others used $noise % of the cores meanwhile.**"
		else
			echo "; others used $noise % of the cores."
		fi
	} >"$T/section"
	insert "$1" "$T/section"
}

# ---- All of it ----

wanted() { # SECTION
	local name

	[ ${#only[@]} -gt 0 ] || return 0
	for name in "${only[@]}"; do
		[ "$name" != "$1" ] || return 0
	done
	return 1
}

any_timed=false
while IFS='|' read -r name kind _; do
	[ "$kind" != timed ] || ! wanted "$name" || any_timed=true
done <<<"$sections"
! $any_timed || idle_check
[ -f "$out" ] || skeleton >"$out"
machine >"$T/machine"
insert machine "$T/machine"
failed=0
while IFS='|' read -r name kind title command; do
	[ -n "$name" ] && wanted "$name" || continue
	run_section "$name" "$kind" "$title" "$command" </dev/null || failed=1
done <<<"$sections"
echo "bench.sh: $out"
exit $failed
