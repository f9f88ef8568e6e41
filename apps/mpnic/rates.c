/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <string.h>

#include <rte_cycles.h>

#include "app.h"

#define MAX_ROWS 64

/* A personality at the last call. */
struct row {
	char nic[MPN_NAME_LEN];
	char name[MPN_NAME_LEN];
	struct mpn_flow_stats stats;
};

static struct row rows[MAX_ROWS];
static unsigned nb_rows;
static uint64_t last_ns;

/* What was counted last time; zeroes for one that is new, or whose counters were cleared. */
static struct mpn_flow_stats *
find_last(const char *nic, const struct mpn_personality_info *info)
{
	struct row *r;
	unsigned i;

	for (i = 0; i < nb_rows; i++) {
		r = &rows[i];
		if (strcmp(r->nic, nic) == 0 && strcmp(r->name, info->name) == 0) {
			if (r->stats.rx_frames > info->stats.rx_frames ||
				r->stats.tx_frames > info->stats.tx_frames ||
				r->stats.cycles > info->stats.cycles)
				memset(&r->stats, 0, sizeof(r->stats));
			return &r->stats;
		}
	}
	if (nb_rows == MAX_ROWS)
		return NULL;
	r = &rows[nb_rows++];
	memcpy(r->nic, nic, sizeof(r->nic));
	memcpy(r->name, info->name, sizeof(r->name));
	memset(&r->stats, 0, sizeof(r->stats));
	return &r->stats;
}

static void
print_row(struct app *app, const char *nic, const struct mpn_personality *p, double sec)
{
	const double hz = (double)rte_get_tsc_hz();
	struct mpn_personality_info info;
	struct mpn_flow_stats *last;

	mpn_personality_get_info(p, &info);
	last = find_last(nic, &info);
	if (last == NULL)
		return;
#define RATE(member) ((double)(info.stats.member - last->member) / sec)
	fprintf(app->shell.out,
		"%-12.24s %-12.24s %-8s %10.1f %10.1f %10.1f %10.1f %8.0f %8.0f %6.1f\n", nic,
		info.name, mpn_pers_state_name(info.state), RATE(rx_frames) / 1e3,
		RATE(rx_bytes) / 1e6, RATE(tx_frames) / 1e3, RATE(tx_bytes) / 1e6, RATE(rx_dropped),
		RATE(tx_full), RATE(cycles) / hz * 100);
#undef RATE
	*last = info.stats;
}

void
rates_print(struct app *app, uint64_t now_ns)
{
	double sec = (double)(now_ns - (last_ns != 0 ? last_ns : app->started_ns)) / 1e9;
	struct mpn_personality *p;
	struct mpn_nic_info info;
	struct mpn_nic *nic;
	unsigned i, k;

	if (app->screen)
		fputs("\033[2J\033[H", app->shell.out);
	fprintf(app->shell.out, "%-12s %-12s %-8s %10s %10s %10s %10s %8s %8s %6s\n", "nic",
		"personality", "state", "rx kfr/s", "rx MB/s", "tx kfr/s", "tx MB/s", "drop/s",
		"full/s", "cpu %");
	for (i = 0; (nic = mpn_nic_get(i)) != NULL; i++) {
		mpn_nic_get_info(nic, &info);
		for (k = 0; (p = mpn_personality_get(nic, k)) != NULL; k++)
			print_row(app, info.name, p, sec);
	}
	fflush(app->shell.out);
	last_ns = now_ns;
}
