#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# A wrong command line: exit status 2 and one line that names what is wrong.
. "$(dirname "$0")/lib.sh"

# The words that the line must have, then the command line.
wrong() { # WORDS COMMAND...
	local words=$1 word rc=0

	shift
	timeout -k 5 30 "$@" >out 2>err </dev/null || rc=$?
	[ "$rc" -eq 2 ] || fail "$*: exit status $rc: $(cat err)"
	[ "$(wc -l <err)" -eq 1 ] || fail "$*: said $(wc -l <err) lines: $(cat err)"
	for word in $words; do
		grep -qF -- "$word" err || fail "$*: no word of '$word': $(cat err)"
	done
}

wrong "'frobnicate'" "$EBD" frobnicate
wrong "'copi' copy" "$EBD" copi
wrong "--link vhost:ebd0.sock" "$EBD" serve --volume a=mem:1M
wrong "--link virtio:ebd0.sock" "$EBD" discover
wrong "bogus" "$EBD" info --link ring:r --eal --bogus a
wrong "core" "$EBD" serve --link ring:r --eal "-l x" --volume a=mem:1M
wrong "--bogus" "$MPNIC" --bogus -- -i
wrong "107" "$EBD" serve --link "vhost:$(printf '%0108d' 0)" --volume a=mem:1M
wrong "--volume" "$EBD" serve --link vhost:x.sock
wrong "--volume 'a'" "$EBD" serve --link vhost:x.sock --volume a
wrong "--lin" "$EBD" serve --lin vhost:x.sock
wrong "carrier pigeon" "$EBD" serve --link "carrier:pigeon" --volume a=mem:1M
wrong "vhost" "$EBD" serve --link vhost: --volume a=mem:1M
wrong "cheese" "$EBD" serve --link vhost:x.sock --volume a=cheese:1M
wrong "mem 12parsecs" "$EBD" serve --link vhost:x.sock --volume a=mem:12parsecs
wrong "'a'" "$EBD" serve --link vhost:x.sock --volume a=mem:1M --volume a=mem:2M
wrong "--mtu '9'" "$EBD" serve --link vhost:x.sock --volume a=mem:1M --mtu 9
wrong "--mtu '1e3'" "$EBD" info --link virtio:x.sock a --mtu 1e3
wrong "--idle 'dance' sleep" "$EBD" serve --link vhost:x.sock --volume a=mem:1M --idle dance
wrong "--lease '0'" "$EBD" serve --link vhost:x.sock --volume a=mem:1M --lease 0
wrong "--max-sessions '0'" "$EBD" serve --link vhost:x.sock --volume a=mem:1M --max-sessions 0
wrong "copy" "$EBD" copy --link virtio:x.sock
wrong "--link virtio:ebd0.sock" "$EBD" copy ebd:a b.img
wrong "too" "$EBD" copy --link virtio:x.sock ebd:a b c
wrong "--depth '0'" "$EBD" copy --link virtio:x.sock ebd:a b --depth 0
wrong "--sparse 'maybe'" "$EBD" copy --link virtio:x.sock ebd:a b --sparse maybe
wrong "--rw 'sideways' randread" "$EBD" perf --link virtio:x.sock a --rw sideways
wrong "--bs '17'" "$EBD" perf --link virtio:x.sock a --bs 17
wrong "--time '-1s'" "$EBD" perf --link virtio:x.sock a --time -1s
wrong "--depth '99999999999999999999'" "$EBD" perf --link virtio:x.sock a \
	--depth 99999999999999999999
wrong "--target 'home'" "$EBD" info --link virtio:x.sock a --target home
wrong "--crc 'perhaps'" "$EBD" info --link virtio:x.sock a --crc perhaps

# Help is no error and goes to stdout.
for cmd in "" serve discover info copy perf; do
	# shellcheck disable=SC2086
	"$EBD" $cmd --help >out 2>err || fail "ebd $cmd --help: exit status $?"
	[ -s out ] && [ ! -s err ] || fail "ebd $cmd --help: said something on stderr"
done
"$EBD" serve --link help | grep -q vhost || fail "--link help does not list vhost"
"$EBD" serve --volume help | grep -q file || fail "--volume help does not list file"
expect_nothing_left
