/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <string.h>

#include "client_opts.h"
#include "mpn_parse.h"

#define NSEC_PER_MSEC 1000000ull
#define DAY_NS (86400ull * 1000000000ull)
#define MTU_MIN 576
#define MTU_MAX 9216

static int
set_link(void *cfg, const char *arg)
{
	struct client_opts *o = cfg;

	if (arg[0] == '\0')
		return -EINVAL;
	o->client.link = arg;
	return 0;
}

static int
set_volume(void *cfg, const char *arg)
{
	struct client_opts *o = cfg;

	if (arg[0] == '\0' || strlen(arg) >= EBD_NAME_LEN)
		return -EINVAL;
	o->queue.volume = arg;
	return 0;
}

static int
set_depth(void *cfg, const char *arg)
{
	struct client_opts *o = cfg;
	uint64_t n;

	if (mpn_parse_u64(arg, 1, EBD_DEPTH_MAX, &n) != 0)
		return -EINVAL;
	o->queue.depth = (uint16_t)n;
	return 0;
}

static int
set_target(void *cfg, const char *arg)
{
	struct client_opts *o = cfg;

	return mpn_parse_mac(arg, o->queue.target_mac);
}

static int
set_client(void *cfg, const char *arg)
{
	struct client_opts *o = cfg;

	return mpn_parse_uuid(arg, o->client.client_uuid);
}

static int
set_crc(void *cfg, const char *arg)
{
	static const char *const names[] = {"off", "auto", "on", NULL};
	struct client_opts *o = cfg;
	int i = mpn_parse_choice(arg, names);

	if (i < 0)
		return i;
	o->queue.crc = i - 1;
	return 0;
}

static int
set_mtu(void *cfg, const char *arg)
{
	struct client_opts *o = cfg;
	uint64_t n;

	if (mpn_parse_u64(arg, MTU_MIN, MTU_MAX, &n) != 0)
		return -EINVAL;
	o->client.mtu = (uint16_t)n;
	return 0;
}

static int
set_idle(void *cfg, const char *arg)
{
	static const char *const names[] = {"auto", "spin", "yield", "sleep", NULL};
	static const enum ebd_idle policies[] = {
		EBD_IDLE_AUTO, EBD_IDLE_SPIN, EBD_IDLE_YIELD, EBD_IDLE_SLEEP};
	struct client_opts *o = cfg;
	int i = mpn_parse_choice(arg, names);

	if (i < 0)
		return i;
	o->client.idle = policies[i];
	return 0;
}

static int
parse_ms(const char *arg, uint64_t *ms)
{
	uint64_t ns;

	if (mpn_parse_time_ns(arg, NSEC_PER_MSEC, DAY_NS, &ns) != 0)
		return -EINVAL;
	*ms = ns / NSEC_PER_MSEC;
	return 0;
}

static int
set_connect_timeout(void *cfg, const char *arg)
{
	struct client_opts *o = cfg;

	return parse_ms(arg, &o->client.connect_timeout_ms);
}

static int
set_fail_after(void *cfg, const char *arg)
{
	struct client_opts *o = cfg;

	if (strcmp(arg, "never") == 0) {
		o->queue.fail_after_ms = EBD_FOREVER;
		return 0;
	}
	return parse_ms(arg, &o->queue.fail_after_ms);
}

static int
set_no_huge(void *cfg, const char *arg)
{
	struct client_opts *o = cfg;

	return mpn_parse_bool(arg, &o->client.no_huge);
}

static int
set_eal(void *cfg, const char *arg)
{
	struct client_opts *o = cfg;

	o->client.eal = arg;
	return 0;
}

/* clang-format off */
const struct mpn_opt client_opts_table[] = {
	{"link", 0, "LINK", "a link such as virtio:ebd0.sock",
	 "the link to the server", set_link},
	{"volume", 0, "NAME", "a name of 1 to 63 bytes",
	 "the volume to open", set_volume},
	{"depth", 0, "N", "a number from 1 to 256",
	 "requests in flight at the server; default: 32", set_depth},
	{"target", 0, "MAC", "an address such as 02:00:00:00:00:01",
	 "the server that has the volume; default: whoever answers", set_target},
	{"client", 0, "UUID", "a UUID such as 6f1c2f1e-0d6b-4f0e-9c52-3a1b8e7d5c40",
	 "who we are, for servers that have lists of clients; default: random", set_client},
	{"crc", 0, "on|off|auto", "on, off or auto",
	 "checksums in frames; default: auto, as the link needs", set_crc},
	{"connect-timeout", 0, "TIME", "a time from 1ms to 24h, such as 500ms or 10s",
	 "wait so long for a server to answer; default: 5s", set_connect_timeout},
	{"fail-after", 0, "TIME", "a time such as 30s, or never",
	 "fail requests when the server has been gone so long; default: 30s", set_fail_after},
	{"idle", 0, "auto|spin|yield|sleep", "auto, spin, yield or sleep",
	 "while answers are waited for", set_idle},
	{"mtu", 0, "BYTES", "a number from 576 to 9216",
	 "default: the largest of 9000 and 1500 that the link takes", set_mtu},
	{"no-huge", 0, "on|off", "on or off",
	 "do not use hugepages; default: off", set_no_huge},
	{"eal", 0, "FLAGS", "DPDK EAL flags",
	 "raw EAL flags, separated by blanks", set_eal},
};
/* clang-format on */
const size_t client_opts_count = MPN_ARRAY_SIZE(client_opts_table);

const struct mpn_opt *
client_opts_find(const char *name)
{
	size_t i;

	for (i = 0; i < client_opts_count; i++) {
		if (strcmp(client_opts_table[i].name, name) == 0)
			return &client_opts_table[i];
	}
	return NULL;
}

int
client_opts_check(const struct client_opts *o, char *error, size_t size)
{
	if (o->client.link == NULL) {
		(void)snprintf(error, size,
			"link: is missing: expected a link such as link=virtio:ebd0.sock");
		return -EINVAL;
	}
	if (o->queue.volume == NULL) {
		(void)snprintf(
			error, size, "volume: is missing: expected a volume such as volume=disk0");
		return -EINVAL;
	}
	return 0;
}
