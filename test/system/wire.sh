#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# tshark judges what is on the wire: no malformed frame, and every field says what was sent. The image
# is put together again from the captured frames alone.	wire.sh MTU
. "$(dirname "$0")/lib.sh"

need tshark
need dumpcap
need python3
link_up switched "$1"
make_image disk.img 2048
cp disk.img original.img
make_image changed.img 2048
dissector=$SRC/doc/ebd.lua

capture() { # FILE
	start capture "${SWITCH_CMD[@]}" dumpcap -q -B 64 -i ports \
		-f "ether proto 0x0666 or ether proto 0x0667" -w "$1"
	wait_for 20 grep -q "^File: " capture.err || fail "the capture did not start"
}

end_capture() { # FILE
	# The last frames may still be in the kernel.
	expect_ok 30 discover --link "$CLIENT_LINK" "${MTU_ARGS[@]}" --timeout 1s
	wait_for 20 has_advert "$1" || fail "the end is not in the capture"
	send capture INT
	reap capture 20
	grep -q "dropped: 0\|received/dropped on interface 'ports': [0-9]*/0 " capture.err ||
		skip "the kernel dropped frames of the capture: $(tail -n 1 capture.err)"
}

dissect() { # FILE [tshark arguments]
	local file=$1

	shift
	tshark -X "lua_script:$dissector" -r "$file" "$@" 2>tshark.err
}

# The discovery that marks the end comes after everything else.
has_advert() {
	[ "$(dissect "$1" -Y 'ebd.kind == 0 && ebd.op == 2' | wc -l)" -ge 2 ]
}

# shellcheck disable=SC2094 # tshark only reads the file
judge() { # FILE IMAGE read|write
	local bad

	bad=$(dissect "$1" -Y 'ebd.error || _ws.malformed || _ws.lua.error || !ebd')
	[ -z "$bad" ] || fail "these frames are wrong: $bad"
	# ebd.reserved and the volume names are checked by the dissector itself.
	dissect "$1" -T fields -e ebd.dir -e ebd.kind -e ebd.op -e ebd.sid -e ebd.tag -e ebd.addr \
		-e ebd.off -e ebd.plen -e ebd.flags -e ebd.cseq -e ebd.ack -e ebd.status \
		-e ebd.granted -e ebd.limit -e ebd.crc_valid -e eth.src -e eth.dst -e ebd.isn \
		-e ebd.p -e ebd.payload -E occurrence=f >fields
	python3 "$SRC/test/system/judge.py" "$2" "$3" <fields || fail "the judge found fault with $1"
}

serve server "$SERVER_LINK" disk0=file:disk.img -- "${MTU_ARGS[@]}"
capture read.pcapng
expect_ok 60 copy --link "$CLIENT_LINK" "${MTU_ARGS[@]}" ebd:disk0 out.img
end_capture read.pcapng
judge read.pcapng original.img read
python3 "$SRC/test/system/judge.py" changed.img read <fields && fail "the judge takes any image"

capture write.pcapng
expect_ok 60 copy --link "$CLIENT_LINK" "${MTU_ARGS[@]}" --sparse off changed.img ebd:disk0
end_capture write.pcapng
judge write.pcapng changed.img write
stop_server server

# A judge that finds everything good is none: some bytes are changed, and it must see it.
editcap -E 0.0005 --seed 1 read.pcapng broken.pcapng
[ -n "$(dissect broken.pcapng -Y 'ebd.error || _ws.malformed')" ] || fail "the dissector sees no error"
