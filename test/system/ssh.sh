#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# A session of ssh over the network personality, with storage on the same port: commands, a file in each direction, and
# what is typed. The daemon has a namespace, a key and a configuration of its own, and ends with the test.
. "$(dirname "$0")/lib.sh"

need_root "network namespaces and tap interfaces"
need ssh
need ssh-keygen
need dropbear
need dropbearkey
[ -c /dev/net/tun ] || skip "no /dev/net/tun"
ns=mpn$$
netns_add "${ns}a"
netns_add "${ns}b"
a=(nsenter --net="/run/netns/${ns}a") b=(nsenter --net="/run/netns/${ns}b")
dd if=/dev/urandom of=data bs=64k count=32 status=none
make_image disk.img 16384

# The daemon looks for keys in the user's home: in a namespace of mounts of its own that is a directory of ours.
home=$(getent passwd root | cut -d: -f6)
mkdir -p home/.ssh && chmod 700 home home/.ssh
cat >daemon.sh <<END
mount --bind $T/home $home || exit 1
exec dropbear -F -E -s -m -r $T/host_key -p 10.66.0.1:22 -P $T/dropbear.pid
END
dropbearkey -t ed25519 -f host_key >host_key.out 2>&1 || fail "no key for the host: $(cat host_key.out)"
ssh-keygen -q -t ed25519 -N '' -f user_key || fail "no key for the user"
cp user_key.pub home/.ssh/authorized_keys
echo "10.66.0.1 $(grep -o '^ssh-ed25519 [^ ]*' host_key.out)" >known
log_in() { # [options of ssh] COMMAND
	timeout 60 "${b[@]}" ssh -F none -i user_key -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes \
		-o UserKnownHostsFile="$T/known" -o StrictHostKeyChecking=yes -o ConnectTimeout=20 -o LogLevel=ERROR \
		"$@"
}

SERVER_CMD=("${a[@]}") CLIENT_CMD=("${b[@]}")
serve server "vhost:$T/l.sock" disk=file:disk.img -- --net mpn0
ip -n "${ns}a" addr add 10.66.0.1/24 dev mpn0
start load "${b[@]}" "$EBD" perf --link "virtio:$T/l.sock" --net mpn0 disk --rw randread --bs 16k --depth 4 \
	--time 200s --json
has_carrier() {
	ip -n "${ns}a" -o link show mpn0 | grep -q LOWER_UP
}
wait_for 30 has_carrier || fail "no carrier: $(cat load.err)"
wait_for 10 ip -n "${ns}b" addr add 10.66.0.2/24 dev mpn0 || fail "no interface"

start daemon "${a[@]}" unshare -m sh daemon.sh
wait_for 20 test -s dropbear.pid || fail "no daemon: $(cat daemon.err)"

# shellcheck disable=SC2016
log_in root@10.66.0.1 'echo $((6 * 7)); echo $SSH_CONNECTION' >answer || fail "no session: $(tail -n 3 daemon.err)"
grep -qx 42 answer && grep -qx '10\.66\.0\.2 [0-9]* 10\.66\.0\.1 22' answer || fail "another answer: $(cat answer)"
# shellcheck disable=SC2016
log_in root@10.66.0.1 'md5sum' <data >sum || fail "the way there: $(tail -n 3 daemon.err)"
[ "$(cut -d' ' -f1 sum)" = "$(md5sum <data | cut -d' ' -f1)" ] || fail "other bytes there"
log_in root@10.66.0.1 "cat $T/data" >copy || fail "the way back: $(tail -n 3 daemon.err)"
same data copy

# What is typed comes back as it is, line by line, through a terminal there.
{
	for i in 1 2 3 4 5 6 7 8 9 10; do
		echo "echo line-$i-\$((i = $i * 11))"
	done
	echo 'exit 7'
} >typed
log_in -tt root@10.66.0.1 'PS1= sh -i' <typed >session 2>session.err
RC=$?
[ "$RC" -eq 7 ] || fail "the session ended with status $RC: $(cat session.err)"
for i in 1 5 10; do
	grep -q "^line-$i-$((i * 11))" session || fail "no answer to line $i: $(cat session)"
done
is_gone "${PIDS[load]}" && fail "the load ended before: $(cat load.err)"

send daemon TERM
reap daemon 10
send load INT
reap load 20
[ "$RC" -eq 0 ] || fail "the load ended with status $RC: $(cat load.err)"
grep -q '"errors": 0' load.out || fail "requests failed: $(cat load.out)"
stop_server server
expect_nothing_left
