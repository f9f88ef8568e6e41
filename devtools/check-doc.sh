#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
#	devtools/check-doc.sh links	every link in every Markdown file leads somewhere
#	devtools/check-doc.sh wire	text, dissector and header know the same numbers
#	devtools/check-doc.sh symbols	every public symbol is documented
#	devtools/check-doc.sh html DIR	the same, and writes the reference to DIR
set -u
cd "$(dirname "$0")/.." || exit 1

bad=0
breach() {
	bad=1
	printf '%s\n' "$*"
}

# The anchors of a Markdown file: its headings in lower case, blanks as dashes, punctuation gone.
anchors() {
	# shellcheck disable=SC2016
	sed -nE '/^[`]{3}/,/^[`]{3}/d; s/^#+ +//p' "$1" | tr '[:upper:]' '[:lower:]' |
		sed -E 's/[^a-z0-9 _-]//g; s/ /-/g'
}

check_links() {
	local file link path anchor target

	while IFS=: read -r file link; do
		case $link in http://* | https://* | mailto:*) continue ;; esac
		path=${link%%#*}
		anchor=${link#"$path"}
		target=$file
		[ -z "$path" ] || target=$(dirname "$file")/$path
		if [ ! -e "$target" ]; then
			breach "$file: '$link' leads nowhere"
		elif [ -n "$anchor" ] && ! anchors "$target" | grep -qx -- "${anchor#\#}"; then
			breach "$file: '$link': no such heading"
		fi
	done < <(git ls-files --cached --others --exclude-standard '*.md' |
		xargs -r grep -HoE '\]\([^) ]+\)' | sed -E 's/\]\((.*)\)/\1/')
}

# The rows "X(NAME, ...)" of a list in the header as "NAME NUMBER" or "NAME low".
wire_list() {
	sed -n "/define $1(X)/,/[^\\\\]\$/p" lib/wire/wire_ebd.h |
		sed -nE 's/^[[:space:]]*X\(([A-Z_]+), "?([a-z_0-9]+)"?.*/\1 \2/p'
}

check_wire() {
	local name value nb=0

	while read -r name value; do
		nb=$((nb + 1))
		grep -q "^| $name | $value |" doc/wire-format.md ||
			breach "doc/wire-format.md: no status $name = $value"
		grep -q "\"$name\"" doc/ebd.lua || breach "doc/ebd.lua: no status $name"
	done < <(wire_list WIRE_STATUS_LIST)
	while read -r name value; do
		nb=$((nb + 1))
		grep -q "^| $value |" doc/wire-format.md || breach "doc/wire-format.md: no cause $value"
	done < <(wire_list WIRE_DROP_LIST)
	while read -r name value; do
		nb=$((nb + 1))
		grep -qE "^\| $name \| $value \|" doc/wire-format.md ||
			breach "doc/wire-format.md: no flag $name = $value"
		grep -q "\"flags_${name,,}\".*$value" doc/ebd.lua || breach "doc/ebd.lua: no flag $name = $value"
	done < <(sed -nE '/^enum wire_flag/,/^}/s/^.*WIRE_F_([A-Z]+) =.*/\1/p' lib/wire/wire_ebd.h |
		while read -r name; do
			echo "$name $(grep -A1 "WIRE_F_$name =" lib/wire/wire_ebd.h | grep -oE '0x[0-9a-f]{4}' | head -n 1)"
		done)
	while read -r name value; do
		nb=$((nb + 1))
		grep -qE "(\| |, )${name} (\| )?${value}[ ,|]" doc/wire-format.md ||
			breach "doc/wire-format.md: no operation $name = $value"
		grep -q "\"$name\"" doc/ebd.lua || breach "doc/ebd.lua: no operation $name"
	done < <(sed -nE '/^enum wire_(disc|ctrl|probe|cmd)_op/,/^}/s/^[[:space:]]*WIRE_((DISC|CTRL|PROBE)_)?([A-Z_]+) = ([0-9]+),.*/\3 \4/p' lib/wire/wire_ebd.h)
	[ "$nb" -gt 60 ] || breach "lib/wire/wire_ebd.h: found only $nb names: this check is out of date"
}

# The headers that meson installs.
public_headers() {
	local list dir

	for list in lib/*/meson.build; do
		dir=$(dirname "$list")
		sed -n '/public_headers +=/,/)/p' "$list" | grep -oE "'[a-z_]+\.h'" | tr -d "'" |
			sed "s#^#$dir/#"
	done
}

# Members of structures and enumerators are left to their authors: a name may say it all.
check_symbols() { # [DIR]
	local out html=NO log

	out=${1:-}
	if [ -n "$out" ]; then html=YES; else out=$(mktemp -d); fi
	mkdir -p "$out"
	log=$out/doxygen.log
	sed -e "s/@VERSION@/$(sed -nE "s/.*version: '([0-9.]+)',/\1/p" meson.build | head -n 1)/" \
		-e "s#@HEADERS@#$(public_headers | tr '\n' ' ')#" -e "s#@OUTPUT@#$out#" \
		-e "s/@HTML@/$html/" doc/Doxyfile.in >"$out/Doxyfile"
	doxygen "$out/Doxyfile" >"$log" 2>&1
	while IFS= read -r line; do
		breach "${line#"$PWD/"}"
	done < <(grep -E ': (error|warning):' "$log" |
		grep -vE 'Member .* \((variable|enumvalue)\) of |Member .* of (struct|enum) ')
	# No output at all would pass above.
	[ -s "$out/xml/index.xml" ] || breach "doxygen made nothing: $(tail -n 3 "$log")"
	[ $html = YES ] || rm -rf "$out"
}

case ${1:-} in
links) check_links ;;
wire) check_wire ;;
symbols) check_symbols ;;
html) check_symbols "${2:?expected a directory}" ;;
*)
	echo "check-doc.sh: '${1:-}': expected links, wire, symbols or html DIR" >&2
	exit 2
	;;
esac
exit $bad
