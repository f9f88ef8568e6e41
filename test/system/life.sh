#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Every step of a life in every state, for a built-in personality and for one from a shared object, by a socket and
# by a file of commands, while blocks are written, read and compared on the same NIC. A step that is refused says why in
# one line, and changes nothing. Shared objects that are no personalities, or crash, are refused.
. "$(dirname "$0")/lib.sh"

trial=$BUILD/test/system
[ -e "$trial/trial.so" ] || skip "the personalities of the test were not built"
link_up vhost 9000
cat >begin <<END
personality define nic0 storage
personality load nic0 storage
personality start nic0 storage
volume add scratch mem:32M
start
END
start mpnic "$MPNIC" --no-pci --no-huge -m 384 -l 0 -- --link "$SERVER_LINK" --cmdline-file begin --socket s
wait_for 30 "$MPNIC" --connect s -e "show program" >begin.log 2>&1 || fail "$(cat begin.log mpnic.err)"
start perf "${CLIENT_CMD[@]}" "$EBD" perf --link "$CLIENT_LINK" scratch --rw randrw --bs 16k --depth 8 \
	--time 300s --verify --json

do_it() { # COMMAND...
	local args=()

	for c in "$@"; do args+=(-e "$c"); done
	timeout 60 "$MPNIC" --connect s "${args[@]}" >do.out 2>do.err || fail "$*: $(cat do.err)"
}
picture() { # FILE
	timeout 60 "$MPNIC" --connect s -e "show config" -e "show personality nic0 json" 2>picture.err |
		grep -E '^[a-z]|"(name|kind|state|ethertypes)"|0x' >"$1"
	grep -q '"storage"' "$1" || fail "no picture: $(cat picture.err)"
}
refused() { # PATTERN COMMAND
	picture before
	timeout 60 "$MPNIC" --connect s -e "$2" >refused.out 2>refused.err && fail "'$2' was not refused"
	[ "$(wc -l <refused.err)" -eq 1 ] || fail "'$2': not one line: $(cat refused.err)"
	grep -qE -- "$1" refused.err || fail "'$2': no '$1' in: $(cat refused.err)"
	picture after
	diff before after >change || fail "'$2' was refused and has changed: $(cat change)"
	nb=$((nb + 1))
}

# What leads to a state, and what is allowed there.
states=(none defined loaded started)
declare -A way=([none]="" [defined]="define" [loaded]="define load" [started]="define load start")
declare -A allowed=([none]=" define " [defined]=" load undefine " [loaded]=" start unload " [started]=" stop ")
declare -A back=([none]="" [defined]="undefine" [loaded]="unload undefine" [started]="stop unload undefine")
verbs=(define load start stop unload undefine)
command() { # VERB KIND NAME
	if [ "$1" = define ]; then echo "personality define nic0 $2 $3"; else echo "personality $1 nic0 $3"; fi
}
walk() { # WORDS KIND NAME
	local verb

	for verb in $1; do do_it "$(command "$verb" "$2" "$3")"; done
}
nb=0 steps=0
for kind in net "$trial/trial.so"; do
	for state in "${states[@]}"; do
		walk "${way[$state]}" "$kind" one
		for verb in "${verbs[@]}"; do
			case ${allowed[$state]} in *" $verb "*) continue ;; esac
			case $state:$verb in
			none:*) why="'one': no such personality" ;;
			*:define) why="'one': there is a personality of this name" ;;
			*) why="'one': cannot $verb: it is $state" ;;
			esac
			refused "$why" "$(command "$verb" "$kind" one)"
		done
		walk "${back[$state]}" "$kind" one
		steps=$((steps + $(wc -w <<<"${way[$state]} ${back[$state]}")))
	done
done
[ "$nb" -eq 36 ] || fail "$nb steps were refused, not 36"

# Failing loads, and what would crash the program, leave it as it was.
do_it "personality define nic0 $trial/trial.so one"
refused "Input/output error" "personality load nic0 one fail"
refused "crashed in load: Segmentation fault" "personality load nic0 one crash"
refused "crashed in load: Aborted" "personality load nic0 one abort"
refused "crashed in load: Segmentation fault" "personality load nic0 one recurse"
do_it "personality load nic0 one no-start"
refused "Input/output error" "personality start nic0 one"
do_it "personality unload nic0 one" "personality load nic0 one" "personality start nic0 one"
do_it "personality define nic0 $trial/trial.so two"
refused "belongs to 'one'" "personality load nic0 two"
do_it "personality undefine nic0 two" "personality stop nic0 one" "personality unload nic0 one" \
	"personality undefine nic0 one"
do_it "personality define nic0 net rest" "personality define nic0 storage more"
refused "wrong" "personality load nic0 rest wrong=1"
refused "takes no options" "personality load nic0 more wrong=1"
do_it "personality undefine nic0 rest" "personality undefine nic0 more"

# Shared objects that are none.
refused "crashes when it is opened: Aborted" "personality define nic0 $trial/trial_open.so"
refused "has personality ABI [0-9]+, expected" "personality define nic0 $trial/trial_abi.so"
refused "its name or one of its functions is missing" "personality define nic0 $trial/trial_incomplete.so"
refused "is no personality" "personality define nic0 $trial/trial_none.so"
refused "No such file" "personality define nic0 $T/nothing.so"
echo "no code" >text.so
refused "text.so" "personality define nic0 $T/text.so"
refused "no such kind of personality: expected" "personality define nic0 nobody"

# One that does not get quiet is stopped all the same, and the others go on meanwhile.
do_it "personality define nic0 $trial/trial.so one" "personality load nic0 one stubborn" "personality start nic0 one"
timeout 60 "$MPNIC" --connect s -e "personality stop nic0 one" >stop.out 2>stop.err && fail "it got quiet"
[ "$(wc -l <stop.err)" -eq 1 ] && grep -q "still busy 5 s after stop" stop.err || fail "$(cat stop.err)"
do_it "personality unload nic0 one" "personality undefine nic0 one"

# No byte was wrong, and it all went on to the end.
is_gone "${PIDS[perf]}" && fail "perf has ended: $(cat perf.err)"
send perf INT
reap perf 60
[ "$(sed -nE 's/.*"verify_bad": ([0-9]+).*/\1/p' perf.out)" = 0 ] || fail "bad blocks: $(cat perf.out perf.err)"
send mpnic TERM
reap mpnic 20
[ "$RC" -eq 0 ] || fail "mpnic ended with status $RC: $(cat mpnic.err)"

# The same from a file: the line that is refused is named, and the program ends.
for state in "${states[@]}"; do
	for verb in "${verbs[@]}"; do
		: >file
		for word in ${way[$state]} "$verb"; do command "$word" net one >>file; done
		line=$(wc -l <file)
		rc=0
		timeout -k 5 60 "$MPNIC" --no-pci --no-huge -m 128 -l 0 -- --link ring:l --cmdline-file file \
			-e "show personality nic0 json" >file.out 2>file.err || rc=$?
		case ${allowed[$state]} in
		*" $verb "*) [ "$rc" -eq 0 ] || fail "$verb when $state: $(cat file.err)" ;;
		*)
			[ "$rc" -eq 1 ] || fail "$verb when $state from a file: status $rc"
			[ "$(wc -l <file.err)" -eq 1 ] && grep -q "file:$line: 'one': " file.err ||
				fail "$verb when $state from a file: $(cat file.err)"
			;;
		esac
	done
done
echo "$nb refused, $steps taken"
expect_nothing_left
