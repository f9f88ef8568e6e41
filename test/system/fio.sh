#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# fio with its own engine: verify, trim, fsync; jobs that share a link, jobs with links of their own;
# wrong options; Ctrl-C with a server and without; a server that is killed and comes back.
. "$(dirname "$0")/lib.sh"

[ -e "$FIO_ENGINE" ] || skip "the fio engine was not built: needs -Dfio_source"
need fio
FIO=(fio --ioengine="external:$FIO_ENGINE" --verify_fatal=1 --verify_state_save=0)
link_up vhost 9000
truncate -s 32M disk.img
volumes=(disk0=file:disk.img mem=mem:32M fixed=readonly:mem:1M)
serve server "$SERVER_LINK" "${volumes[@]}" -- --link "vhost:$T/l2.sock"

run 60 "${FIO[@]}" --link="$CLIENT_LINK" --name=small --volume=mem --rw=randwrite --bs=4k --iodepth=32 \
	--size=16M --verify=crc32c
grep -q 'err= 0' run.out || fail "fio reports errors: $(cat run.out)"
run 60 "${FIO[@]}" --link="$CLIENT_LINK" --name=sync --volume=disk0 --rw=write --bs=64k --iodepth=8 \
	--size=8M --fsync=4 --fdatasync=3 --verify=crc32c
run 60 "${FIO[@]}" --link="$CLIENT_LINK" --name=trim --volume=disk0 --rw=trimwrite --bs=32k --iodepth=8 \
	--size=8M
# The server has what fio has written.
run 60 "${FIO[@]}" --link="$CLIENT_LINK" --name=pattern --volume=disk0 --rw=write --bs=1M --iodepth=4 \
	--size=4M --verify=pattern --verify_pattern=0x5a --do_verify=1
head -c 4M /dev/zero | tr '\0' '\132' | cmp -n $((4 << 20)) - disk.img || fail "the pattern is not on the disk"

# Three jobs on one link, one on another, all in one process.
run 60 "${FIO[@]}" --rw=randwrite --bs=8k --iodepth=16 --size=4M --verify=crc32c --link="$CLIENT_LINK" \
	--name=a --volume=mem --name=b --volume=mem --offset=8M --name=c --volume=disk0 \
	--name=d --volume=mem --offset=16M --link="virtio:$T/l2.sock"
[ "$(grep -c 'err= 0' run.out)" = 4 ] || fail "not all four jobs are good: $(cat run.out)"

# What is wrong is said in a line.
refuse() { # PATTERN ARGUMENT...
	local pattern=$1

	shift
	timeout 30 "${FIO[@]}" --name=x --rw=randread --size=1M "$@" >run.out 2>&1 && fail "fio took $*"
	grep -q -- "$pattern" run.out || fail "$*: $(cat run.out)"
}
refuse 'volume: is missing' --link="$CLIENT_LINK"
refuse 'link: is missing' --volume=mem
refuse 'idle: .rest.: expected' --link="$CLIENT_LINK" --volume=mem --idle=rest
refuse 'nothere' --link="$CLIENT_LINK" --volume=nothere
refuse 'Read-only' --link="$CLIENT_LINK" --volume=fixed --rw=randwrite

# Killed under way, and back: nothing is lost, and fio does not notice.
start fio "${FIO[@]}" --link="$CLIENT_LINK" --name=kill --volume=disk0 --rw=randwrite --bs=16k --iodepth=32 \
	--size=32M --rate=16m --verify=crc32c
before=$(stat -c %y disk.img)
has_changed() {
	[ "$(stat -c %y disk.img)" != "$before" ]
}
wait_for 20 has_changed || fail "nothing is written"
send server KILL
reap server 10
serve server "$SERVER_LINK" "${volumes[@]}"
reap fio 60
[ "$RC" -eq 0 ] || fail "fio ended with status $RC"

# Ctrl-C, with a server and after its death.
for server in there gone; do
	start fio "${FIO[@]}" --link="$CLIENT_LINK" --name=stop --volume=disk0 --rw=randwrite --iodepth=32 \
		--size=32M --time_based --runtime=60
	before=$(stat -c %y disk.img)
	wait_for 20 has_changed || fail "nothing is written"
	if [ "$server" = gone ]; then
		send server KILL
		reap server 10
	fi
	send fio INT
	reap fio 15
	grep -q 'terminating on signal 2' fio.out fio.err || fail "fio ended by itself"
	grep -q 'stop: (groupid=0' fio.out || fail "fio does not report"
done
left=$(find "$RUNTIME_DIRECTORY" -name "mpnic-$!*")
[ -z "$left" ] || fail "files are left: $left"
