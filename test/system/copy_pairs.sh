#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Copies between any two of a file, a volume and an NBD export; several queues; a copy that is killed and
# resumed.
. "$(dirname "$0")/lib.sh"

need qemu-nbd
"$EBD" serve --volume help | grep -q '^ *nbd:' || skip "built without libnbd"
link_up vhost 9000
make_image in.img 16384
truncate -s 16M vol.img nbd.img nbd2.img

# qemu-nbd serves whoever comes until it is told to end.
for name in nbd nbd2; do
	start "$name" qemu-nbd -t -e 16 -f raw -k "$T/$name.sock" "$name.img"
	wait_for 10 test -S "$name.sock" || fail "qemu-nbd does not start"
done
serve server "$SERVER_LINK" disk0=file:vol.img "slow=delay:all=20ms:file:in.img,lock=shared"
declare -A file=([file.img]=file.img [ebd:disk0]=vol.img
	["nbd+unix:///?socket=$T/nbd.sock"]=nbd.img
	["nbd:nbd+unix:///?socket=$T/nbd2.sock,connections=2"]=nbd2.img)

cp in.img file.img
for src in "${!file[@]}"; do
	for dst in "${!file[@]}"; do
		[ "$src" != "$dst" ] || continue
		cp in.img "${file[$src]}"
		if [ "$dst" != file.img ]; then
			head -c 16M /dev/urandom | dd of="${file[$dst]}" conv=notrunc bs=1M status=none
		fi
		link=()
		[[ $src$dst != *ebd:* ]] || link=(--link "$CLIENT_LINK")
		expect_ok 60 copy "${link[@]}" --queues 2 "$src" "$dst" --verify --json
		[ "$(json verified)" = true ] || fail "$src to $dst was not verified"
		# What a server has not written yet it has promised by the flush.
		same in.img "${file[$dst]}"
	done
done
expect_ok 60 copy in.img new.img
[ "$(stat -c %b new.img)" -lt $((13 << 11)) ] || fail "a copy of a file has no holes"
client 20 copy in.img "$T/./in.img"
[ "$RC" -eq 2 ] || fail "a file was copied to itself: status $RC"
client 20 copy ebd:disk0 x.img
[ "$RC" -eq 2 ] && grep -q -- --link client.err || fail "a volume needs a link: status $RC"
client 20 copy "nbd+unix:///?socket=$T/none.sock" x.img
[ "$RC" -eq 1 ] && grep -q none.sock client.err || fail "status $RC without an NBD server"

# Killed in the middle, and again by SIGTERM: what was noted is not copied again, and all of it is right.
args=(--link "$CLIENT_LINK" --depth 1 --request-size 64k --sparse off --resume note ebd:slow out.img)
noted() {
	[ -e note ] && [ "$(tail -n 1 note)" -gt "$1" ]
}
rm -f out.img
start copy "$EBD" copy "${args[@]}"
wait_for 60 noted 0 || fail "nothing was noted"
send copy KILL
reap copy 10
at=$(tail -n 1 note)
# What lies above is not believed.
printf 'old' | dd of=out.img bs=1 seek=$((at + 70000)) conv=notrunc status=none
client 20 copy --link "$CLIENT_LINK" --resume note ebd:disk0 out.img
[ "$RC" -eq 1 ] && grep -q "another copy" client.err || fail "a note of another copy was taken: $RC"
start copy "$EBD" copy "${args[@]}"
grew() {
	[ "$(stat -c %y out.img)" != "$before" ]
}
before=$(stat -c %y out.img)
wait_for 30 grew || fail "the resumed copy does not get going"
send copy TERM
reap copy 20
[ "$RC" -eq 130 ] || fail "the copy ended with status $RC"
noted "$at" || fail "the end was not noted: $(tail -n 1 note)"
at=$(tail -n 1 note)
truncate -s 15M short.img
sed "s/out.img/short.img/" note >note2
client 20 copy --link "$CLIENT_LINK" --resume note2 ebd:slow short.img
[ "$RC" -eq 1 ] && grep -q "another size" client.err || fail "a file of another size was resumed: $RC"
expect_ok 60 copy "${args[@]}" --depth 8 --verify --json
[ "$(json bytes)" = $(((16 << 20) - at)) ] || fail "$(json bytes) bytes were copied, not those from $at on"
same in.img out.img
[ ! -e note ] || fail "the note is left"

stop_server server
for name in nbd nbd2; do
	send "$name" TERM
	reap "$name" 10
	rm -f "$name.sock"
done
expect_nothing_left
