#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Completion for bash, made of what a program says about itself.
#
#	completion.sh PROGRAM
# The single quotes hold what bash is to expand when it completes.
# shellcheck disable=SC2016
set -eu
program=$1
name=$(basename "$program")
func=_$(echo "$name" | tr - _)

# What a word such as LOAD stands for, as the error says that a wrong one gets: "a|b|c".
values_of() { # OPTION
	# shellcheck disable=SC2086
	"$program" ${command:-} "$1" '?' 2>&1 >/dev/null </dev/null |
		sed -nE "s/.*expected (one of )?([a-z-]+(, [a-z-]+)+(,? or [a-z-]+)?)$/\2/p" |
		sed -E 's/,? or |, /|/g' | head -n 1
}

# "--link=LINK --no-huge ...", then the words it takes as a command of its own.
options_of() { # HELP
	printf '%s\n' "$1" | sed -nE 's/^ +(-., )?(--[a-z-]+)( [^ ]+)?  .*/\2\3/p' | tr ' ' '=' |
		while read -r option; do
			case $option in
			*=LOAD | *=HOW | *=WHAT) printf '%s=%s ' "${option%%=*}" "$(values_of "${option%%=*}")" ;;
			*) printf '%s ' "$option" ;;
			esac
		done
}
words_of() { # HELP
	printf '%s\n' "$1" | sed -nE 's/^  ([a-z]+) .*/\1/p' | tr '\n' ' '
}

help=$("$program" --help)
commands=
! printf '%s\n' "$help" | grep -q ' COMMAND --help' || commands=$(words_of "$help")
# shellcheck disable=SC2086
kinds=$("$program" ${commands:+serve} ${commands:---} --link help 2>/dev/null |
	sed -nE 's/^ *([a-z_]+:).*/\1/p' | tr '\n' ' ') || kinds=
# shellcheck disable=SC2086
volumes=$("$program" ${commands:+serve} --volume help 2>/dev/null |
	sed -nE 's/^ *([a-z_]+:).*/\1/p' | tr '\n' ' ') || volumes=

printf '# bash completion for %s, made by the program itself.\n\n' "$name"
printf '%s()\n{\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n' "$func"
printf '\tlocal options words= arg= option\n\n\tCOMPREPLY=()\n'
if [ -n "$commands" ]; then
	printf '\tif [ "$COMP_CWORD" -eq 1 ]; then\n'
	printf '\t\tmapfile -t COMPREPLY < <(compgen -W "%s--help --version" -- "$cur")\n' "$commands"
	printf '\t\treturn\n\tfi\n\tcase ${COMP_WORDS[1]} in\n'
	for c in $commands; do
		command=$c
		help=$("$program" "$c" --help)
		printf '\t%s)\n\t\toptions="%s"\n\t\twords="%s"\n\t\t;;\n' "$c" "$(options_of "$help")" \
			"$(words_of "$help")"
	done
	printf '\t*) return ;;\n\tesac\n'
else
	printf '\toptions="%s"\n' "$(options_of "$help")"
fi
cat <<END
	# "--option=", "NAME=KIND:PATH": one word for the user, several for bash. What follows a kind is a file.
	[ "\$cur" != : ] || prev=: cur=
	if [ "\$prev" = : ]; then
		mapfile -t COMPREPLY < <(compgen -f -- "\$cur")
		return
	fi
	if [ "\$cur" = = ]; then
		cur=
		[[ \${COMP_WORDS[COMP_CWORD - 2]} != --volume ]] || prev=SPEC
	elif [ "\$prev" = = ]; then
		prev=\${COMP_WORDS[COMP_CWORD - 2]}
		[[ \${COMP_WORDS[COMP_CWORD - 3]} != --volume ]] || prev=SPEC
		[[ "\${COMP_WORDS[*]:COMP_CWORD - 4:2}" != "--volume =" ]] || prev=SPEC
	fi
	if [ "\$prev" = SPEC ]; then
		mapfile -t COMPREPLY < <(compgen -W "$volumes" -- "\$cur")
		compopt -o nospace 2>/dev/null
		return
	fi
	for option in \$options; do
		[ "\${option%%=*}" != "\$prev" ] || arg=\${option#"\$prev"}
	done
	case \$arg in
	=LINK)
		mapfile -t COMPREPLY < <(compgen -W "$kinds" -- "\$cur")
		compopt -o nospace 2>/dev/null
		;;
	=FILE | =PATH | =PATH\\|*) mapfile -t COMPREPLY < <(compgen -f -- "\$cur") ;;
	=[a-z]*\\|*) mapfile -t COMPREPLY < <(compgen -W "\$(echo "\${arg#=}" | tr '|' ' ')" -- "\$cur") ;;
	=*) ;;
	*)
		if [[ \$cur == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "\$(for option in \$options; do
				echo "\${option%%=*}"
			done)" -- "\$cur")
		elif [ -n "\$words" ]; then
			mapfile -t COMPREPLY < <(compgen -W "\$words" -- "\$cur")
		else
			mapfile -t COMPREPLY < <(compgen -f -- "\$cur")
		fi
		;;
	esac
}
complete -F $func $name
END
