#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Three servers in a row, and a client that writes and verifies through all of them; the same with a guest on a
# disk of the first one:
#
#   client -> ebd serve (nbd: volume) -> nbdkit with the plugin -> ebd serve (file volume)
#   guest -> vhost-ebd -> ebd serve (the same, another volume)
#
# One of the four is killed at a random moment and started again, MPNIC_KILLS (20) times over. Client and guest
# are never started again, lose nothing and are not stuck.
#	kills.sh perf|fio
. "$(dirname "$0")/lib.sh"

kills=${MPNIC_KILLS:-20}
seed=${MPNIC_SEED:-$$}
RANDOM=$seed
echo "seed $seed"
if [ "$1" = fio ]; then
	[ -e "$FIO_ENGINE" ] || skip "the fio engine was not built: needs -Dfio_source"
	need fio
fi
link_up vhost 9000
truncate -s "$((kills * 2 + 24))M" disk.img
# nbdkit comes back as the same client: the server ends what its last life has left under way before it
# takes anything new, which NBD alone could not promise. On a busy disk that may take longer than the 5 s for which
# a client waits by itself.
us=6f1c2f1e-0d6b-4f0e-9c52-3a1b8e7d5c40
nb_aborts=0

truncate -s 16M guest.img

up() { # store|kit|front|target
	case $1 in
	store) serve store "$SERVER_LINK" disk0=file:disk.img ;;
	kit)
		rm -f kit.sock
		nbd_serve kit -t 32 -- volume=disk0 client="$us" fail-after=never connect-timeout=25s
		;;
	front)
		# It does not start without its back end.
		until start_front; do
			wait_for 5 is_gone "${PIDS[kit]}" || fail "the front ended at once: $(cat front.err)"
			revive_kit
		done
		;;
	target)
		start target "$BUILD/apps/vhost-ebd/vhost-ebd" --no-huge --link "virtio:$T/l3.sock" guest \
			--socket g.sock --queues 4 --fail-after never --connect-timeout 25s
		wait_for 30 is_ready target && ! is_gone "${PIDS[target]}" || fail "the target did not get ready"
		;;
	esac
}
start_front() {
	start front "$EBD" serve --link "vhost:$T/l2.sock" --link "vhost:$T/l3.sock" --volume guest=file:guest.img \
		--volume "disk0=nbd:nbd+unix:///?socket=$T/kit.sock,connections=2,fail-after=never"
	wait_for 30 is_ready front || fail "the front did not get ready"
	! is_gone "${PIDS[front]}"
}

# nbdkit 1.32 may stop at an assertion when who asks it is killed in mid-answer: one more of its ends, which is not
# ours to mend. Whoever needs it waits for it meanwhile.
revive_kit() {
	is_gone "${PIDS[kit]}" || return 0
	grep -q "raw_send_socket: Assertion" kit.err || fail "nbdkit has ended by itself: $(cat kit.err)"
	reap kit 1
	nb_aborts=$((nb_aborts + 1))
	up kit
}
# Both have written since then.
have_changed() {
	revive_kit
	is_gone "${PIDS[client]}" || is_gone "${PIDS[guest]}" ||
		{ [ "$(stat -c %y disk.img)" != "$before" ] && [ "$(stat -c %y guest.img)" != "$guest_before" ]; }
}
is_done() {
	revive_kit
	is_gone "${PIDS[client]}"
}

up store
up kit
up front
up target
start guest "$BUILD/test/vhost/vhost_blk" g.sock verify 3600 8
wait_for 20 grep -q working guest.out || fail "the guest cannot connect"
# It writes for about as long as the kills take, at a pace that leaves them room. On a slow machine the next one goes on.
nb_clients=0
start_client() {
	nb_clients=$((nb_clients + 1))
	if [ "$1" = fio ]; then
		start client fio --ioengine="external:$FIO_ENGINE" --link="virtio:$T/l2.sock" --volume=disk0 --name=v \
			--fail-after=never --rw=randwrite --bs=16k --iodepth=16 --size="$((kills * 2))M" --rate=768k \
			--verify=crc32c --verify_fatal=1 --verify_state_save=0 --randrepeat=0
	else
		start client "$EBD" perf --link "virtio:$T/l2.sock" disk0 --rw randrw --bs 16k --depth 16 \
			--rate 400 --time "$((kills * 4 + 5))s" --verify --fail-after never --json
	fi
}
end_client() {
	reap client 10
	cat client.out >>clients.out
	[ "$RC" -eq 0 ] || fail "the client ended with status $RC, seed $seed"
}
start_client "$1"
declare -A nb=([store]=0 [kit]=0 [front]=0 [target]=0)
names=(store kit front target)
for ((i = 0; i < kills; i++)); do
	name=${names[RANDOM % 4]}
	while :; do
		before=$(stat -c %y disk.img) guest_before=$(stat -c %y guest.img)
		wait_for 60 have_changed || fail "stuck after kill $i ($name is next), seed $seed"
		is_gone "${PIDS[client]}" || break
		end_client
		start_client "$1"
	done
	is_gone "${PIDS[guest]}" && fail "the guest has ended after kill $i, seed $seed: $(cat guest.err)"
	sleep "0.$((RANDOM % 900 + 100))"
	send "$name" KILL
	# The kernel ends what io_uring has under way on the disk first.
	reap "$name" 30
	nb[$name]=$((nb[$name] + 1))
	up "$name"
done
wait_for 300 is_done || fail "stuck after the last kill, seed $seed"
end_client
echo "killed: the store ${nb[store]}, nbdkit ${nb[kit]}, the front ${nb[front]}, the target ${nb[target]} times"
echo "nbdkit has stopped by itself $nb_aborts times; $nb_clients clients"
if [ "$1" = perf ]; then
	grep -qE '"reconnects": [1-9]' clients.out || [ "${nb[front]}" -eq 0 ] || fail "nobody noticed a kill"
fi
send guest TERM
reap guest 120
[ "$RC" -eq 0 ] || fail "the guest ended with status $RC, seed $seed: $(cat guest.err)"
# One that is killed again before the guest has met it is met once: what the last one had under way may be written
# after it.
met=$(awk '$1 == "reconnects" { print $2 }' guest.out)
[ "$met" -ge $(((nb[target] + 1) / 2)) ] || fail "the guest has seen $met of ${nb[target]} kills of its target"

# What the client sees is what is on the disk.
CLIENT_LINK=virtio:$T/l2.sock
expect_ok 60 copy --link "$CLIENT_LINK" ebd:disk0 out.img
stop_server target
stop_server front
nbd_stop kit
stop_server store
same out.img disk.img
