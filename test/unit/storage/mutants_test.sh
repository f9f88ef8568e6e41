#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Do the tests of buffers and frames bite? Each fault of lib/storage/st_mutant.h is built in, and the
# test that is named for it here must fail; without a fault it must pass.
#
#	test/unit/storage/mutants_test.sh PROGRAM... [MUTANT]
#
# The programs are the storage tests, built with ST_MUTANTS, named after their subject.
set -u

programs=()
only=
for arg; do
	if [ -x "$arg" ]; then programs+=("$arg"); else only=$arg; fi
done

# mutant, program, test
table='
retx_by_ref	copy		test_repeated_frames_are_copies
retx_by_ref	scribble	test_nobody_sees_what_comes_after_completion_on_a_ring
no_revoke	copy		test_frames_of_a_failed_write_never_carry_what_came_after
lend_volume	loan		test_a_later_write_does_not_change_what_is_lent
kept_early	scribble	test_nobody_sees_what_comes_after_completion_over_virtio
arena_early	copy		test_an_arena_outlives_its_frames
page_unheld	place		test_freed_arena_waits_for_its_pages
arena_early	memory		test_lent_memory
users_ignored	memory		test_memory_that_is_taken_from_a_write
stage_early	memory		test_staging_comes_back_with_the_last_holder
'

find_program() {
	local p
	for p in "${programs[@]}"; do
		[ "${p##*_}" != "$1" ] || { echo "$p"; return; }
	done
}

# run MUTANT PROGRAM TEST: what the test says
run() {
	ST_MUTANT=$1 ST_TEST=$3 timeout 60 "$(find_program "$2")" 2>&1
}

# is_caught MUTANT PROGRAM TEST. The long test goes by the clock, and does not meet the same things in
# every run: it has three.
is_caught() {
	local tries=1
	[ "$2" != scribble ] || tries=3
	for ((; tries > 0; tries--)); do
		! run "$@" | grep -q "FAILED.* $3\$" || return 0
	done
	return 1
}

bad=0
checked=' '
while read -r mutant program test; do
	[ -n "$mutant" ] || continue
	[ -z "$only" ] || [ "$only" = "$mutant" ] || continue
	# The long one passes in the unit suite; the others pass here too, so that the table says the truth.
	if [ "$program" != scribble ] && ! run none "$program" "$test" | grep -q "OK.* $test\$"; then
		echo "$program $test: does not pass without a fault"
		bad=1
	fi
	if is_caught "$mutant" "$program" "$test"; then
		echo "$mutant: caught by $program, $test"
	else
		echo "$mutant: NOT CAUGHT by $program, $test"
		bad=1
	fi
	checked="$checked$mutant "
done <<<"$table"

for mutant in $(ST_MUTANT=list "${programs[0]}"); do
	[[ -n $only || $checked = *" $mutant "* ]] || {
		echo "$mutant: no test is named for it"
		bad=1
	}
done
exit "$bad"
