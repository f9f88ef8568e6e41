#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# A server is told what to do while clients are attached: volumes come and go, counters are asked for by
# HTTP, strangers say nonsense; systemd is told when it is ready and when it ends.
. "$(dirname "$0")/lib.sh"

need python3
link_up vhost 9000
make_image in.img 16384
cp in.img disk.img
printf '# volumes\n\nadd disk=file:disk.img\nadd slow=delay:read=50ms:file:slow.img\n' >serve.conf
cp in.img slow.img
cp in.img slice.img

# Say something to a UNIX socket and print what comes back.
say() { # SOCKET TEXT
	timeout 10 python3 - "$1" "$2" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.connect(sys.argv[1])
		try:
		    s.sendall(sys.argv[2].encode("latin-1").decode("unicode_escape").encode("latin-1"))
		    while data := s.recv(65536):
		        sys.stdout.write(data.decode())
		except ConnectionError:
		    pass
	END
}

ctl() {
	timeout 10 "$EBD" ctl --control "$T/ctl.sock" "$@" >ctl.out 2>ctl.err
}

# What systemd would be told.
start systemd timeout 60 python3 -u -c '
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("notify.sock")
print("bound")
while True:
    print(s.recv(100).decode())
'
wait_for 10 grep -q bound systemd.out || fail "no socket for systemd"
export NOTIFY_SOCKET=$T/notify.sock
serve server "$SERVER_LINK" -- "${MTU_ARGS[@]}" --config serve.conf --control "$T/ctl.sock" \
	--metrics "$T/metrics.sock" --link "vhost:$T/l2.sock"
unset NOTIFY_SOCKET
wait_for 5 grep -q READY=1 systemd.out || fail "systemd was not told READY=1"
[ "$(stat -c %a ctl.sock)" = 600 ] || fail "others may use the control socket"

expect_ok 30 copy --link "$CLIENT_LINK" ebd:disk out.img --verify
same in.img out.img

# A volume comes, is used, and goes; its name can be used again, many times over.
for i in $(seq 70); do
	ctl add new=mem:1M || fail "add number $i: $(cat ctl.out ctl.err)"
	ctl remove new || fail "remove number $i: $(cat ctl.out ctl.err)"
done
ctl add new=mem:16M || fail "add: $(cat ctl.out)"
expect_ok 30 copy --link "$CLIENT_LINK" in.img ebd:new --verify
ctl add new=mem:16M && fail "two volumes have one name"
grep -q "there is one of this name" ctl.out || fail "not a word of the name: $(cat ctl.out)"
ctl add bad=flie:x && fail "a volume of no kind was added"
grep -q "did you mean file" ctl.out || fail "not a word of what is right: $(cat ctl.out)"

# It goes while a client is at it: that one fails, another one does not notice.
start copy "$EBD" copy --link "virtio:$T/l2.sock" --depth 2 --sparse off \
	--fail-after 2s ebd:slow slow.out.img
slow_is_read() {
	ctl sessions && grep -q '"volume": "slow"' ctl.out && [ -s slow.out.img ]
}
wait_for 20 slow_is_read || fail "the copy did not get going"
ctl remove slow || fail "cannot remove a volume with a client: $(cat ctl.out)"
expect_ok 30 copy --link "$CLIENT_LINK" ebd:disk out.img --verify
reap copy 60
[ "$RC" -eq 1 ] || fail "the copy of a volume that was removed ended with status $RC"
expect_ok 30 discover --link "$CLIENT_LINK"
grep -q slow client.out && fail "a volume that was removed is still offered"
grep -q new client.out || fail "a volume that was added is not offered: $(cat client.out)"

