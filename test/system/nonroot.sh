#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# An ordinary user without hugepages can do the main job.	nonroot.sh vhost|memif
. "$(dirname "$0")/lib.sh"

link_up "$1" 9000
make_image disk.img 16384
cp disk.img original.img
if [ "$(id -u)" -eq 0 ]; then
	need setpriv
	# The build directory may be one that only root can look into.
	mkdir bin
	cp "$EBD" "$BUILD/lib/libmpnic.so.0" bin/
	EBD=$T/bin/ebd
	export LD_LIBRARY_PATH=$T/bin
	chown -R 65534:65534 "$T"
	chmod 755 "$T"
	SERVER_CMD=(setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all)
	CLIENT_CMD=("${SERVER_CMD[@]}")
fi
unset RUNTIME_DIRECTORY
export XDG_RUNTIME_DIR=$T/run
RUNTIME_DIRECTORY=$T/run

serve server "$SERVER_LINK" disk0=file:disk.img -- --no-huge
expect_ok 30 discover --link "$CLIENT_LINK" --no-huge
expect_ok 60 copy --link "$CLIENT_LINK" --no-huge ebd:disk0 out.img --verify
same out.img original.img
make_image changed.img 16384
chmod 644 changed.img
expect_ok 60 copy --link "$CLIENT_LINK" --no-huge changed.img ebd:disk0 --verify
stop_server server
same disk.img changed.img
expect_nothing_left
