# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
# shellcheck shell=bash
#
# One line per test, and the count at the end. Sourced; REPORT_DIR holds the logs.
#
# Tests of several processes on a shared machine may fail because the machine stood still. REPORT_AGAIN is how
# often such a test, when it failed, must pass in a row to count as flaky and not as failed; by default 0: never.
# A flaky one is shown and counted, with what was wrong; more than REPORT_FLAKY of them fail the whole.

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

report_flaky() { # NAME SECONDS LOG
	echo flaky >>"$REPORT_DIR/results"
	printf 'FLAKY %s (%s s): it failed, then passed %s times; the end of %s:\n' "$1" "$2" "$REPORT_AGAIN" "$3"
	tail -n 40 "$3" | sed 's/^/      | /'
}

# In the background, so that a signal to this script is handled at once.
report_try() { # LOG TIMEOUT_S COMMAND...
	local log=$1 limit=$2 rc=0

	shift 2
	timeout -k 20 "$limit" "$@" >"$log" 2>&1 </dev/null &
	REPORT_PID=$!
	wait "$REPORT_PID" || rc=$?
	REPORT_PID=
	case $rc in 124 | 137) echo "it did not end within $limit s" >>"$log" ;; esac
	return "$rc"
}

# Does a test that failed pass as often as REPORT_AGAIN says? Never when that is 0.
report_passes_again() { # LOG TIMEOUT_S COMMAND...
	local log=$1 i

	shift
	for ((i = 1; i <= ${REPORT_AGAIN:-0}; i++)); do
		report_try "${log%.log}.again-$i.log" "$@" || return 1
	done
	[ "${REPORT_AGAIN:-0}" -gt 0 ]
}

# Run a command as one test: 0 passes, 77 skips (the last line it printed is the reason).
report_run() { # NAME TIMEOUT_S COMMAND...
	local name=$1 limit=$2 log start rc=0 secs

	shift 2
	log=$REPORT_DIR/$(tr -c 'a-zA-Z0-9_.\n-' '_' <<<"$name").log
	start=$EPOCHREALTIME
	report_try "$log" "$limit" "$@" || rc=$?
	secs=$(report_since "$start")
	case $rc in
	0) report_pass "$name" "$secs" ;;
	77) report_skip "$name" "$(tail -n 1 "$log")" ;;
	*)
		if report_passes_again "$log" "$limit" "$@"; then
			rc=0
			report_flaky "$name" "$secs" "$log"
		else
			report_fail "$name" "$secs" "$log"
		fi
		;;
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
	local prefix=$1 build=$2 log line nb=0 rc=0 failed=() told=false
	local result=' *[0-9]+/[0-9]+ +(.* / )?([^ ]+) +(OK|SKIP|FAIL|TIMEOUT|ERROR|UNEXPECTEDPASS|INTERRUPT) +([0-9.]+)s'

	shift 2
	log=$REPORT_DIR/$prefix.log
	: >"$log"
	while IFS= read -r line; do
		printf '%s\n' "$line" >>"$log"
		# It names the failed ones once more at its end.
		[ "$line" != "Summary of Failures:" ] || told=true
		! $told && [[ $line =~ ^$result ]] || continue
		nb=$((nb + 1))
		case ${BASH_REMATCH[3]} in
		OK) report_pass "$prefix ${BASH_REMATCH[2]}" "${BASH_REMATCH[4]}" ;;
		SKIP) report_skip "$prefix ${BASH_REMATCH[2]}" "see $log" ;;
		*) failed+=("${BASH_REMATCH[2]} ${BASH_REMATCH[4]}") ;;
		esac
	done < <("$(setup_meson)" test -C "$build" --no-rebuild --print-errorlogs "$@" 2>&1 </dev/null)
	if [ "$nb" -eq 0 ]; then
		report_fail "$prefix: no test ran" 0 "$log"
		return 1
	fi
	# Each run of meson writes the log anew.
	for line in "${failed[@]}"; do
		report_meson_log "${line% *}" "$build" >"$REPORT_DIR/$prefix-${line% *}.log"
	done
	for line in "${failed[@]}"; do
		report_meson_failed "$prefix" "${line% *}" "${line#* }" "$build" || rc=1
	done
	return "$rc"
}

# The part of meson's log that belongs to the test.
report_meson_log() { # TEST BUILD_DIR
	awk -v test="$1" '/^=+ [0-9]+\/[0-9]+ =+$/ { on = 0 }
		/^test: / { n = $NF; on = n == test }
		on' "$2/meson-logs/testlog.txt" 2>/dev/null
}

report_meson_failed() { # PREFIX TEST SECONDS BUILD_DIR
	local log=$REPORT_DIR/$1-$2.log

	if report_passes_again "$log" 1800 "$(setup_meson)" test -C "$4" --no-rebuild "$2"; then
		report_flaky "$1 $2" "$3" "$log"
		return 0
	fi
	report_fail "$1 $2" "$3" "$log"
	return 1
}

report_count() { # pass|fail|flaky|skip
	grep -cx "$1" "$REPORT_DIR/results"
}

# The closing line; non-zero when something failed or nothing ran.
report_end() {
	local passed failed flaky skipped line

	passed=$(report_count pass)
	failed=$(report_count fail)
	flaky=$(report_count flaky)
	skipped=$(report_count skip)
	line="$passed passed, $failed failed"
	[ "$flaky" -eq 0 ] || line+=", $flaky flaky"
	[ "$skipped" -eq 0 ] || line+=", $skipped skipped"
	echo "$line"
	[ "$failed" -eq 0 ] && [ "$flaky" -le "${REPORT_FLAKY:-0}" ] && [ "$passed" -gt 0 ]
}
