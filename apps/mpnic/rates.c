/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <string.h>

#include <rte_cycles.h>

#include "app.h"

#define MAX_ROWS 512
#define PORT "(port)"

/* What grows. */
struct counts {
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes, dropped, full, cycles;
};

/* A port, or a personality, at the last call. */
struct row {
	char nic[MPN_NAME_LEN];
	char name[MPN_NAME_LEN];
	struct counts counts;
	bool seen; /* in this call */
};

static struct row rows[MAX_ROWS];
static unsigned nb_rows;
static uint64_t last_ns;

/* Of the last time; zeroes for one that is new, or whose counters were cleared. */
static struct row *
find_row(const char *nic, const char *name, const struct counts *now)
{
	struct row *r;
	unsigned i = 0;

	while (i < nb_rows && (strcmp(rows[i].nic, nic) != 0 || strcmp(rows[i].name, name) != 0))
		i++;
	if (i == MAX_ROWS)
		return NULL;
	r = &rows[i];
	if (i == nb_rows) {
		nb_rows++;
		memset(r, 0, sizeof(*r));
		(void)snprintf(r->nic, sizeof(r->nic), "%s", nic);
		(void)snprintf(r->name, sizeof(r->name), "%s", name);
	}
	if (r->counts.rx_frames > now->rx_frames || r->counts.tx_frames > now->tx_frames ||
		r->counts.cycles > now->cycles)
		memset(&r->counts, 0, sizeof(r->counts));
	r->seen = true;
	return r;
}

/* Those who are gone make room. */
static void
forget_unseen(void)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < nb_rows; i++) {
		if (rows[i].seen)
			rows[kept++] = rows[i];
	}
	nb_rows = kept;
	for (unsigned i = 0; i < nb_rows; i++)
		rows[i].seen = false;
}

static void
print_row(struct app *app, const char *nic, const char *name, const char *state,
	const struct counts *now, double sec)
{
	const double hz = (double)rte_get_tsc_hz();
	struct row *r = find_row(nic, name, now);
	const struct counts *last;

	if (r == NULL)
		return;
	last = &r->counts;
#define RATE(member) ((double)(now->member - last->member) / sec)
	fprintf(app->shell.out, "%-12.24s %-12.24s %-8s %10.1f %10.1f %10.1f %10.1f %8.0f %8.0f",
		nic, name, state, RATE(rx_frames) / 1e3, RATE(rx_bytes) / 1e6,
		RATE(tx_frames) / 1e3, RATE(tx_bytes) / 1e6, RATE(dropped), RATE(full));
	if (strcmp(name, PORT) != 0)
		fprintf(app->shell.out, " %6.1f", RATE(cycles) / hz * 100);
	fputc('\n', app->shell.out);
#undef RATE
	r->counts = *now;
}

/* The port drops what is nobody's; what is somebody's counts there. */
static void
print_port(struct app *app, struct mpn_nic *nic, const struct mpn_nic_info *info, double sec)
{
	const struct mpn_nic_stats *st = mpn_nic_get_stats(nic);
	struct counts now = {
		.rx_frames = st->rx_frames,
		.rx_bytes = st->rx_bytes,
		.tx_frames = st->tx_frames,
		.tx_bytes = st->tx_bytes,
		.dropped = st->rx_unclaimed + st->rx_length + st->rx_long + st->rx_own_source +
			   st->rx_runt + st->rx_not_ours + st->rx_vlan_unmapped +
			   st->rx_vlan_nested + st->rx_vlan_bad + st->vlan_no_mem +
			   st->rx_port_missed + st->rx_port_errors,
		.full = st->tx_busy,
	};

	print_row(app, info->name, PORT,
		info->removed   ? "removed"
		: info->link_up ? "up"
				: "down",
		&now, sec);
}

static void
print_personality(struct app *app, const char *nic, const struct mpn_personality *p, double sec)
{
	struct mpn_personality_info info;
	struct counts now;

	mpn_personality_get_info(p, &info);
	now = (struct counts){
		.rx_frames = info.stats.rx_frames,
		.rx_bytes = info.stats.rx_bytes,
		.tx_frames = info.stats.tx_frames,
		.tx_bytes = info.stats.tx_bytes,
		.dropped = info.stats.rx_dropped + info.stats.tx_dropped,
		.full = info.stats.tx_full,
		.cycles = info.stats.cycles,
	};
	print_row(app, nic, info.name, mpn_pers_state_name(info.state), &now, sec);
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
		print_port(app, nic, &info, sec);
		for (k = 0; (p = mpn_personality_get(nic, k)) != NULL; k++)
			print_personality(app, info.name, p, sec);
	}
	forget_unseen();
	fflush(app->shell.out);
	last_ns = now_ns;
}
