#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Payload is moved by st_copy() and nothing else: what lib/storage, lib/ebd, lib/xfer and lib/nic copy
# otherwise has the size of a header or of a structure, never a length that came from a request or a
# frame. copy_wrap_test.c looks at the same thing while the program runs.
#
#	test/unit/storage/copy_source_test.sh SOURCE_DIR
set -eu

moves='\b(__builtin_)?(memcpy|memmove|mempcpy|rte_memcpy|rte_mov[0-9]+|bcopy|memccpy|strncpy)[[:space:]]*\('
never='\b(rte_pktmbuf_copy|rte_pktmbuf_read|rte_pktmbuf_linearize|bcopy|rte_memcpy)[[:space:]]*\('

# What is none although its size is no constant: names and paths. Nor are the frames of the ceiling
# measurement, which is not storage (lib/nic/bare.h), those of a personality with a pool of its own, which
# storage cannot have (mpn_personality_set_limits()), and those of the link to another process, whose wire is
# a copy at each end, counted by the personality there (lib/nic/remote_ring.c).
known='memcpy\((digits, name \+ len, n|spec->arg( \+ used)?, arg, len|opt->key, text, key|opt->value, eq \+ 1, len - key - 1|place->un.sun_path, path, len|place->un.sun_path \+ 1, name, len|o->spec, spec, len)\)|rte_pktmbuf_copy\((m, flow->pool|\*m, pool), 0, UINT32_MAX\)|memmove\(frame( \+ len)?, frame( \+ len)?, VLAN_MAC_LEN\)'

# Prints the calls in a file that may move payload.
find_moves() {
	tr '\n\t' '  ' <"$1" | sed 's|/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/||g' | sed 's/[;{}]/\n/g' |
		grep -E "$moves" |
		grep -vE ',[^,]*(sizeof|WIRE_EBD_HDR_LEN|strn?len)[^,]*(, IFNAMSIZ - 1\)\))?$|, *[0-9]{1,2}\)' |
		grep -vE "$known" || true
	grep -E "$never" "$1" | grep -vE "$known" || true
}

# The search itself must bite.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf 'void f(void)\n{\n\tmemcpy(dst,\n\t\tsrc,\n\t\ttx->data_len);\n}\n' >"$work/long.c"
printf 'void f(void) { memmove(a, b, n); }\n' >"$work/short.c"
printf 'void f(void) { rte_memcpy(a, b, sizeof(x)); }\n' >"$work/never.c"
printf '/* memcpy(a, b, n); */\nvoid f(void) { memcpy(a, b, 3 * sizeof(*a)); }\n' >"$work/good.c"
for f in long short never; do
	[ -n "$(find_moves "$work/$f.c")" ] || {
		echo "$f.c: the search missed a copy"
		exit 1
	}
done
[ -z "$(find_moves "$work/good.c")" ] || {
	echo "good.c: the search found what is none"
	exit 1
}

bad=0
nb=0
for f in "$1"/lib/{storage,ebd,xfer,nic}/*.[ch]; do
	nb=$((nb + 1))
	case ${f##*/} in st_copy.c | bare* | remote_ring.c) continue ;; esac
	found=$(find_moves "$f")
	[ -z "$found" ] || {
		printf '%s: %s\n' "$f" "$found"
		bad=1
	}
done
[ "$nb" -ge 90 ] || {
	echo "only $nb files were looked at"
	exit 1
}
exit "$bad"
