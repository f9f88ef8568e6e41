/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Test modes of ports, in the manner of dpdk-testpmd: to tell the link from what is above it.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "app.h"
#include "mpn_fwd.h"
#include "mpn_parse.h"

#define MAX_FRAME 16384

static uint32_t frame_bytes = MPN_FWD_MIN_FRAME;

/* As testpmd pairs its ports: the first with the second and so on; what is left over with itself. */
static struct mpn_nic *
find_peer(const struct mpn_nic *nic)
{
	struct mpn_nic *peer;
	unsigned i;

	for (i = 0; mpn_nic_get(i) != nic; i++)
		;
	peer = mpn_nic_get(i ^ 1);
	return peer != NULL ? peer : mpn_nic_get(i);
}

static int
set_fwd(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	struct mpn_fwd_conf conf = {
		.mode = arg, .peer = find_peer(nic), .frame_bytes = frame_bytes};
	int rc = mpn_nic_set_fwd(nic, strcmp(conf.mode, "off") != 0 ? &conf : NULL);

	return rc < 0 ? shell_fail(sh, rc, "%s", app_reason(rc)) : 0;
}

static void
read_fwd(struct mpn_nic *nic, const void *arg, void *old)
{
	mpn_nic_get_fwd(nic, old);
}

static void
restore_fwd(struct mpn_nic *nic, void *arg, const void *old)
{
	const struct mpn_fwd_info *was = old;
	struct mpn_fwd_conf conf = {
		.mode = was->mode, .peer = was->peer, .frame_bytes = was->frame_bytes};

	(void)!mpn_nic_set_fwd(nic, was->mode != NULL ? &conf : NULL);
}

static int
run_fwd(struct shell *sh, const struct shell_args *args)
{
	static const struct app_setter setter = {
		sizeof(struct mpn_fwd_info), read_fwd, set_fwd, restore_fwd};
	const char *mode = args->word[0];
	unsigned i;

	for (i = 0; mpn_fwd_name(i) != NULL && strcmp(mpn_fwd_name(i), mode) != 0; i++)
		;
	if (mpn_fwd_name(i) == NULL && strcmp(mode, "off") != 0)
		return shell_refuse(sh, mode, "expected io, rxonly, txonly, echo or off");
	return app_set_nics(sh, args->n > 1 ? args->word[1] : "all", &setter,
		(void *)(uintptr_t)(const void *)mode);
}

/* Those that send now go on with the new size; none does when one cannot. */
static int
check_size(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	const uint64_t *bytes = arg;
	struct mpn_nic_info info;
	char word[24];

	mpn_nic_get_info(nic, &info);
	if (*bytes <= info.max_frame)
		return 0;
	(void)snprintf(word, sizeof(word), "%" PRIu64, *bytes);
	return shell_refuse(
		sh, word, "frames of %s have at most %u bytes", info.name, info.max_frame);
}

static int
renew(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	struct mpn_fwd_info info;

	mpn_nic_get_fwd(nic, &info);
	if (info.mode == NULL || strcmp(info.mode, "txonly") != 0)
		return 0;
	return set_fwd(sh, nic, (void *)(uintptr_t)(const void *)info.mode);
}

static int
run_size(struct shell *sh, const struct shell_args *args)
{
	uint64_t bytes = 0;
	int rc;

	if (mpn_parse_u64(args->word[0], MPN_FWD_MIN_FRAME, MAX_FRAME, &bytes) < 0)
		return shell_refuse(sh, args->word[0], "expected a number from %d to %d",
			MPN_FWD_MIN_FRAME, MAX_FRAME);
	rc = app_for_each_nic(sh, "all", check_size, &bytes);
	if (rc < 0)
		return rc;
	frame_bytes = (uint32_t)bytes;
	return app_for_each_nic(sh, "all", renew, NULL);
}

/* ---- show ---- */

static int
print_fwd(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	struct mpn_out *o = arg;
	struct mpn_nic_info info, peer;
	struct mpn_fwd_info fwd;

	mpn_nic_get_info(nic, &info);
	mpn_nic_get_fwd(nic, &fwd);
	mpn_out_object(o, NULL);
	mpn_out_str(o, "nic", info.name);
	mpn_out_str(o, "mode", fwd.mode != NULL ? fwd.mode : "off");
	if (fwd.peer != NULL) {
		mpn_nic_get_info(fwd.peer, &peer);
		mpn_out_str(o, "to", peer.name);
	}
	if (fwd.mode != NULL) {
		mpn_out_u64(o, "frame_bytes", fwd.frame_bytes);
		mpn_out_u64(o, "rx_frames", fwd.rx_frames);
		mpn_out_u64(o, "tx_frames", fwd.tx_frames);
		mpn_out_u64(o, "tx_dropped", fwd.tx_dropped);
	}
	mpn_out_close(o);
	return 0;
}

static int
run_show(struct shell *sh, const struct shell_args *args)
{
	return app_show_nics(sh, args, "fwd", print_fwd);
}

static void
save_mode(struct shell *sh, struct mpn_nic *nic, const struct mpn_nic_info *info)
{
	struct mpn_fwd_info fwd;

	mpn_nic_get_fwd(nic, &fwd);
	if (fwd.mode != NULL)
		fprintf(sh->out, "set fwd %s %s\n", fwd.mode, info->name);
}

static void
save(struct shell *sh)
{
	if (frame_bytes != MPN_FWD_MIN_FRAME)
		fprintf(sh->out, "set fwd-size %u\n", frame_bytes);
	app_save_nics(sh, save_mode);
}

static const struct shell_cmd cmds[] = {
	{"show fwd [NIC|all] [json]", "test modes of ports, and what they did", run_show},
	{"set fwd MODE|off [NIC|all]",
		"io, rxonly, txonly or echo, from start to stop; off: the personalities have it",
		run_fwd, "set fwd echo net_ring1"},
	{"set fwd-size N", "bytes of a frame that txonly sends, 60 to the MTU and 14", run_size,
		"set fwd-size 512"},
};

const struct shell_section fwd_section = {
	.name = "fwd",
	.help = "test modes: the port without personalities",
	.cmds = cmds,
	.nb_cmds = MPN_ARRAY_SIZE(cmds),
	.save = save,
};
