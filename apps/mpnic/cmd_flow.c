/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "app.h"

static void
print_flow(struct mpn_out *o, const char *nic, struct mpn_personality *p)
{
	struct mpn_personality_info info;

	mpn_personality_get_info(p, &info);
	mpn_out_object(o, NULL);
	mpn_out_str(o, "nic", nic);
	mpn_out_str(o, "personality", info.name);
	mpn_out_u64(o, "size", info.flow_size);
	mpn_out_u64(o, "rx_waiting", info.rx_len);
	mpn_out_u64(o, "tx_waiting", info.tx_len);
#define X(name, text) mpn_out_u64(o, #name, info.stats.name);
	MPN_FLOW_COUNTER_LIST(X)
#undef X
	mpn_out_close(o);
}

static int
run_show(struct shell *sh, const struct shell_args *args)
{
	return app_show_personalities(sh, args, "flows", print_flow);
}

static const struct shell_cmd cmds[] = {
	{"show flow [NIC|all] [json]", "the RX and TX flows of a NIC's personalities", run_show},
};

const struct shell_section flow_section = {
	.name = "flow",
	.help = "the rings between NICs and personalities",
	.cmds = cmds,
	.nb_cmds = MPN_ARRAY_SIZE(cmds),
};
