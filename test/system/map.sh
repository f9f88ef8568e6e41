#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# The stages of a NIC on several lcores: copies that are verified, while another personality lives and dies on
# its own lcore, maps come and go, and the program is asked what it does.
#
#	map.sh MAP one|two	the lcores share this many cores
. "$(dirname "$0")/lib.sh"

map=$1
mapfile -t cores < <(taskset -cp $$ | sed -E 's/.*: //; s/,/\n/g' |
	while IFS=- read -r first last; do seq "$first" "${last:-$first}"; done)
cpus=${cores[0]}
[ "$2" = one ] || cpus+=,${cores[1]:-$cpus}
link_up vhost 9000
make_image disk.img 16384

cat >begin <<END
personality define nic0 storage
personality load nic0 storage
personality start nic0 storage
personality define nic0 net
personality load nic0 net ring=64
personality start nic0 net
volume add scratch mem:32M
volume add disk0 file:disk.img
start
END
begin() { # MORE...
	start mpnic "$MPNIC" --no-pci --no-huge -m 384 --lcores "(0-3)@($cpus)" -- --link "$SERVER_LINK" \
		--cmdline-file begin --socket s "$@"
	wait_for 30 "$MPNIC" --connect s -e "show program" >begin.log 2>&1 || fail "$(cat begin.log mpnic.err)"
}
ask() { # COMMAND...
	local args=()

	for c in "$@"; do args+=(-e "$c"); done
	timeout 30 "$MPNIC" --connect s "${args[@]}" >answer 2>answer.err || fail "$*: $(cat answer.err)"
}
says() {
	grep -qE -- "$1" answer || fail "no '$1' in: $(cat answer)"
}

# What cannot be is said in one line, before anything runs.
refused() { # STATUS PATTERN MAP
	local rc=0

	timeout -k 5 60 "$MPNIC" --no-pci --no-huge -m 64 --lcores "(0-3)@($cpus)" -- --link ring:m --map "$3" -e "show map" \
		>refused.out 2>refused.err || rc=$?
	[ "$rc" -eq "$1" ] || fail "--map $3: status $rc: $(cat refused.err)"
	grep -qE -- "$2" refused.err || fail "--map $3: $(cat refused.err)"
}
if [ "$2" = two ]; then
	refused 2 "'rx=1'.*expected a map such as" rx=1
	refused 2 "expected STAGE=LCORE|expected a map such as" nic0:rx
	refused 1 "'nic7': no such NIC" nic7:rx=1
	refused 1 "'rx=9': there is no such lcore: -l or --lcores" nic0:rx=9
	refused 1 "'rx=0': this is the main lcore" nic0:rx=0
	refused 1 "'disk': no such stage: expected one of rx, tx, or a kind" nic0:disk=2
	refused 1 "'disk=9': there is no such lcore" nic0:disk=9

	# It may name what the commands of the start make; several maps of one NIC are one.
	cat >names <<-END
		port attach ring:n extra mtu=1500
		personality define nic0 net backup
		personality define nic0 $BUILD/test/system/trial.so
		personality define extra net
		show map json
	END
	named() { # MAP...
		local args=()

		for m in "$@"; do args+=(--map "$m"); done
		timeout -k 5 60 "$MPNIC" --no-pci --no-huge -m 128 --lcores "(0-3)@($cpus)" -- --link ring:m "${args[@]}" \
			--cmdline-file names >names.out 2>names.err -e "show config"
	}
	named nic0:backup=2,trial=3 nic0:rx=1 extra:net=2,tx=1 || fail "names of the start: $(cat names.err)"
	grep -qx "set map nic0 backup=2,trial=3,rx=1" names.out || fail "$(cat names.out)"
	grep -qx "set map extra net=2,tx=1" names.out || fail "$(cat names.out)"
	named nic0:backup=2 nic0:backup=3 && fail "a stage on two lcores"
	grep -q "'backup' is there twice" names.err || fail "$(cat names.err)"
	named nic0:trial=1 extra:spare=2 && fail "a name that nobody has"
	grep -q "'spare': no such stage: expected one of rx, tx, net" names.err || fail "$(cat names.err)"
	named extra:net=9 && fail "an lcore that is not there"
	grep -q "names:1:.*'net=9': there is no such lcore" names.err || fail "$(cat names.err)"
fi

