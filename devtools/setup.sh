#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Installs the Debian packages that are missing, and says which. Run it, or source it and call
# setup_packages with the sets that are wanted:
#
#	devtools/setup.sh [build] [demo] [test] [heavy] [bench]		default: the first three

# What each set is for. Everything else these need comes with them as a dependency.
setup_set() {
	case $1 in
	build) # the library and the applications
		echo gcc libc6-dev meson ninja-build pkg-config libdpdk-dev libnuma-dev libisal-dev \
			libsodium-dev liburing-dev libnbd-dev librbd-dev
		;;
	demo) # a file system to serve
		echo e2fsprogs
		;;
	test) # the second compiler and its run-time, checkers, judges and rivals
		echo git make libcmocka-dev clang clang-format libclang-rt-14-dev shellcheck doxygen \
			tshark iproute2 iputils-ping util-linux procps e2fsprogs xfsprogs fdisk nbdkit nbdkit-plugin-dev \
			libnbd-bin qemu-utils fuse3 fio dpkg-dev ceph-mon ceph-osd ceph-mgr ceph-common \
			iperf3 busybox-static ethtool openssh-client dropbear-bin curl
		;;
	heavy) # machines with their firmware, and what runs in them; --quick needs none
		echo qemu-system-x86 busybox-static
		;;
	bench) # what devtools/bench.sh compares with, and how it counts
		echo util-linux nbdkit fio valgrind iproute2 iputils-ping iperf3
		;;
	*)
		echo "setup.sh: '$1': expected build, demo, test, heavy or bench" >&2
		return 1
		;;
	esac
}

setup_is_installed() {
	dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

# Install what is missing of the given sets.
setup_packages() {
	local set pkgs pkg missing=() root=()

	PATH=$PATH:/usr/sbin:/sbin
	for set in "$@"; do
		pkgs=$(setup_set "$set") || return 2
		command -v dpkg-query >/dev/null || continue
		for pkg in $pkgs; do
			setup_is_installed "$pkg" || missing+=("$pkg")
		done
	done
	if ! command -v dpkg-query >/dev/null; then
		echo "setup: this is no Debian system: not checking for packages" >&2
		return 0
	fi
	[ ${#missing[@]} -gt 0 ] || return 0
	echo "setup: installing ${missing[*]}"
	if [ "$(id -u)" -ne 0 ]; then
		if command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
			root=(sudo)
		else
			echo "setup: these packages are missing and only root may install them; run as root:" >&2
			echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
			return 1
		fi
	fi
	# A fresh machine has no package lists, an old one stale ones.
	"${root[@]}" apt-get update -q=2 >/dev/null || echo "setup: apt-get update failed, going on" >&2
	# No question of any package (tshark has one) may stop this.
	"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q=2 -y --no-install-recommends \
		-o DPkg::Lock::Timeout=300 "${missing[@]}" </dev/null >/dev/null || {
		echo "setup: apt-get could not install: ${missing[*]}" >&2
		return 1
	}
}

# meson belongs to the system's python: another python first in PATH must not get in between.
setup_meson() {
	if [ -x /usr/bin/meson ]; then
		echo /usr/bin/meson
	else
		command -v meson
	fi
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	set -eu
	[ $# -gt 0 ] || set -- build demo test
	setup_packages "$@"
	echo "setup: everything for $* is installed"
fi
