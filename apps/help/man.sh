#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# A man page made of what a program says about itself: it cannot say anything else.
#
#	man.sh VERSION PROGRAM [COMMAND]
set -eu
version=$1
program=$2
command=${3:-}
name=$(basename "$program")
if [ -n "$command" ]; then
	about=$("$program" --help | sed -nE "s/^  $command +//p")
else
	about=$("$program" --help | sed -nE "1s/^$name: //p")
fi
help=$("$program" ${command:+"$command"} --help)
[ -z "$command" ] || name=$name-$command
# One with a prompt lists what can be typed there.
case $help in
*" --commands "*) help="$help
commands:
$("$program" --commands)" ;;
esac

printf '%s\n' "$help" | awk -v name="$name" -v about="$about" -v version="$version" '
function text(s) {
	gsub(/\\/, "\\e", s)
	gsub(/-/, "\\-", s)
	return s ~ /^[.\x27]/ ? "\\&" s : s
}
function literal(on) {
	if (on != is_literal)
		print on ? ".PP\n.nf" : ".fi\n.PP"
	is_literal = on
}
function section(title) {
	literal(0)
	print ".SH " title
}
# "-l, --link LINK  help": bold for what is typed, italics for what stands for something.
function option(line,    what, n, words, i) {
	match(line, /[^ ]  +[^ ]/)
	what = substr(line, 1, RSTART)
	n = split(what, words, " ")
	what = ""
	for (i = 1; i <= n; i++)
		what = what (i > 1 ? " " : "") (words[i] ~ /^-/ ? "\\fB" : "\\fI") text(words[i]) "\\fR"
	print ".TP\n" what "\n" text(substr(line, RSTART + RLENGTH - 1))
}
BEGIN {
	upper = toupper(name)
	printf ".\\\" Made by the program itself.\n.TH \"%s\" \"1\" \"\" \"mpnic %s\" \"mpnic\"\n", upper, version
}
/^usage: / {
	sub(/^usage: [^ ]*\//, "usage: ")
	usage = substr($0, 8)
	if (!described) {
		print ".SH NAME"
		if (about == "")
			waits = 1
		else
			print text(name) " \\- " text(about)
	}
	if (!waits)
		print ".SH SYNOPSIS\n" text(usage) "\n.SH DESCRIPTION"
	described = 1
	next
}
# A program without a list of commands tells in its first sentence what it is for.
waits && NF > 0 {
	first = $0
	sub(/[.,:]([ ].*)?$/, "", first)
	first = tolower(substr(first, 1, 1)) substr(first, 2)
	print text(name) " \\- " text(first) "\n.SH SYNOPSIS\n" text(usage) "\n.SH DESCRIPTION"
	waits = 0
}
/^options:$/ { next }
/^commands:$/ {
	section("COMMANDS")
	in_commands = 1
	next
}
# "show port [NIC|all] [json]  what it does": as an option, but that capital letters stand for something.
function command(line,    what, n, words, i) {
	match(line, /[^ ]  +[^ ]/)
	what = substr(line, 1, RSTART)
	n = split(what, words, " ")
	what = ""
	for (i = 1; i <= n; i++)
		what = what (i > 1 ? " " : "") (words[i] ~ /^\[?[A-Z]/ ? "\\fI" : "\\fB") text(words[i]) "\\fR"
	print ".TP\n" what "\n" text(substr(line, RSTART + RLENGTH - 1))
}
in_commands && /^[a-z]/ {
	i = index($0, ": ")
	print ".SS " text(substr($0, 1, i - 1))
	print text(toupper(substr($0, i + 2, 1)) substr($0, i + 3)) "."
	next
}
in_commands { sub(/^ +/, ""); command($0); next }
/^ +(-., )?--[a-z]/ {
	if (!options)
		section("OPTIONS")
	options = 1
	option(substr($0, match($0, /-/)))
	next
}
!described { next }
NF == 0 { literal(0); print ".PP"; next }
{
	literal($0 ~ /^ /)
	print text($0)
}
END {
	section("SEE ALSO")
	print ".BR ebd (1),\n.BR mpnic (1),\n.BR vhost\\-ebd (1),\n.BR nbdkit\\-ebd\\-plugin (1)"
}'