# A server is in one place, with the storage of all its links.
printf 'personality %s all storage\n' define load start >two
echo "volume add one mem:1M" >>two
two_links() { # MAP...
	local rc=0 args=()

	for m in "$@"; do args+=(--map "$m"); done
	timeout -k 5 60 "$MPNIC" --no-pci --no-huge -m 256 --lcores "(0-3)@($cpus)" -- --link ring:a --link ring:b \
		"${args[@]}" --cmdline-file two -e "show map" >two.out 2>two.err || rc=$?
	return $rc
}
two_links nic0:storage=1 nic1:storage=1,rx=2 || fail "two links on one lcore: $(cat two.err)"
two_links nic0:storage=1 && fail "two links on two lcores are served"
grep -q "one lcore with the storage of all its links" two.err || fail "two links on two lcores: $(cat two.err)"

begin --map "nic0:$map"
expect_ok 60 copy --link "$CLIENT_LINK" disk.img ebd:scratch --verify
expect_ok 60 copy --link "$CLIENT_LINK" ebd:disk0 out.img --verify
same disk.img out.img
ask "show map" "show config"
says "spread *yes"
says "set map nic0 $map"

# A back end that does not answer: the lcores go on while it is waited for, and do the work.
if command -v nbdkit >/dev/null; then
	start deaf nbdkit -f -U "$T/deaf.sock" null 1M
	wait_for 10 test -S deaf.sock || fail "no nbdkit: $(cat deaf.err)"
	send deaf STOP
	ask "clear stats"
	start add timeout 30 "$MPNIC" --connect s -e "volume add deaf nbd:nbd+unix:///?socket=$T/deaf.sock"
	expect_ok 30 perf --link "$CLIENT_LINK" scratch --rw randread --depth 4 --time 2s --json
	awk -F'[:,]' '/"max"/ && $2 > 1000000000 { late = 1 } END { exit late }' client.out ||
		fail "a request waited $(grep '"max"' client.out) ns while a volume was added"
	is_gone "${PIDS[add]}" && fail "the volume was added: $(cat add.out add.err)"
	reap add 30
	[ "$RC" -ne 0 ] && grep -q "cannot connect" add.err || fail "status $RC: $(cat add.out add.err)"
	send deaf KILL
	reap deaf 10
	rm deaf.sock
	ask "show map json"
	awk -F'[:,]' '/"own_thread"/ { away = $2 ~ /false/ } /"rounds"/ && away { n += $2 }
		/"idle_rounds"/ && away { n -= $2 } END { exit n < 1000 }' answer ||
		fail "the lcores stood still while a volume was added: $(cat answer)"
fi

# A life after the other, and other maps, while blocks are written, read and compared.
start perf "${CLIENT_CMD[@]}" "$EBD" perf --link "$CLIENT_LINK" scratch --rw randrw --bs 16k --depth 16 \
	--ops 4000 --verify --json
n=0
until is_gone "${PIDS[perf]}"; do
	case $((n % 4)) in
	0) ask "personality stop nic0 net" "personality unload nic0 net" "personality load nic0 net ring=64" \
		"personality start nic0 net" ;;
	1) ask "set map nic0 rx=3,tx=1,storage=3" "show port" "show flow" "show session" ;;
	2) ask "set map nic0 off" "set scheduler nic0 prio-drr" "show map json" ;;
	3) ask "set map nic0 $map" "set scheduler nic0 fifo" "volume add v$n mem:1M" "clear stats" ;;
	esac
	n=$((n + 1))
done
reap perf 60
[ "$RC" -eq 0 ] || fail "perf ended with status $RC: $(cat perf.err)"
[ "$(sed -nE 's/.*"verify_bad": ([0-9]+).*/\1/p' perf.out)" = 0 ] || fail "bad blocks: $(cat perf.out)"
[ "$n" -ge 2 ] || fail "only $n changes"

# While nothing is polled they stand still.
ask stop
rounds() { grep -A 20 '"lcore": 1' answer | sed -nE 's/.*"rounds": ([0-9]+).*/\1/p' | head -n 1; }
ask "set map nic0 $map" "clear stats"
ask "show map json"
[ "$(rounds)" = 0 ] || fail "polled while stopped: $(cat answer)"
ask start
moves() { timeout 30 "$MPNIC" --connect s -e "show map json" >answer && [ "$(rounds)" -gt 0 ]; }
wait_for 20 moves || fail "not polled after start: $(cat answer)"

# It ends as it does without a map, and what it was is a file that makes it again.
ask "set map nic0 $map" "show config"
cp answer saved
send mpnic TERM
reap mpnic 20
[ "$RC" -eq 0 ] || fail "mpnic ended with status $RC: $(cat mpnic.err)"
cp saved begin
begin
ask "show config"
diff saved answer || fail "another state was recreated"
expect_ok 60 copy --link "$CLIENT_LINK" ebd:disk0 out2.img
same disk.img out2.img
send mpnic INT
reap mpnic 20
[ "$RC" -eq 0 ] || fail "mpnic ended with status $RC: $(cat mpnic.err)"
expect_nothing_left
