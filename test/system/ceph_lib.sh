# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
# shellcheck shell=bash
#
# A Ceph cluster of one monitor and one OSD that keeps its objects in memory: everything in $T/ceph and
# on loopback ports of its own. To be sourced after lib.sh, which ends what is started here.

CEPH_CONF=$T/ceph/ceph.conf

# The first of 20 ports on the loopback interface of which nobody uses one.
free_ports() {
	local port i try

	for try in $(seq 50); do
		port=$((20000 + (RANDOM + try) % 600 * 20))
		for i in $(seq "$port" $((port + 19))); do
			grep -qi ":$(printf '%04x' "$i") " /proc/net/tcp && continue 2
		done
		echo "$port"
		return 0
	done
	return 1
}

in_ceph() { # COMMAND...
	timeout -k 2 60 "$1" -c "$CEPH_CONF" "${@:2}" >>ceph.log 2>&1
}

ceph_start_osd() {
	start osd ceph-osd -f -i 0 -c "$CEPH_CONF"
	wait_for 30 osd_is_up || fail "the OSD did not come up: $(tail -n 3 osd.err)"
}

osd_is_up() {
	timeout 10 ceph -c "$CEPH_CONF" osd stat 2>>ceph.log | grep -q ' 1 up'
}

# A clean end: an OSD in memory writes down what it has, and has it when it is started again.
ceph_stop_osd() {
	send osd TERM
	reap osd 30
}

ceph_up() { # POOL
	local port fsid uuid class

	for class in ceph-mon ceph-osd ceph rbd monmaptool; do
		need "$class"
	done
	mkdir -p ceph/mon ceph/osd ceph/run
	port=$(free_ports) || skip "no free ports"
	fsid=$(cat /proc/sys/kernel/random/uuid)
	uuid=$(cat /proc/sys/kernel/random/uuid)
	class=$(find /usr/lib -name libcls_rbd.so -print -quit)
	cat >"$CEPH_CONF" <<-END
		[global]
		fsid = $fsid
		mon host = [v2:127.0.0.1:$port]
		public addr = 127.0.0.1
		cluster addr = 127.0.0.1
		ms bind msgr1 = false
		ms bind port min = $((port + 1))
		ms bind port max = $((port + 19))
		auth cluster required = none
		auth service required = none
		auth client required = none
		run dir = $T/ceph/run
		admin socket =
		pid file =
		log file = $T/ceph/\$name.log
		mon data = $T/ceph/mon
		mon data avail crit = 1
		mon allow pool delete = true
		mon allow pool size one = true
		paxos propose interval = 0.05
		paxos min wait = 0.01
		osd data = $T/ceph/osd
		osd objectstore = memstore
		memstore device bytes = 1073741824
		osd class dir = ${class%/*}
		osd class load list = *
		osd class default list = *
		osd crush chooseleaf type = 0
		osd pool default size = 1
		osd pool default min size = 1
		osd pool default pg autoscale mode = off
		osd client watch timeout = 5
		osd fast shutdown = false
		[client]
		log file =
	END
	monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$port]" ceph/monmap >ceph.log 2>&1 ||
		fail "no monitor map"
	ceph-mon --mkfs -i a --monmap ceph/monmap -c "$CEPH_CONF" >>ceph.log 2>&1 || fail "no monitor"
	start mon ceph-mon -f -i a -c "$CEPH_CONF"
	in_ceph ceph osd new "$uuid" || fail "the monitor does not answer"
	ceph-osd --mkfs -i 0 --osd-uuid "$uuid" -c "$CEPH_CONF" >>ceph.log 2>&1 || fail "no OSD"
	ceph_start_osd
	in_ceph ceph osd pool create "$1" 8 || fail "no pool"
	in_ceph ceph osd pool application enable "$1" rbd || fail "the pool takes no images"
}

# What counts the bytes in a pool, of which quotas are made: a pool that nobody counts is never full.
ceph_start_mgr() {
	need ceph-mgr
	mkdir -p ceph/mgr
	start mgr ceph-mgr -f -i x -c "$CEPH_CONF" --mgr_data="$T/ceph/mgr" --mgr_initial_modules= \
		--mgr_tick_period=1 --mgr_stats_period=1
	wait_for 60 mgr_is_up || fail "the manager did not come up: $(tail -n 3 mgr.err)"
}

mgr_is_up() {
	timeout 10 ceph -c "$CEPH_CONF" mgr stat 2>>ceph.log | grep -q '"available": true'
}

# What the cluster says of a pool: full, full_quota.
pool_has_flag() { # POOL FLAG
	timeout 10 ceph -c "$CEPH_CONF" osd pool ls detail 2>>ceph.log |
		grep -Eq "^pool [0-9]* '$1' .* flags [^ ]*\\<$2\\>"
}

pool_lacks_flag() { # POOL FLAG
	! pool_has_flag "$@"
}
