#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# The rules of CONTRIBUTING.md that a machine can check. Prints every breach; exits 1 when there is
# one. With arguments only the named checks run: layout spdx calls arrows size sleeps format shell
set -u
cd "$(dirname "$0")/.." || exit 1

bad=0
breach() {
	bad=1
	printf '%s\n' "$*"
}

# Tracked files, and new ones that git does not ignore.
files() { # PATTERN...
	git ls-files --cached --others --exclude-standard -- "$@" | sort -u |
		while IFS= read -r f; do [ -e "$f" ] && printf '%s\n' "$f"; done
}

c_files() {
	files '*.c' '*.h'
}

check_layout() {
	local f

	for f in $(files | cut -d/ -f1 | sort -u); do
		case $f in
		.* | meson.build | meson_options.txt | README.md | CONTRIBUTING.md | CHANGELOG.md | \
			LICENSE | lib | apps | examples | test | doc | devtools) ;;
		*) breach "$f: does not belong to the top level" ;;
		esac
	done
}

check_spdx() {
	local f n

	for f in $(files '*.c' '*.h' '*.sh' '*.lua' '*.py' '*.build' '.ci/run'); do
		n=1
		[ "$(head -c 2 "$f")" != '#!' ] || n=2
		sed -n "${n}p" "$f" | grep -q 'SPDX-License-Identifier: BSD-3-Clause' ||
			breach "$f:$n: expected the SPDX line"
	done
}

# Every line of the files on stdin that matches is a breach.
forbid() { # PATTERN REASON
	local line

	while IFS= read -r line; do
		breach "$line: $2"
	done < <(xargs -r grep -HnE "$1")
}

check_calls() {
	local sp='[[:space:]]*' inc='^#[[:space:]]*include[[:space:]]*[<"]'

	forbid "\\b(atoi|atol|atof|strcpy|strcat|sprintf|vsprintf|strtok|gets)$sp\\(" \
		"a call that has no bounds" < <(c_files)
	forbid "(^|[^_[:alnum:]])(printf|vprintf|puts|putchar|exit|_exit|abort|rte_exit|rte_panic)$sp\\(" \
		"a library neither prints to stdout nor ends the program" < <(c_files | grep '^lib/')
	forbid '\b(TODO|FIXME|XXX)\b' "left to do" < <(c_files)
	forbid "$inc(rte_|time\\.h|sys/time|stdio|stdlib|unistd|sys/socket)" \
		"lib/wire and lib/xfer know neither DPDK nor clock, heap or I/O" \
		< <(c_files | grep -E '^lib/(wire|xfer)/')
	forbid "${inc}rte_" "lib/base and lib/volume build without DPDK" \
		< <(c_files | grep -E '^lib/(base|volume)/')
}

# Which folders of lib/ a folder may include from: the arrows of doc/architecture.md run down only.
check_arrows() {
	local f inc from to row rows=(
		"base base" "wire wire base" "xfer xfer wire base" "volume volume base" "nic nic base" "net net nic base"
		"storage storage nic xfer wire base" "ebd ebd storage net volume nic xfer wire base"
	)

	while IFS=: read -r f inc; do
		from=$(cut -d/ -f2 <<<"$f")
		to=$(files "lib/*/$inc" | cut -d/ -f2)
		for row in "${rows[@]}"; do
			if [ "${row%% *}" != "$from" ] || [ -z "$to" ]; then continue; fi
			[[ " ${row#* } " == *" $to "* ]] || breach "$f: includes $inc of lib/$to"
		done
	done < <(c_files | grep '^lib/' | xargs -r grep -HoE '#include "[^"]+"' |
		sed -E 's/#include "([^"]+)"/\1/')
}

check_size() {
	local f out

	for f in $(c_files) $(files '*.sh' '*.lua'); do
		out=$(wc -l <"$f")
		[ "$out" -le 600 ] || breach "$f: $out lines, more than 600"
	done
	out=$(c_files | xargs awk '
		FNR == 1 { start = 0 }
		/^\{/ { start = FNR }
		/^\}/ && start {
			if (FNR - start - 1 > 60)
				printf "%s:%d: a function of %d lines, more than 60\n", FILENAME, start, FNR - start - 1
			start = 0
		}')
	[ -z "$out" ] || breach "$out"
}

# A test waits for a condition, never for a time: only the helper that polls one may sleep.
check_sleeps() {
	forbid '\b(sleep|usleep|nanosleep)[[:space:]]*\(' "a test that sleeps" \
		< <(files 'test/*.c' 'test/*.h')
	forbid '^[^#]*\bsleep [0-9]' "a test that sleeps" \
		< <(files 'test/*.sh' | grep -v '^test/system/lib.sh$')
}

check_format() {
	local out

	out=$(c_files | xargs clang-format --dry-run -Werror 2>&1 | grep -E 'error:|warning:') &&
		breach "$out"
}

check_shell() {
	local out

	out=$(files '*.sh' '.ci/run' | xargs shellcheck -x -f gcc) || breach "$out"
}

[ $# -gt 0 ] || set -- layout spdx calls arrows size sleeps format shell
for check in "$@"; do
	"check_$check"
done
exit "$bad"
