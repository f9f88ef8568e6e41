#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Cycles of a request by stage, on both sides, over vhost/virtio with one core a side: in a build of
# its own that counts them (-Dstages=true), made beside DIR. Prints a table in Markdown.
#
#	stages.sh --build DIR [--quick]
set -eu
BUILD=${2:?--build DIR}
seconds=5 size=512M
[ "${3:-}" != --quick ] || seconds=1 size=128M
[ "$(uname -m)" = x86_64 ] || {
	echo "needs an x86 CPU"
	exit 77
}
src=$(realpath "$(dirname "$0")/../..")
stages=$(realpath "$BUILD")-stages
[ -d "$stages" ] || meson setup --buildtype=release -Dstages=true -Dtests=false "$stages" "$src" >/dev/null
ninja -C "$stages" apps/ebd/ebd >/dev/null
BUILD=$stages
# shellcheck source=test/perf/lib.sh
. "$src/test/perf/lib.sh"

loads=('4k read, depth 32|--rw randread --depth 32' '4k read, depth 1|--rw randread --depth 1'
	'4k write, depth 32|--rw randwrite --depth 32' '128k read, depth 16|--rw read --bs 128k --depth 16')
n=0
for load in "${loads[@]}"; do
	# A server for each, so that its sums are of this load.
	MPNIC_STAGES=$T/server.$n start_ebd_server $size
	# shellcheck disable=SC2086
	MPNIC_STAGES=$T/client.$n ebd_perf --time "${seconds}s" ${load#*|}
	json_get "$T/perf.json" ops >"$T/ops.$n"
	kill -TERM "$SERVER"
	wait "$SERVER" || true
	n=$((n + 1))
done

echo "Cycles (TSC) of a request, with one core a side, in a build that counts them: each change of stage costs about 30."
echo "*Protocol* has the callbacks of the program in it. Polls that found nothing are not in the sums."
echo
{
	printf '| stage |'
	for load in "${loads[@]}"; do
		printf ' %s: client | server |' "${load%%|*}"
	done
	printf '\n|---|'
	printf -- '---:|---:|%.0s' "${loads[@]}"
	printf '\n'
	for i in $(seq 2 9) sum; do
		if [ "$i" = sum ]; then
			printf '| sum |'
		else
			printf '| %s |' "$(sed -n "${i}p" "$T/client.0" | cut -d' ' -f3-)"
		fi
		for k in $(seq 0 $((n - 1))); do
			for side in client server; do
				awk -v want="$i" -v ops="$(cat "$T/ops.$k")" '
					(want == "sum" && NR > 1) || NR == want { c += $1 }
					END { printf " %.0f |", (ops > 0 ? c / ops : 0) }' "$T/$side.$k"
			done
		done
		printf '\n'
	done
}

# The report's second evaluation (3.7). The driver enters at a submission; all else that the client does above the
# NIC would be in the driver if there were no personality.
echo
echo "Time inside the client's block driver, as the report on multi-personality interfaces asks for (3.7). Without the"
echo "storage personality the driver would hold the protocol and move the data itself:"
echo
echo "| load | with the personality | without it | part that is left |"
echo "|---|---:|---:|---:|"
for k in $(seq 0 $((n - 1))); do
	awk -v load="${loads[k]%%|*}" -v ops="$(cat "$T/ops.$k")" '
		/submit/ { in_driver += $1 }
		/submit|protocol|copies/ { all += $1 }
		END {
			printf "| %s | %.0f | %.0f | %.2f |\n", load, in_driver / ops, all / ops, in_driver / all
		}' "$T/client.$k"
done
