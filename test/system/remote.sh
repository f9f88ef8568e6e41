#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# A personality in another process, which is killed at random moments, hangs, leaves, and is started again each
# time, with frames for it arriving all the time; while another personality of the same NIC has images copied to it
# and verified: no byte is wrong, no request is lost, none of its frames is dropped in a queue.
#
#	remote.sh KILLS [MAP THERE]	the stages of both NICs are on several lcores: of this one, of the other process's
. "$(dirname "$0")/lib.sh"

kills=$1 map=${2:-} map_there=${3:-}
need_root "network namespaces and tap interfaces"
need python3
need setpriv
[ -c /dev/net/tun ] || skip "no /dev/net/tun"
ns=mpn$$
netns_add "$ns"
CLIENT_CMD=(nsenter --net="/run/netns/$ns")
sock=$T/echo.sock
LCORES=() MAP=() MAP_THERE=()
if [ -n "$map" ]; then
	[ -e "$BUILD/test/system/trial.so" ] || skip "needs $BUILD/test/system/trial.so"
	cpus=$(taskset -cp $$ | sed 's/.*: //')
	LCORES=(--lcores "(0-3)@($cpus)") MAP=(--map "nic0:rx=1,tx=1") MAP_THERE=(--map "nic0:rx=2,tx=3")
fi

cat >begin <<END
personality define nic0 storage
personality load nic0 storage
personality start nic0 storage
personality define nic0 remote echo
personality load nic0 echo socket=$sock,type=0x88b6,hang=500ms
personality start nic0 echo
volume add scratch mem:64M
${map:+set map nic0 $map}
start
END
start mpnic "$MPNIC" --no-pci -m 512 "${LCORES[@]}" -- --link "vhost:$T/l.sock" "${MAP[@]}" --cmdline-file begin \
	--socket s --idle yield
wait_for 30 "$MPNIC" --connect s -e "show program" >begin.log 2>&1 || fail "$(cat begin.log mpnic.err)"

# The client's host asks, and counts the answers, as long as there is an interface.
start asker "${CLIENT_CMD[@]}" python3 -c '
import os, socket, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88b6))
s.setblocking(False)
answers = 0
while True:
    try:
        s.bind(("mpn0", 0x88b6))
        mac = s.getsockname()[4]
        while True:
            s.send(b"\xff" * 6 + mac + b"\x88\xb6" + bytes(500))
            time.sleep(0.0005)
            try:
                while True:
                    # Those it has sent come by as well.
                    answers += s.recvfrom(2048)[1][2] != socket.PACKET_OUTGOING
            except BlockingIOError:
                pass
            with open("answers.new", "w") as f:
                f.write(str(answers))
            os.rename("answers.new", "answers")
    except OSError:
        time.sleep(0.01)
'
echo 0 >answers

ask() { # COMMAND
	timeout 30 "$MPNIC" --connect s -e "$1"
}
process_is() { # STATE
	ask "show personality nic0" | grep -Eq "^ +process +$1\$"
}
has_more_than() { # ANSWERS
	[ "$(cat answers)" -gt "$1" ]
}
echo "set fwd echo nic0" >there
# A test mode has the port for itself, and does not go with a map.
if [ -n "$map" ]; then
	printf 'personality %s\n' "define nic0 $BUILD/test/system/trial.so" "load nic0 trial echo" "start nic0 trial" >there
	echo "set map nic0 $map_there" >>there
fi
start_process() { # NAME
	start "$1" "$MPNIC" --no-huge --no-pci -m 128 "${LCORES[@]}" -- --link "remote:$sock,wait=20s" "${MAP_THERE[@]}" \
		--cmdline-file there --idle yield
}
kill_process() { # NAME
	send "$1" KILL
	reap "$1" 10
}
expect_answers() {
	wait_for 20 has_more_than $(($(cat answers) + 20)) || fail "no answers: $(cat ./*.err asker.out)"
}
refuse_process() { # TEXT COMMAND...
	local text=$1

	shift
	timeout 60 "$@" -e "show port" >refused.out 2>&1 && fail "it was not refused"
	grep -q "$text" refused.out || fail "expected '$text': $(cat refused.out)"
}

