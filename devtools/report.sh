# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
# shellcheck shell=bash
#
# One line per test, and the count at the end. Sourced; REPORT_DIR holds the logs.

report_init() {
	REPORT_DIR=$1
	mkdir -p "$REPORT_DIR"
	: >"$REPORT_DIR/results"
	REPORT_PID=
}

report_pass() { # NAME SECONDS
	echo pass >>"$REPORT_DIR/results"
	printf 'pass  %s (%s s)\n' "$1" "$2"
}

report_skip() { # NAME REASON
	echo skip >>"$REPORT_DIR/results"
	printf 'SKIP  %s: %s\n' "$1" "$2"
}

report_fail() { # NAME SECONDS LOG
	echo fail >>"$REPORT_DIR/results"
	printf 'FAIL  %s (%s s), the end of %s:\n' "$1" "$2" "$3"
	tail -n 40 "$3" | sed 's/^/      | /'
}

# Run a command as one test: 0 passes, 77 skips (the last line it printed is the reason).
report_run() { # NAME TIMEOUT_S COMMAND...
	local name=$1 limit=$2 log start rc=0 secs

	shift 2
	log=$REPORT_DIR/$(tr -c 'a-zA-Z0-9_.\n-' '_' <<<"$name").log
	start=$EPOCHREALTIME
	# In the background, so that a signal to this script is handled at once.
	timeout -k 20 "$limit" "$@" >"$log" 2>&1 </dev/null &
	REPORT_PID=$!
	wait "$REPORT_PID" || rc=$?
	REPORT_PID=
	secs=$(report_since "$start")
	case $rc in
	0) report_pass "$name" "$secs" ;;
	77) report_skip "$name" "$(tail -n 1 "$log")" ;;
	124 | 137)
		echo "it did not end within $limit s" >>"$log"
		report_fail "$name" "$secs" "$log"
		;;
	*) report_fail "$name" "$secs" "$log" ;;
	esac
	return "$rc"
}

# Seconds since the given $EPOCHREALTIME, with two digits.
report_since() {
	local us=$((${EPOCHREALTIME/./} - ${1/./}))

	printf '%d.%02d' $((us / 1000000)) $((us / 10000 % 100))
}

# Run the tests meson knows in a build directory, one line each as they end.
report_meson() { # PREFIX BUILD_DIR [meson test arguments]
	local prefix=$1 build=$2 log line nb=0 rc=0
	local result=' *[0-9]+/[0-9]+ +(.* / )?([^ ]+) +(OK|SKIP|FAIL|TIMEOUT|ERROR|UNEXPECTEDPASS|INTERRUPT) +([0-9.]+)s'

	shift 2
	log=$REPORT_DIR/$prefix.log
	: >"$log"
	while IFS= read -r line; do
		printf '%s\n' "$line" >>"$log"
		[[ $line =~ ^$result ]] || continue
		nb=$((nb + 1))
		case ${BASH_REMATCH[3]} in
		OK) report_pass "$prefix ${BASH_REMATCH[2]}" "${BASH_REMATCH[4]}" ;;
		SKIP) report_skip "$prefix ${BASH_REMATCH[2]}" "see $log" ;;
		*)
			rc=1
			report_meson_fail "$prefix" "${BASH_REMATCH[2]}" "${BASH_REMATCH[4]}" "$build"
			;;
		esac
	done < <("$(setup_meson)" test -C "$build" --no-rebuild --print-errorlogs "$@" 2>&1 </dev/null)
	if [ "$nb" -eq 0 ]; then
		report_fail "$prefix: no test ran" 0 "$log"
		return 1
	fi
	return "$rc"
}

# The part of meson's log that belongs to the test.
report_meson_fail() { # PREFIX TEST SECONDS BUILD_DIR
	local log=$REPORT_DIR/$1-$2.log

	awk -v test="$2" '/^=+ [0-9]+\/[0-9]+ =+$/ { on = 0 }
		/^test: / { n = $NF; on = n == test }
		on' "$4/meson-logs/testlog.txt" >"$log" 2>/dev/null
	report_fail "$1 $2" "$3" "$log"
}

report_count() { # pass|fail|skip
	grep -cx "$1" "$REPORT_DIR/results"
}

# The closing line; non-zero when something failed or nothing ran.
report_end() {
	local passed failed skipped

	passed=$(report_count pass)
	failed=$(report_count fail)
	skipped=$(report_count skip)
	if [ "$skipped" -gt 0 ]; then
		echo "$passed passed, $failed failed, $skipped skipped"
	else
		echo "$passed passed, $failed failed"
	fi
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
