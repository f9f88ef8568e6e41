#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Configures a build directory, or again with other options, and builds it:
#
#	[CC=...] devtools/build.sh DIR [meson options]
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=devtools/setup.sh
. devtools/setup.sh

dir=$1
shift
meson=$(setup_meson)
# Options of an earlier time or another compiler must not linger.
stamp="${CC:-cc} $*"
if [ -e "$dir/build.ninja" ] && [ "$(cat "$dir/stamp" 2>/dev/null)" != "$stamp" ]; then
	rm -rf "$dir"
fi
[ -e "$dir/build.ninja" ] || "$meson" setup "$dir" "$@"
echo "$stamp" >"$dir/stamp"
ninja -C "$dir" ${JOBS:+-j "$JOBS"}
