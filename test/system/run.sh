#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Runs the system tests, one after the other, one line each.
#
#	test/system/run.sh --build DIR [--quick] [--kills N] [--report DIR] [NAME]...
#
#	--kills N	of servers, in each of the tests that kill them at random moments; default: 20
set -u
here=$(dirname "$0")
# shellcheck source=devtools/report.sh
. "$here/../../devtools/report.sh"

# name, seconds at most, script and arguments; a q in front: part of --quick
tests='
q ring-1500 120 ring.sh 1500
  ring-9000 120 ring.sh 9000
  copy-vhost-1500 240 copy.sh vhost 1500
q copy-vhost-9000 240 copy.sh vhost 9000
  copy-memif-1500 240 copy.sh memif 1500
q copy-memif-9000 240 copy.sh memif 9000
q copy-tap-1500 240 copy.sh tap 1500
  copy-af_packet-1500 240 copy.sh af_packet 1500
q copy-af_packet-9000 240 copy.sh af_packet 9000
q copy-pairs 240 copy_pairs.sh
  two-links 120 two_links.sh
q nonroot-vhost 240 nonroot.sh vhost
  nonroot-memif 240 nonroot.sh memif
q onecore-vhost 240 onecore.sh vhost
  onecore-memif 240 onecore.sh memif
q kill-server-vhost-read 240 kill_server.sh vhost read
  kill-server-vhost-write 240 kill_server.sh vhost write
  kill-server-memif-read 240 kill_server.sh memif read
  kill-server-memif-write 240 kill_server.sh memif write
  kill-server-af_packet-write 240 kill_server.sh af_packet write
q kill-client-vhost 120 kill_client.sh vhost
  kill-client-memif 120 kill_client.sh memif
  kill-client-af_packet 120 kill_client.sh af_packet
q signals-vhost-int 120 signals.sh vhost INT
  signals-vhost-term 120 signals.sh vhost TERM
  signals-memif-int 120 signals.sh memif INT
q place 180 place.sh
q place-kill-in-place 180 place_kill.sh in-place
  place-kill-loan 180 place_kill.sh loan
q perf-vhost 120 perf.sh vhost
  perf-memif 120 perf.sh memif
q ceiling-vhost 120 ceiling.sh vhost 9000
  ceiling-memif 120 ceiling.sh memif 1500
  ceiling-tap 120 ceiling.sh tap 1500
q usage 120 usage.sh
q missing-vhost 240 missing.sh vhost
  missing-memif 240 missing.sh memif
q help 120 help.sh
q errors 120 errors.sh
q diskfull 120 diskfull.sh
q shrunk 120 shrunk.sh
q access 120 access.sh
q control 120 control.sh
q change 120 change.sh
q nbd 180 nbd.sh
  rbd 240 rbd.sh
  rbd-full 300 rbd_full.sh
  rbd-hang 300 rbd_hang.sh
q idle 120 idle.sh
q wire-1500 240 wire.sh 1500
  wire-9000 240 wire.sh 9000
q net-9000 180 net.sh 9000
  net-1500 180 net.sh 1500
  net-vhost 300 net_vhost.sh
q ssh 120 ssh.sh
q follow 120 follow.sh
q offload-1500 240 offload.sh 1500
  offload-9000 240 offload.sh 9000
q vlan-1500 180 vlan.sh 1500
  vlan-9000 180 vlan.sh 9000
q mpnic 120 mpnic.sh
q all-or-none 120 all_or_none.sh
q churn 240 churn.sh 256 6 0.5
q remote 240 remote.sh 10
  remote-map 240 remote.sh 6 rx=1,tx=1,echo=2 rx=2,tx=3,trial=1
q map 240 map.sh rx=1,tx=1,storage=2,net=3 two
  map-one-core 240 map.sh rx=1,tx=2,storage=3 one
  perf-kill-term 120 perf_kill.sh TERM
  perf-kill-kill 120 perf_kill.sh KILL
q history 120 history.sh
q life 300 life.sh
q config 600 config.sh
q socket 240 socket.sh
q faults 240 faults.sh
q concepts 120 concepts.sh
q bond-active-backup 240 bond.sh active-backup
q bond-802.3ad 240 bond.sh 802.3ad
q telemetry 120 telemetry.sh
q nbd-clients 240 nbd_clients.sh
q fio 120 fio.sh
  nbd-filters 120 nbd_filters.sh
  readme 600 readme.sh
  kills-perf 900 kills.sh perf
  kills-fio 900 kills.sh fio
  nbd-restart 240 nbd_restart.sh
  nbd-ext4 240 nbd_fuse.sh ext4
  nbd-xfs 240 nbd_fuse.sh xfs
q vhost 180 vhost.sh
q vhost-kill 180 vhost_kill.sh 4
  vhost-kill-20 300 vhost_kill.sh 20
  vhost-missing 180 vhost_missing.sh
  vhost-boot 120 vhost_boot.sh
  vhost-linux 300 vhost_linux.sh
  vhost-linux-kill 300 vhost_linux.sh kill
  vhost-linux-reset 300 vhost_linux.sh reset
  vhost-linux-grow 300 vhost_linux.sh grow
'

quick=false
report=
names=()
while [ $# -gt 0 ]; do
	case $1 in
	--quick) quick=true ;;
	--build)
		export MPNIC_BUILD=${2:?--build: expected a directory}
		shift
		;;
	--kills)
		export MPNIC_KILLS=${2:?--kills: expected a number}
		shift
		;;
	--report)
		report=${2:?--report: expected a directory}
		shift
		;;
	-*)
		echo "run.sh: '$1': expected --build DIR, --quick, --kills N, --report DIR or names of tests" >&2
		exit 2
		;;
	*) names+=("$1") ;;
	esac
	shift
done
: "${MPNIC_BUILD:?--build: expected a build directory}"

wanted() { # FLAG NAME
	local name

	if [ ${#names[@]} -eq 0 ]; then
		! $quick || [ "$1" = q ]
		return
	fi
	for name in "${names[@]}"; do
		# A name may be a pattern.
		# shellcheck disable=SC2254
		case $2 in $name) return 0 ;; esac
	done
	return 1
}

finish() {
	if [ -n "${REPORT_PID:-}" ]; then
		kill "$REPORT_PID" 2>/dev/null
		wait "$REPORT_PID"
	fi
	[ -n "$report" ] || rm -rf "$REPORT_DIR"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# With --report the lines belong to somebody else's count.
if [ -n "$report" ]; then
	REPORT_DIR=$report
else
	report_init "$(mktemp -d)"
fi
while read -r flag name limit script args; do
	if [ "$flag" != q ] && [ -n "$flag" ]; then
		args="$script $args" script=$limit limit=$name name=$flag flag=
	fi
	[ -n "$name" ] && wanted "$flag" "$name" || continue
	# shellcheck disable=SC2086
	report_run "system $name" "$limit" "$here/$script" $args
done <<<"$tests"
[ -n "$report" ] || report_end
