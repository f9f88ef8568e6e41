#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Every program that is installed has --help, --version, a man page and completion, and they say the same.
. "$(dirname "$0")/lib.sh"

DESTDIR=$T/root meson install -C "$BUILD" --no-rebuild --quiet >install.log 2>&1 ||
	fail "cannot install: $(tail -n 3 install.log)"
bin=$(find root -type d -name bin)
[ "$(find "$bin" -type f | wc -l)" -ge 3 ] || fail "the programs are not there: $(ls "$bin")"
LD_LIBRARY_PATH=$(dirname "$(find "$T/root" -name 'libmpnic.so' -print -quit)")
export LD_LIBRARY_PATH

# The page as it is read, in long lines; without man, the source without its marks.
render() { # PAGE
	if command -v man >/dev/null && command -v groff >/dev/null; then
		LC_ALL=C MANWIDTH=1000 man --warnings -E ascii -l "$1" 2>man.err | sed 's/.\x08//g'
		[ ! -s man.err ] || fail "$1: $(cat man.err)"
	else
		sed -E 's/\\f[BRI]//g; s/\\&//g; s/\\-/-/g; s/\\e/\\/g' "$1"
	fi
}

# What bash proposes for the last word.
complete_words() { # WORD...
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	COMPREPLY=()
	"_${1//-/_}"
	printf '%s\n' "${COMPREPLY[@]}"
}

options_of() { # FILE
	sed -nE 's/^ +(-., )?(--[a-z-]+).*/\2/p' "$1"
}

check() { # PROGRAM [COMMAND]
	local name=${1##*/} page option

	"$1" ${2:+"$2"} --help >help.out 2>help.err </dev/null || fail "$* --help: status $?"
	[ ! -s help.err ] || fail "$* --help: said something on stderr: $(cat help.err)"
	page=$(find root -name "$name${2:+-$2}.1")
	[ -n "$page" ] || fail "$*: no man page"
	render "$page" >page.out
	for word in NAME SYNOPSIS DESCRIPTION "SEE ALSO"; do
		grep -q "^$word\|^.SH $word" page.out || fail "$page: no $word"
	done
	grep -q "^ *$name${2:+-$2} - [a-z]" page.out || fail "$page: no line that says what it is"
	for option in $(options_of help.out); do
		grep -qE -- "(^| )$option( |$)" page.out || fail "$page: no $option"
		complete_words "$name" ${2:+"$2"} "${option%?}" | grep -qx -- "$option" ||
			fail "$*: $option is not completed"
	done
	nb=$((nb + $(options_of help.out | wc -l)))
	# What can be typed at a prompt is there, too.
	if grep -qx -- --commands <(options_of help.out); then
		"$1" --commands >commands.out || fail "$1 --commands: status $?"
		sed -nE '/^  /{ s/^  //; s/  .*//p }' commands.out >syntax.out
		[ "$(wc -l <syntax.out)" -ge 25 ] || fail "$1 --commands: only $(wc -l <syntax.out) commands"
		while IFS= read -r option; do
			grep -qF -- "$option" page.out || fail "$page: no '$option'"
		done <syntax.out
	fi
}

nb=0
for program in "$bin"/*; do
	name=${program##*/}
	"$program" --version >version.out 2>&1 </dev/null || fail "$name --version: status $?"
	grep -qE '[0-9]+\.[0-9]+' version.out || fail "$name --version: $(cat version.out)"
	completion=$(find root -path "*bash-completion/completions/$name")
	[ -n "$completion" ] || fail "$name: no completion"
	# shellcheck disable=SC1090
	. "$completion"
	[ "$(complete -p "$name")" = "complete -F _${name//-/_} $name" ] || fail "$name: completion does nothing"
	check "$program"
	# One that has commands lists them.
	"$program" --help >list.out
	grep -q ' COMMAND --help' list.out || continue
	# shellcheck disable=SC2013
	for command in $(sed -nE 's/^  ([a-z]+) .*/\1/p' list.out); do
		complete_words "$name" "${command%?}" | grep -qx "$command" || fail "$name $command is not completed"
		check "$program" "$command"
	done
done
[ "$nb" -ge 60 ] || fail "only $nb options were found"

# Values, where they are a choice, also after a '='.
complete_words ebd serve --idle sl | grep -qx sleep || fail "no value of --idle is proposed"
complete_words ebd copy --sparse = of | grep -qx off || fail "no value is proposed after a '='"
complete_words ebd serve --link vho | grep -qx vhost: || fail "no kind of link is proposed"
complete_words ebd perf --rw randr | grep -qx randread || fail "no load is proposed"
complete_words ebd info --can fl | grep -qx flush || fail "nothing a volume can is proposed"
complete_words vhost-ebd --crc au | grep -qx auto || fail "no value of --crc is proposed"
complete_words ebd serve --volume disk0 = nb | grep -qx nbd: || fail "no kind of volume is proposed"
complete_words ebd serve --volume = disk0 = nb | grep -qx nbd: || fail "no kind of volume is proposed after --volume="
complete_words ebd serve --volume disk0 = | grep -qx mem: || fail "no kind of volume is proposed after a '='"
complete_words ebd ctl read | grep -qx readonly || fail "no command of a server is proposed"
touch pidfile-here
complete_words ebd serve --pidfile pidf | grep -qx pidfile-here || fail "no file is proposed"
complete_words ebd serve --volume disk0 = file : pidf | grep -qx pidfile-here || fail "no image is proposed"
complete_words ebd info --link virtio : pidf | grep -qx pidfile-here || fail "no socket is proposed"

# The unit for systemd starts what was installed, and systemd has nothing to say against it.
unit=$(find root -name 'ebd-serve@.service')
grep -q "^ExecStart=${bin#root}/ebd serve " "$unit" || fail "$unit: $(grep ^ExecStart= "$unit")"
if command -v systemd-analyze >/dev/null; then
	sed "s,^ExecStart=[^ ]*,ExecStart=$T/$bin/ebd," "$unit" >ebd-serve@x.service
	systemd-analyze verify ./ebd-serve@x.service >unit.out 2>&1
	[ ! -s unit.out ] || fail "$unit: $(cat unit.out)"
fi

# The plugin's page is written by hand: it has all its parameters, too.
if [ -e "$NBD_PLUGIN" ] && command -v nbdkit >/dev/null; then
	render "$SRC/apps/nbdkit-ebd/nbdkit-ebd-plugin.1" >page.out
	nbdkit "$NBD_PLUGIN" --help >help.out
	[ "$(grep -cE '^[a-z-]+=<' help.out)" -ge 10 ] || fail "the plugin says nothing of its parameters"
	# shellcheck disable=SC2013
	for option in $(sed -nE 's/^([a-z-]+)=<.*/\1/p' help.out); do
		grep -q "\b$option\b" page.out || fail "nbdkit-ebd-plugin.1: no $option"
	done
fi

# So is that of fio's engine.
if [ -e "$FIO_ENGINE" ]; then
	[ -n "$(find root -name fio-ebd.1)" ] || fail "fio-ebd: no man page"
	render "$SRC/apps/fio-ebd/fio-ebd.1" >page.out
	nb=0
	# shellcheck disable=SC2013
	for option in $(sed -nE 's/^\t\{"([a-z-]+)", .*/\1/p' "$SRC/apps/bridge/client_opts.c"); do
		grep -qE "^ +$option=|^.It Cm $option " page.out || fail "fio-ebd.1: no $option"
		nb=$((nb + 1))
	done
	[ "$nb" -ge 10 ] || fail "only $nb options of the engine were found"
fi
