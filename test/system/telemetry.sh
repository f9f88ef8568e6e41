#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# The counters of a server and of mpnic by DPDK's telemetry, under load and at rest.
. "$(dirname "$0")/lib.sh"

ASK=$BUILD/test/system/telemetry_ask
[ -x "$ASK" ] || fail "there is no $ASK"

ask() { # NAME COMMAND: the answer of a process goes to answer
	"$ASK" "$RUNTIME_DIRECTORY/dpdk/mpnic-${PIDS[$1]}/dpdk_telemetry.v2" "$2" >answer ||
		fail "$1 did not answer $2"
}

says() { # PATTERN
	grep -qE -- "$1" answer || fail "no '$1' in $(head -c 2000 answer)"
}

# A number of the answer.
number() { # KEY
	sed -nE "s/.*\"$1\":([0-9]+).*/\\1/p" answer
}

serve server "vhost:$T/l.sock" disk0=mem:8M
ask server /mpnic/list
says '\["nic0"\]'
ask server /mpnic/session
says '"sessions":\{\}'

start load "$EBD" perf --link "virtio:$T/l.sock" disk0 --rw randwrite --bs 4k --depth 8 --time 3s
has_session() {
	ask server /mpnic/session,nic0 && grep -q '"volume":"disk0"' answer
}
wait_for 20 has_session || fail "no session was told"
says '"client":"[0-9a-f-]{36}"'

# While it runs: nothing is lost, and numbers grow.
grows() {
	ask server /mpnic/payload,nic0 && [ "$(number rx_store)" -gt "$1" ]
}
wait_for 10 grows 0 || fail "no payload was told"
before=$(number rx_store)
wait_for 10 grows "$before" || fail "payload does not grow"
for topic in link flow delay map personality volume; do
	ask server "/mpnic/$topic,nic0"
	says "\"/mpnic/$topic\": ?\{\""
done
ask server /mpnic/volume,nic0
says '"name":"disk0"'
ask load /mpnic/payload
says '"queues":\{"0":\{"volume":"disk0"'
reap load 30
[ "$RC" -eq 0 ] || fail "the load ended with status $RC: $(cat load.err)"
ask server /mpnic/link,nowhere
says 'no such NIC'
# The same as anybody can see with the commands of the server.
ask server /mpnic/payload
[ "$(number rx_store)" -eq "$(counter server copied_bytes)" ] ||
	fail "telemetry: $(number rx_store) bytes copied, SIGUSR1: $(counter server copied_bytes)"
expect_ok 60 perf --link "virtio:$T/l.sock" disk0 --rw randread --bs 4k --ops 1000 --json
[ "$(json rx_place)" -ge 4096000 ] || fail "the JSON of perf does not tell where payload is copied"
stop_server server

# mpnic before the command start: its NICs are not polled, and told about all the same.
mkfifo commands
start mpnic bash -c 'exec "$@" <commands' bash "$MPNIC" -l 0 --no-huge --no-pci -m 256 \
	--vdev net_ring0 -- -i
exec 3>commands
has_nic() {
	ask mpnic /mpnic/list && grep -q net_ring0 answer
}
wait_for 20 test -S "$RUNTIME_DIRECTORY/dpdk/mpnic-${PIDS[mpnic]}/dpdk_telemetry.v2" ||
	fail "mpnic has no telemetry"
wait_for 20 has_nic || fail "mpnic has no NIC"
ask mpnic /mpnic/link
says '"driver":"net_ring"'
says '"scheduler":"fifo"'
says '"process_failed":0'
ask mpnic /mpnic/map
says '"own_thread":1'
says '"spread":0'
echo "personality define net_ring0 storage" >&3
echo "vlan add net_ring0 100.20 storage" >&3
has_vlan() {
	ask mpnic /mpnic/personality && grep -q '"vlan":"100.20"' answer
}
wait_for 10 has_vlan || fail "no VLAN was told"
echo quit >&3
reap mpnic 20
[ "$RC" -eq 0 ] || fail "mpnic ended with status $RC"
