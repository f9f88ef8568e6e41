/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <string.h>

#include "app.h"
#include "mpn_map.h"
#include "mpn_parse.h"
#include "mpn_personality.h"

#define NSEC_PER_SEC 1000000000ull

/* ---- Running ---- */

/* While a command runs it finds the NICs as if one thread had them. */
void
app_hold(bool on)
{
	struct mpn_nic *nic;
	unsigned i;

	for (i = 0; (nic = mpn_nic_get(i)) != NULL; i++) {
		if (on)
			mpn_nic_hold(nic);
		else
			mpn_nic_release(nic);
	}
}

unsigned
app_poll_nics(const struct app *app)
{
	struct mpn_nic *nic;
	unsigned work = 0, i;

	for (i = 0; app->running && (nic = mpn_nic_get(i)) != NULL; i++)
		work += mpn_nic_poll(nic);
	return work;
}

void
app_start(struct app *app)
{
	/* The lcores of maps stand still while nothing is polled. */
	if (!app->running)
		app_hold(false);
	app->running = true;
	mpn_idler_init(&app->idler, app->idle);
}

void
app_stop(struct app *app)
{
	if (app->running)
		app_hold(true);
	app->running = false;
	/* Only the prompt and signals are left to wait for. */
	mpn_idler_init(&app->idler, MPN_IDLE_SLEEP);
}

int
app_parse_period(const char *text, uint64_t *ns)
{
	return mpn_parse_time_ns(text, NSEC_PER_SEC / 10, 86400 * NSEC_PER_SEC, ns);
}

/* ---- Saving ---- */

void
app_save_nics(struct shell *sh,
	void (*fn)(struct shell *sh, struct mpn_nic *nic, const struct mpn_nic_info *info))
{
	struct mpn_nic_info info;
	struct mpn_nic *nic;
	unsigned i;

	for (i = 0; (nic = mpn_nic_get(i)) != NULL; i++) {
		mpn_nic_get_info(nic, &info);
		fn(sh, nic, &info);
	}
}

void
app_save_personalities(struct shell *sh,
	void (*fn)(struct shell *sh, const char *nic, const struct mpn_personality_info *info))
{
	struct mpn_personality_info info;
	struct mpn_nic_info nic_info;
	struct mpn_personality *p;
	struct mpn_nic *nic;
	unsigned i, k;

	for (i = 0; (nic = mpn_nic_get(i)) != NULL; i++) {
		mpn_nic_get_info(nic, &nic_info);
		for (k = 0; (p = mpn_personality_get(nic, k)) != NULL; k++) {
			mpn_personality_get_info(p, &info);
			fn(sh, nic_info.name, &info);
		}
	}
}

/* ---- NICs ---- */

struct mpn_nic *
app_find_nic(const char *name)
{
	struct mpn_nic_info info;
	struct mpn_nic *nic;
	unsigned i;

	for (i = 0; (nic = mpn_nic_get(i)) != NULL; i++) {
		mpn_nic_get_info(nic, &info);
		if (strcmp(info.name, name) == 0)
			return nic;
	}
	return NULL;
}

static void
list_nics(char *buf, size_t size)
{
	struct mpn_nic_info info;
	struct mpn_nic *nic;
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned i = 0; used < size && (nic = mpn_nic_get(i)) != NULL; i++) {
		mpn_nic_get_info(nic, &info);
		used += (size_t)snprintf(
			buf + used, size - used, "%s%s", i > 0 ? ", " : "", info.name);
	}
}

int
app_refuse_nic(struct shell *sh, const char *word)
{
	char names[SHELL_EXPECT_LEN - 32];

	list_nics(names, sizeof(names));
	return shell_refuse(sh, word, "no such NIC: expected %s",
		names[0] != '\0' ? names : "one, but there are none: see --link and --vdev");
}

/* Words that commands have where a name may stand. */
int
app_check_name(struct shell *sh, const char *name, const char *bad_chars)
{
	static const char *const words[] = {"all", "off", "json", NULL};

	if (mpn_parse_choice(name, words) >= 0)
		return shell_refuse(sh, name, "expected a name: this is a word of the commands");
	if (strpbrk(name, bad_chars) != NULL)
		return shell_refuse(sh, name, "expected a name without any of %s", bad_chars);
	return 0;
}

/* ---- Volumes ---- */

int
app_find_volume(struct shell *sh, const char *word, const char **volume)
{
	struct app *app = app_of(sh);
	struct ebd_export_info info;
	unsigned n;

	*volume = NULL;
	if (strcmp(word, "all") == 0)
		return 0;
	for (n = 0; app->server != NULL && ebd_export_get(app->server, n, &info) == 0; n++) {
		if (strcmp(info.name, word) == 0) {
			*volume = word;
			return 0;
		}
	}
	return shell_refuse(sh, word, "no such volume: see show volume all, volume add");
}
