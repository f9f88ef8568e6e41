/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "format.h"
#include "mpn_out.h"
#include "mpn_parse.h"
#include "tool.h"

#define MAX_ADVERTS 1024

static const struct mpn_opt opts[] = {TOOL_OPTS_CLIENT};

static const struct tool_usage usage = {
	.synopsis = "--link LINK [options]",
	.text = "Asks who is on the link and prints the volumes that are offered. Exit status 1 "
		"when\n"
		"nobody answers within --timeout.\n",
	.opts = opts,
	.nb_opts = MPN_ARRAY_SIZE(opts),
};

static int
compare_adverts(const void *a, const void *b)
{
	const struct ebd_advert *x = a, *y = b;
	int rc = strcmp(x->name, y->name);

	return rc != 0 ? rc : memcmp(x->target_mac, y->target_mac, sizeof(x->target_mac));
}

static int
print_json(const struct ebd_advert *adverts, unsigned n)
{
	struct mpn_out o;
	unsigned i;

	mpn_out_begin(&o, stdout, true);
	mpn_out_array(&o, "volumes");
	for (i = 0; i < n; i++) {
		const struct ebd_advert *a = &adverts[i];

		mpn_out_object(&o, NULL);
		mpn_out_str(&o, "name", a->name);
		mpn_out_u64(&o, "size", a->size);
		mpn_out_u64(&o, "block_size", a->block_size);
		mpn_out_bool(&o, "read_only", a->read_only);
		mpn_out_mac(&o, "target_mac", a->target_mac);
		mpn_out_uuid(&o, "target_uuid", a->target_uuid);
		mpn_out_close(&o);
	}
	mpn_out_close(&o);
	return mpn_out_end(&o);
}

static int
print_table(const struct ebd_advert *adverts, unsigned n)
{
	char size[32], mac[FORMAT_MAC_LEN], name[EBD_NAME_LEN];
	int width = (int)strlen("NAME");
	unsigned i;

	for (i = 0; i < n; i++)
		width = MPN_MAX(width, (int)strlen(adverts[i].name));
	printf("%-*s  %10s  %5s  %-3s  %s\n", width, "NAME", "SIZE", "BLOCK", "RO", "MAC");
	for (i = 0; i < n; i++) {
		const struct ebd_advert *a = &adverts[i];

		printf("%-*s  %10s  %5" PRIu32 "  %-3s  %s\n", width,
			format_printable(name, sizeof(name), a->name),
			mpn_format_size(size, sizeof(size), a->size), a->block_size,
			a->read_only ? "yes" : "no", format_mac(mac, a->target_mac));
	}
	return fflush(stdout) != 0 ? -EIO : 0;
}

static int
discover(struct tool *t)
{
	const struct tool_conf *conf = t->conf;
	struct ebd_advert *adverts = calloc(MAX_ADVERTS, sizeof(*adverts));
	int n, rc;

	if (adverts == NULL)
		return tool_fail(conf, "out of memory");
	n = ebd_discover(t->client, adverts, MAX_ADVERTS, 0);
	if (tool_interrupted()) {
		rc = tool_say_interrupted(conf);
	} else if (n == -ETIMEDOUT) {
		rc = tool_fail(conf, "nobody answered on %s", conf->link);
	} else if (n < 0) {
		rc = tool_fail(conf, "%s: %s", conf->link, tool_reason(-n));
	} else {
		n = MPN_MIN(n, MAX_ADVERTS);
		qsort(adverts, (size_t)n, sizeof(*adverts), compare_adverts);
		rc = conf->json ? print_json(adverts, (unsigned)n)
				: print_table(adverts, (unsigned)n);
		rc = rc != 0 ? tool_fail(conf, "cannot write the result") : TOOL_OK;
	}
	free(adverts);
	return rc;
}

int
cmd_discover(int argc, char **argv)
{
	struct tool_conf conf = {.prog = "ebd discover", .lcore = -1};
	const char *operands[TOOL_MAX_OPERANDS] = {NULL};
	struct tool t;
	int status;

	status = tool_parse(&conf, &usage, argc, argv, operands);
	if (status == TOOL_GO_ON)
		status = tool_open(&t, &conf);
	if (status != TOOL_GO_ON)
		return status;
	status = discover(&t);
	tool_close(&t);
	return status;
}
