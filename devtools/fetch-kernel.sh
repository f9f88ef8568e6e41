#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Fetches the distribution's kernel for machines in the cloud and prints a directory with what a test needs of
# it: vmlinuz and the modules of virtio disks and of vhost-net. Nothing is installed.
#
#	devtools/fetch-kernel.sh [DIR]
#
# DIR defaults to build-kernel. apt does it, with its own signatures and checksums.
set -eu
cd "$(dirname "$0")/.."

dir=${1:-build-kernel}
for tool in apt-get apt-cache dpkg-deb; do
	command -v "$tool" >/dev/null || {
		echo "fetch-kernel.sh: needs $tool, of a Debian system" >&2
		exit 1
	}
done
# The package that is always the newest names it.
package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null |
	sed -nE 's/^ *Depends: (linux-image-[0-9].*)/\1/p' | head -n 1)
[ -n "$package" ] || {
	echo "fetch-kernel.sh: apt knows no linux-image-cloud-amd64: apt-get update, or no amd64" >&2
	exit 1
}
mkdir -p "$dir"
dir=$(realpath "$dir")
done=$dir/$package
# The last that was added: an older directory has not all of it.
if [ -e "$done/vmlinuz" ] && [ -e "$done/vhost_net.ko" ]; then
	echo "$done"
	exit 0
fi

work=$(mktemp -d "$dir/tmp.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$work/all" "$work/use"
{
	# Root's apt would fetch as a user who may not write here.
	(cd "$work" && apt-get -q=2 -o APT::Sandbox::User= download "$package")
	dpkg-deb --fsys-tarfile "$work"/*.deb | tar -x -C "$work/all" --wildcards './boot/vmlinuz*' \
		'./lib/modules/*/kernel/drivers/virtio/*' './lib/modules/*/kernel/drivers/block/virtio_blk*' \
		'./lib/modules/*/kernel/drivers/net/t[au][pn].ko' './lib/modules/*/kernel/drivers/vhost/vhost*'
	cp "$work"/all/boot/vmlinuz* "$work/use/vmlinuz"
	find "$work/all/lib/modules" -name '*.ko' -exec cp {} "$work/use/" \;
} >"$dir/fetch.log" 2>&1 || {
	tail -n 5 "$dir/fetch.log" >&2
	echo "fetch-kernel.sh: cannot get $package, see $dir/fetch.log" >&2
	exit 1
}
rm -rf "$done"
mv "$work/use" "$done"
echo "$done"
