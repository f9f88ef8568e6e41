#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Which part of each file of lib/ the unit tests and a short run of the simulator execute, in lines.
# Fails when there is a file that they do not reach at all, or not by the percentage that was asked for,
# but for what talks to a service that a unit test does not have.
#
#	devtools/coverage.sh [--min PERCENT] [--no-run]
#
# --no-run counts what the last run has left.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=devtools/setup.sh
. devtools/setup.sh

dir="build-test/coverage"
min=1
elsewhere='^lib/volume/rbd' # a Ceph cluster: test/system/rbd.sh
run=true
while [ $# -gt 0 ]; do
	case $1 in
	--min)
		min=${2:-}
		shift
		;;
	--no-run) run=false ;;
	*)
		echo "coverage.sh: '$1': expected --min PERCENT or --no-run" >&2
		exit 2
		;;
	esac
	shift
done
case $min in
'' | *[!0-9]*)
	echo "coverage.sh: --min: '$min': expected a percentage" >&2
	exit 2
	;;
esac

if $run; then
	CC=gcc devtools/build.sh "$dir" -Db_coverage=true -Dbuildtype=debug >&2
	find "$dir" -name '*.gcda' -delete
	# Without optimisation tests take longer; one that is ended leaves no data.
	"$(setup_meson)" test -C "$dir" --no-rebuild --timeout-multiplier 4 --suite unit --suite sim-quick >&2 ||
		echo "coverage.sh: tests failed: what they execute is counted all the same" >&2
fi

# "85.3 109 lib/nic/eal.c", the least covered first. A file that was compiled and never run has no data.
count() {
	find "$dir/lib" -name '*.gcno' | while IFS= read -r notes; do
		gcov --no-output "${notes%.gcno}.gcda" 2>/dev/null ||
			gcov --no-output "$notes" 2>/dev/null || true
	done | awk -F"'" '
		/^File / { file = $2 }
		/^Lines executed:/ && file ~ /(^|\/)lib\/[a-z]+\/[a-z_]+\.c$/ {
			split($0, part, /[:%]|of /)
			sub(/^.*\/lib\//, "lib/", file)
			printf "%5.1f %5d %s\n", part[2], part[4], file
			file = ""
		}' | sort -n
}

result=$(count)
[ -n "$result" ] || {
	echo "coverage.sh: no data in $dir: run it without --no-run" >&2
	exit 1
}
echo "    % lines file"
echo "$result"
echo "$result" | awk -v min="$min" -v elsewhere="$elsewhere" '
	{ lines += $2; hit += $1 * $2 / 100 }
	$1 < min && $3 !~ elsewhere { low++ }
	END {
		printf "%5.1f %5d all of lib, %d files\n", hit * 100 / lines, lines, NR
		if (low > 0)
			printf "%d files below %d %%\n", low, min
		exit low > 0
	}'
