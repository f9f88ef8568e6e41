#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the mpnic authors
#
# What `show config` prints recreates the state: for every command that changes it, by the example that its
# row in the table of commands gives. The examples count on what is in the file `begin`.
. "$(dirname "$0")/lib.sh"

cat >begin <<END
personality define net_ring0 storage
personality load net_ring0 storage
personality start net_ring0 storage
personality define net_ring0 net
personality define net_ring1 storage
personality load net_ring1 storage
personality define net_ring1 net
vlan add net_ring1 30 net
volume add one mem:8M
END

# An mpnic that has run the file prints its configuration.
config_of() { # FILE RESULT [COMMAND]
	timeout -k 5 60 "$MPNIC" --lcores '(0-2)@0' --no-huge --no-pci -m 256 --vdev net_ring0 --vdev net_ring1 -- \
		--cmdline-file "$1" ${3:+-e "$3"} -e "show config" >"$2" 2>run.err ||
		fail "$1${3:+, $3}: $(cat run.err)"
}

config_of /dev/null nothing
[ ! -s nothing ] || fail "an mpnic that nothing was done with has a configuration: $(cat nothing)"
config_of begin before
config_of before again
diff before again || fail "another state was recreated"

# "syntax" and "example" follow each other.
"$MPNIC" -l 0 --no-huge --no-pci -m 64 -- -e "help json" >help.json || fail "help json"
sed -nE 's/.*"syntax": "([^"]*)".*/\1/p' help.json | grep -E '^(set|vlan|personality|volume|port) ' |
	grep -vE '^volume (kinds|resize)|^port start' >setters
nb=0
while IFS=$'\t' read -r syntax example; do
	grep -vxF -- "$syntax" setters >left
	mv left setters
	rm -f after
	config_of begin after "$example"
	! cmp -s before after || fail "'$example' is not in the configuration"
	config_of after again
	diff after again || fail "'$example': another state was recreated"
	nb=$((nb + 1))
done < <(awk -F '": "' '
	/"syntax"/ { sub(/",?$/, "", $2); syntax = $2 }
	/"example"/ { sub(/"$/, "", $2); print syntax "\t" $2 }' help.json)
# What is said twice, or in another order, is no other state.
while IFS= read -r line; do
	config_of begin after "$line"
	cp after more
	config_of more again
	diff after again || fail "'$line': another state was recreated"
	! cmp -s before after || fail "'$line' is not in the configuration"
done <<END
volume deny two all
set stats-period 100500us
set fault net_ring0 removed on
set fault net_ring0 no-mbufs on
set fwd-size 9000
port attach bond:ring:x+ring:y,mode=802.3ad pair mtu=1500,cap=1
END
config_of begin after "volume deny one all"
echo "volume deny two all" >>after
echo "volume allow two 02:00:00:00:00:02" >>after
config_of after again
config_of again twice
diff again twice || fail "lists of clients: another state was recreated"
[ ! -s setters ] || fail "commands without an example: $(tr '\n' ';' <setters)"
[ "$nb" -ge 15 ] || fail "only $nb examples were found"
expect_nothing_left