# Lists of clients: others see nothing, whether they look or come.
us=6f1c2f1e-0d6b-4f0e-9c52-3a1b8e7d5c40
ctl allow "secret=$us" || fail "allow: $(cat ctl.out)"
ctl add secret=slice:off=1M,size=2M:readonly:file:disk.img,lock=shared && fail "two have the image"
ctl add secret=slice:off=1M,size=2M:file:slice.img,lock=shared || fail "add a slice: $(cat ctl.out)"
ctl add rest=slice:off=3M:file:slice.img,lock=shared || fail "add another slice: $(cat ctl.out)"
expect_ok 30 discover --link "$CLIENT_LINK"
grep -q secret client.out && fail "somebody who is not on the list sees the volume"
grep -q rest client.out || fail "the volume without a list is not there: $(cat client.out)"
client 30 info --link "$CLIENT_LINK" --timeout 1s secret
[ "$RC" -eq 1 ] || fail "somebody who is not on the list opened the volume: status $RC"
expect_ok 30 discover --link "$CLIENT_LINK" --client "$us"
grep -q secret client.out || fail "the one on the list does not see the volume"
expect_ok 30 copy --link "$CLIENT_LINK" --client "$us" ebd:secret slice.out.img --verify
cmp <(tail -c +1048577 slice.img | head -c 2097152) slice.out.img || fail "another slice was read"
ctl volumes
grep -q "$us" ctl.out || fail "the list is not shown"
ctl deny "secret=$us" || fail "deny: $(cat ctl.out)"
client 30 info --link "$CLIENT_LINK" --client "$us" --timeout 1s secret
[ "$RC" -eq 1 ] || fail "somebody who was taken off the list opened the volume: status $RC"
ctl allow "secret=$us,nonsense" && fail "nonsense is on the list"
grep -q "'nonsense': expected a UUID, a MAC" ctl.out || fail "not a word of what is right: $(cat ctl.out)"
ctl volumes
grep -q "$us" ctl.out && fail "half of a bad list was taken"
ctl allow secret=all || fail "allow all: $(cat ctl.out)"
expect_ok 30 info --link "$CLIENT_LINK" secret
ctl remove secret && ctl remove rest || fail "cannot remove the slices"

# Counters.
say metrics.sock 'GET /metrics HTTP/1.0\r\n\r\n' >metrics.out
grep -q '^HTTP/1.0 200 OK' metrics.out || fail "no metrics: $(cat metrics.out)"
grep -q '^ebd_read_bytes_total [1-9]' metrics.out || fail "nothing was read: $(cat metrics.out)"
grep -q '^ebd_volume_size_bytes{volume="disk"} 16777216$' metrics.out || fail "no size of the volume"
[ "$(tail -n 1 metrics.out)" = '# EOF' ] || fail "the metrics have no end"
say metrics.sock 'GET / HTTP/1.0\r\n\r\n' | grep -q '^HTTP/1.0 404' || fail "no 404"
say metrics.sock 'POST /metrics HTTP/1.0\r\n\r\n' | grep -q '^HTTP/1.0 405' || fail "no 405"

# Nonsense, too much of it, none of it.
say ctl.sock 'frobnicate\n' | grep -q "expected add, remove" || fail "nonsense was taken"
say ctl.sock 'add\n' | grep -q "add: expected NAME=SPEC" || fail "a command without its argument was taken"
say ctl.sock 'volumes\x00\n' >nul.out
[ -s nul.out ] && fail "a zero was taken: $(cat nul.out)"
say ctl.sock "$(head -c 9000 /dev/zero | tr '\0' x)" >long.out
[ -s long.out ] && fail "a line without an end was taken"
for i in $(seq 12); do
	start "idle$i" timeout 60 python3 -c 'import socket, time
s = socket.socket(socket.AF_UNIX); s.connect("ctl.sock"); s.recv(1)'
done
wait_for 10 ctl volumes || fail "idle connections keep others out"

ctl stop || fail "stop: $(cat ctl.out)"
reap server 20
[ "$RC" -eq 0 ] || fail "the server ended with status $RC"
grep -q STOPPING=1 systemd.out || fail "systemd was not told STOPPING=1"
[ ! -e ctl.sock ] && [ ! -e metrics.sock ] || fail "sockets are left"
ctl volumes && fail "nobody answers, and ctl is content"

# A configuration that is wrong says where.
printf 'add disk=file:disk.img\nadd x\n' >bad.conf
client 20 serve --link "$SERVER_LINK" --config bad.conf
[ "$RC" -eq 2 ] || fail "exit status $RC with a bad configuration"
grep -q 'bad.conf:2: add' client.err || fail "not a word of the line: $(cat client.err)"
