# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# Doxygen's input filter. A comment in the headers speaks for all declarations that follow it without
# a blank line; Doxygen gives it to the first one only. So repeat it in front of the others, on one
# line, in order not to shift line numbers.

/^\/\*\*/ { comment = ""; in_comment = 1; decls = 0 }
in_comment {
	text = $0
	sub(/^ \*\/?/, " ", text)
	comment = comment text
	if (/\*\//)
		in_comment = 0
	print
	next
}
/^$/ { comment = ""; decls = 0 }
# A declaration starts in the first column and ends with a semicolon.
/^[a-z]/ && !open && !/^(static|extern|typedef|struct [a-z_]+ \{|enum [a-z_]+ \{)/ {
	if (decls++ > 0 && comment != "") {
		text = comment
		sub(/\*\/.*/, "", text)
		# Doxygen does not like a result of a function that has none.
		if (/^void [a-z]/)
			sub(/@return.*/, "", text)
		printf "%s */ ", text
	}
	open = 1
}
/;[^;]*$/ { open = 0 }
{ print }