# Images are copied until the lives are over.
copies() {
	while [ ! -e enough ]; do
		"${CLIENT_CMD[@]}" timeout 120 "$EBD" copy --link "virtio:$T/l.sock" --net mpn0 \
			disk.img ebd:scratch --verify || return 1
		echo >>copied
	done
}
make_image disk.img 65536
start copies copies

[ -z "$map" ] || ask "show config" | grep -Fq "set map nic0 $map" || fail "no map: $(ask "show config")"
for i in $(seq "$kills"); do
	start_process "echo$i"
	# Every third one is killed while it comes.
	if [ $((i % 3)) -ne 0 ]; then
		wait_for 30 process_is attached || fail "no process: $(cat "echo$i.err")"
		expect_answers
	fi
	pause=0.$((RANDOM % 400 + 100))
	sleep "$pause"
	kill_process "echo$i"
	wait_for 10 process_is '(failed|waiting)' || fail "its death was not noticed"
done
ask "show personality nic0" >dead.txt
grep -q 'last_error_cause .*has died' dead.txt || fail "$(cat dead.txt)"
grep -q 'last_error  *Broken pipe' dead.txt || fail "$(cat dead.txt)"
ask "show log" | grep -q "'echo': process .* has died" || fail "not in the log"
# The port counts who came and who failed, and says whose process it was.
counts() { # EVENT
	ask "show port nic0 json" | sed -nE "s/.*\"$1\": ([0-9]+).*/\1/p"
}
[ "$(counts process_failed)" -ge 1 ] || fail "no event: $(ask "show port nic0")"
[ "$(counts process_came)" -ge "$(counts process_failed)" ] || fail "more failed than came: $(ask "show port nic0")"
ask "show port nic0" | grep -Eq "^ +process_of +echo\$" || fail "$(ask "show port nic0")"
ask "clear stats nic0"

# One that hangs is given up; it comes back when it goes on.
start_process hangs
wait_for 30 process_is attached || fail "no process: $(cat hangs.err)"
expect_answers
send hangs STOP
wait_for 10 process_is failed || fail "it hangs, and nobody notices"
ask "show personality nic0" | grep -q 'does not poll any more' || fail "$(ask "show personality nic0")"
send hangs CONT
wait_for 10 process_is attached || fail "it does not come back: $(cat hangs.err)"
expect_answers

# While it is there, nobody else; nor anybody who may not write to the socket.
refuse_process 'is there already' "$MPNIC" --no-huge --no-pci -m 128 -- --link "remote:$sock"
chmod 711 "$T"
refuse_process 'Permission denied' env RUNTIME_DIRECTORY=/tmp setpriv --reuid=65534 --regid=65534 --clear-groups \
	"$MPNIC" --no-huge --no-pci -m 128 -- --link "remote:$sock"
refuse_process 'no personality of the kind remote' \
	"$MPNIC" --no-huge --no-pci -m 128 -- --link "remote:$T/nobody.sock,wait=10ms"

# It leaves: no error. The personality goes on without, and can be stopped.
send hangs TERM
reap hangs 20
[ "$RC" -eq 0 ] || fail "the process ended with status $RC"
wait_for 10 process_is waiting || fail "it left, and nobody notices"
events=$(counts process_came),$(counts process_failed),$(counts process_left)
[ "$events" = 2,1,1 ] || fail "came, failed, left: $events, expected 2,1,1"
ask "personality stop nic0 echo" || fail "stop"
ask "personality start nic0 echo" || fail "start"

: >enough
reap copies 120
[ "$RC" -eq 0 ] || fail "a copy failed: $(cat copies.err)"
expect_ok 60 copy --link "virtio:$T/l.sock" ebd:scratch out.img
same disk.img out.img
ask "show flow nic0 json" >flow.json || fail "show flow"
expect_storage_kept flow.json
send asker TERM
reap asker 10

# The process of the NIC ends first: the other one has no link any more, and ends when it is told to.
start_process last
wait_for 30 process_is attached || fail "no process: $(cat last.err)"
send mpnic TERM
reap mpnic 20
[ "$RC" -eq 0 ] || fail "mpnic ended with status $RC"
wait_for 10 grep -q "has ended" last.err || fail "it did not notice: $(cat last.err)"
send last TERM
reap last 20
[ "$RC" -eq 0 ] || fail "the process ended with status $RC"
echo "$kills killed, $(wc -l <copied) images copied and verified, $(cat answers) answers"
expect_nothing_left
