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

# It ends when told so, also when the server has gone.
send server KILL
reap server 10
nbd_stop kit
