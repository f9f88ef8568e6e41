#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# fio installs no headers. This fetches the distribution's source package of the installed fio, the same
# version, configures it, and prints the directory: what the fio engine is built with.
#
#	meson setup build -Dfio_source="$(devtools/fetch-fio.sh [DIR])"
#
# DIR defaults to build-fio. apt does it, with its own signatures and checksums, from the mirrors the
# system has; but from a list of sources of its own, so that nothing of the system's is changed.
set -eu
cd "$(dirname "$0")/.."

dir=${1:-build-fio}
version=$(dpkg-query -W -f '${source:Version}' fio 2>/dev/null) || {
	echo "fetch-fio.sh: fio is not installed as a Debian package" >&2
	exit 1
}
mkdir -p "$dir"
dir=$(realpath "$dir")
done=$dir/fio-$version
if [ -e "$done/config-host.h" ] && [ -e "$done/FIO-VERSION-FILE" ]; then
	echo "$done"
	exit 0
fi
for tool in apt-get dpkg-source cc make; do
	command -v "$tool" >/dev/null || {
		echo "fetch-fio.sh: needs $tool: devtools/setup.sh test installs it" >&2
		exit 1
	}
done

work=$(mktemp -d "$dir/tmp.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$work/parts" "$work/lists" "$work/lists/partial"

# Where packages come from, sources come from.
sources() {
	local f

	for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ -e "$f" ] || continue
		sed -nE 's/^deb[[:space:]]/deb-src /p' "$f" >"$work/parts/$(basename "$f" .list).list"
	done
	for f in /etc/apt/sources.list.d/*.sources; do
		[ -e "$f" ] || continue
		sed -E 's/^Types:.*/Types: deb-src/' "$f" >"$work/parts/$(basename "$f")"
	done
}
sources
apt=(apt-get -q=2 -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/parts"
	-o Dir::State::Lists="$work/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
	-o APT::Sandbox::User=)
{
	# A mirror that has no sources is not the one that has fio.
	"${apt[@]}" update || true
	(cd "$work" && "${apt[@]}" source "fio=$version")
	cd "$work"/fio-*/
	./configure --disable-native
	make FIO-VERSION-FILE
} >"$dir/fetch.log" 2>&1 || {
	tail -n 5 "$dir/fetch.log" >&2
	echo "fetch-fio.sh: cannot get the source of fio $version, see $dir/fetch.log" >&2
	exit 1
}
rm -rf "$done"
mv "$work"/fio-*/ "$done"
echo "$done"
