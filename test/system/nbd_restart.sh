#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# A server that is killed and comes back while NBD clients work; nbdkit goes on. What an idle nbdkit costs.
. "$(dirname "$0")/lib.sh"

need fio
need nbdcopy
link_up vhost 9000
truncate -s 32M disk.img
has_changed() {
	[ "$(stat -c %y disk.img)" != "$before" ]
}

serve server "$SERVER_LINK" disk0=file:disk.img
nbd_serve kit -t 32 -- disk0 fail-after=30s

start fio fio --name=v --ioengine=nbd --uri="$URI" --rw=randwrite --bs=16k --iodepth=32 --size=32M \
	--verify=crc32c --verify_fatal=1 --rate=24m --randrepeat=0
for _ in 1 2 3; do
	before=$(stat -c %y disk.img)
	wait_for 20 has_changed || fail "nothing is written"
	send server KILL
	reap server 10
	serve server "$SERVER_LINK" disk0=file:disk.img
done
reap fio 90
[ "$RC" -eq 0 ] || fail "fio ended with status $RC"
run 60 nbdcopy "$URI" out.img
same out.img disk.img

# Without requests it sleeps.
cpu=$(cpu_percent kit 2)
[ "$cpu" -le 3 ] || fail "an idle nbdkit uses $cpu % of a core"

# A volume that has gone for good is an error, and works again when it is back. One request at a time: nbdkit
# 1.32 may stop at an assertion when a client leaves while several threads answer it.
nbd_stop kit
nbd_serve kit -- disk0 fail-after=2s connect-timeout=2s
stop_server server
serve server "$SERVER_LINK" other=mem:1M
timeout 60 nbdcopy --connections=1 --requests=1 "$URI" out.img 2>run.err && fail "a volume that is gone was copied"
stop_server server
serve server "$SERVER_LINK" disk0=file:disk.img
rm -f out.img
run 60 nbdcopy "$URI" out.img
same out.img disk.img

# Killed with a write in the back end, it comes back as the same client when that has ended, and says what it
# waits for if it is not to wait so long.
nbd_stop kit
stop_server server
serve server "$SERVER_LINK" disk0=delay:write=8s:file:disk.img
us=6f1c2f1e-0d6b-4f0e-9c52-3a1b8e7d5c40
nbd_serve kit -- disk0 client="$us"
start writer qemu-io -f raw "$URI" -c "write 0 4k"
is_written() {
	send server USR1
	grep -q '^ *in_flight *[1-9]' server.out
}
wait_for 20 is_written || fail "nothing is in the back end"
send kit KILL
reap kit 10
reap writer 10
rm -f kit.sock
timeout 20 nbdkit -f -U "$T/none.sock" "$NBD_PLUGIN" link="$CLIENT_LINK" disk0 client="$us" connect-timeout=1s \
	2>again.err && fail "it came back with a write of its own in the back end"
grep -q "waits for what this client's last session has under way" again.err || fail "$(cat again.err)"
rm -f none.sock
nbd_serve kit -- disk0 client="$us" connect-timeout=25s

# It ends when told so, also when the server has gone.
send server KILL
reap server 10
nbd_stop kit
