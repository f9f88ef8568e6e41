#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Installs what is missing, builds everything, runs every test. One line per test; the last line is
# the count. Exits non-zero when anything failed. A test with threads or processes that failed, and then passed
# twice, is called flaky: shown, counted, and no failure as long as there are at most three (see report.sh).
set -u
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=devtools/setup.sh
. devtools/setup.sh
# shellcheck source=devtools/report.sh
. devtools/report.sh

usage() {
	cat <<-'END'
		usage: devtools/test.sh [--quick] [--jobs N] [--only PART]...
		  --quick      gcc only, 50 seeds of the simulator, no sanitizers, fuzzers, benchmark
		  --jobs N     compile with N processes (default: as many as there are cores)
		  --only PART  lint, gcc, clang, sanitize, fuzz, doc, install, system, demo,
		               perf, or coverage, which is left out otherwise: it builds
		               and tests all once more, without optimisation
	END
}

quick=false
only=()
JOBS=$(nproc)
while [ $# -gt 0 ]; do
	case $1 in
	--quick) quick=true ;;
	--jobs | --only)
		[ $# -gt 1 ] || {
			echo "test.sh: $1: expected a value" >&2
			exit 2
		}
		if [ "$1" = --jobs ]; then JOBS=$2; else only+=("$2"); fi
		shift
		;;
	-h | --help)
		usage
		exit 0
		;;
	*)
		echo "test.sh: '$1': expected --quick, --jobs N or --only PART" >&2
		exit 2
		;;
	esac
	shift
done
case $JOBS in
'' | *[!0-9]* | 0)
	echo "test.sh: --jobs: '$JOBS': expected a number from 1 on" >&2
	exit 2
	;;
esac
export JOBS
B="build-test"
export REPORT_FLAKY=3

finish() {
	[ -z "${REPORT_PID:-}" ] || kill "$REPORT_PID" 2>/dev/null
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A pkg-config directory with everything but DPDK, to prove that a part needs none.
hide_dpdk() {
	local dir pc

	mkdir -p "$B/pc-nodpdk"
	for dir in $(pkg-config --variable pc_path pkg-config | tr ':' ' '); do
		for pc in "$dir"/*.pc; do
			case ${pc##*/} in
			libdpdk* | mpnic* | '*.pc') ;;
			*) ln -sf "$pc" "$B/pc-nodpdk/" ;;
			esac
		done
	done
}

build() { # NAME [meson options]
	local name=$1

	shift
	report_run "build $name" 1800 devtools/build.sh "$B/$name" -Dwerror=true "$@"
}

part_lint() {
	local check

	for check in layout spdx calls arrows size sleeps format shell; do
		report_run "lint $check" 300 devtools/lint.sh "$check"
	done
}

part_gcc() {
	report_run "source of fio" 300 devtools/fetch-fio.sh "$B/fio"
	CC=gcc build gcc --prefix "$PWD/$B/root" --libdir lib \
		-Dfio_source="$(devtools/fetch-fio.sh "$B/fio" 2>/dev/null)" || return
	REPORT_AGAIN=2 report_meson gcc "$B/gcc" --suite unit --suite fuzz
	part_sim gcc
}

part_sim() { # BUILD
	local suite=sim

	! $quick || suite=sim-quick
	report_meson sim "$B/$1" --suite "$suite"
}

part_clang() {
	CC=clang build clang || return
	REPORT_AGAIN=2 report_meson clang "$B/clang" --suite unit
}

# Without DPDK, too: what has no use for it is built and tested where it is not there.
part_sanitize() {
	hide_dpdk
	CC=gcc PKG_CONFIG_LIBDIR=$PWD/$B/pc-nodpdk build sanitize -Db_sanitize="address,undefined" \
		-Db_lundef=false || return
	report_run "sanitize: no program needs DPDK" 60 bash -c \
		"! ldd '$B'/sanitize/test/test_* | grep -E 'not a dynamic|librte'"
	ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		report_meson sanitize "$B/sanitize" --suite unit --suite sim-quick
}

part_fuzz() {
	local target name seeds

	hide_dpdk
	CC=clang PKG_CONFIG_LIBDIR=$PWD/$B/pc-nodpdk build fuzz -Dfuzz=true || return
	for target in "$B"/fuzz/test/fuzz/libfuzzer_*; do
		[ -f "$target" ] || continue
		name=${target##*/libfuzzer_}
		mkdir -p "$B/fuzz/found-$name"
		seeds=()
		[ ! -d "test/fuzz/corpus/$name" ] || seeds=("test/fuzz/corpus/$name")
		# What it finds on its way goes to the build directory, not into the tree.
		report_run "fuzz $name" 120 "$target" -max_total_time=10 -artifact_prefix="$B/fuzz/" \
			"$B/fuzz/found-$name" "${seeds[@]}"
	done
}

part_coverage() {
	report_run "every file of lib/ is tested" 1200 devtools/coverage.sh
}

part_doc() {
	report_run "doc links" 60 devtools/check-doc.sh links
	report_run "doc wire" 60 devtools/check-doc.sh wire
	report_run "doc symbols" 300 devtools/check-doc.sh symbols
}

part_install() {
	report_run "install and examples" 600 devtools/check-install.sh "$B/gcc"
}

part_system() {
	local args=(--report "$REPORT_DIR" --build "$B/gcc")

	if $quick; then
		args+=(--quick)
		echo "      --quick: kills, file systems and filters behind nbdkit, half of the links, Ceph,"
		echo "        virtual machines are left out"
	fi
	REPORT_AGAIN=2 test/system/run.sh "${args[@]}" &
	REPORT_PID=$!
	wait "$REPORT_PID"
	REPORT_PID=
}

part_demo() {
	REPORT_AGAIN=2 report_run "demo" 600 devtools/demo.sh --build "$B/gcc" --out "$B/demo-out"
}

part_perf() {
	CC=gcc build release --buildtype=release -Db_lto=true -Dtests=false || return
	REPORT_AGAIN=2 report_run "perf: ratio to nbdkit" 300 test/perf/compare-nbdkit.sh --build "$B/release" --short --check
	sed -n 's/^ratio/      ratio/p' "$REPORT_DIR/perf__ratio_to_nbdkit.log"
	# Only that it can be measured: what comes out says nothing while other things run.
	REPORT_AGAIN=2 report_run "perf: clients and back ends" 300 test/perf/clients_table.sh --build "$B/gcc" --quick
	REPORT_AGAIN=2 report_meson perf "$B/gcc" --suite perf
}

start=$EPOCHREALTIME
setup_packages build demo test || exit 1
$quick || setup_packages heavy || exit 1
report_init "$B/log"
if [ ${#only[@]} -eq 0 ]; then
	only=(lint gcc install system demo doc)
	$quick || only=(lint gcc install system demo doc clang sanitize fuzz perf)
fi
for part in "${only[@]}"; do
	declare -F "part_$part" >/dev/null || {
		echo "test.sh: --only: '$part': expected a part that --help names" >&2
		exit 2
	}
	"part_$part"
done
echo "all of it took $(report_since "$start") s; the logs are in $B/log"
report_end
