/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <string.h>

#include "app.h"
#include "mpn_fwd.h"
#include "mpn_parse.h"
#include "mpn_personality.h"

#define NSEC_PER_SEC 1000000000ull

/* ---- Running ---- */

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
	size_t used = 0;
	char name[MPN_NAME_LEN];
	unsigned i;

	buf[0] = '\0';
	for (i = 0; used < size && app_value(NULL, "NIC", i, name, sizeof(name)); i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s", i > 0 ? ", " : "", name);
}

int
app_refuse_nic(struct shell *sh, const char *word)
{
	char names[SHELL_EXPECT_LEN - 32];

	list_nics(names, sizeof(names));
	return shell_refuse(sh, word, "no such NIC: expected %s",
		names[0] != '\0' ? names : "one, but there are none: see --link and --vdev");
}

int
app_for_each_nic(struct shell *sh, const char *word,
	int (*fn)(struct shell *sh, struct mpn_nic *nic, void *arg), void *arg)
{
	struct mpn_nic *nic;
	unsigned i;
	int rc = 0;

	if (strcmp(word, "all") != 0) {
		nic = app_find_nic(word);
		return nic != NULL ? fn(sh, nic, arg) : app_refuse_nic(sh, word);
	}
	for (i = 0; rc == 0 && (nic = mpn_nic_get(i)) != NULL; i++)
		rc = fn(sh, nic, arg);
	return rc;
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

/* ---- Completion ---- */

static bool
nic_value(const struct app *app, unsigned n, char *buf, size_t size)
{
	struct mpn_nic *nic = mpn_nic_get(n);
	struct mpn_nic_info info;

	if (nic == NULL)
		return false;
	mpn_nic_get_info(nic, &info);
	return mpn_copy_str(buf, size, info.name) == 0;
}

static bool
personality_value(const struct app *app, unsigned n, char *buf, size_t size)
{
	struct mpn_personality_info info;
	struct mpn_personality *p;
	struct mpn_nic *nic;
	unsigned i, k;

	for (i = 0; (nic = mpn_nic_get(i)) != NULL; i++) {
		for (k = 0; (p = mpn_personality_get(nic, k)) != NULL; k++) {
			if (n-- > 0)
				continue;
			mpn_personality_get_info(p, &info);
			return mpn_copy_str(buf, size, info.name) == 0;
		}
	}
	return false;
}

static bool
volume_value(const struct app *app, unsigned n, char *buf, size_t size)
{
	struct ebd_export_info info;

	return app->server != NULL && ebd_export_get(app->server, n, &info) == 0 &&
	       mpn_copy_str(buf, size, info.name) == 0;
}

static bool
scheduler_value(const struct app *app, unsigned n, char *buf, size_t size)
{
	return mpn_sched_name(n) != NULL && mpn_copy_str(buf, size, mpn_sched_name(n)) == 0;
}

static bool
fault_value(const struct app *app, unsigned n, char *buf, size_t size)
{
	return mpn_nic_fault_name(n) != NULL && mpn_copy_str(buf, size, mpn_nic_fault_name(n)) == 0;
}

static bool
kind_value(const struct app *app, unsigned n, char *buf, size_t size)
{
	const struct mpn_personality_ops *ops = mpn_personality_kind(n);

	return ops != NULL && mpn_copy_str(buf, size, ops->name) == 0;
}

static bool
dump_value(const struct app *app, unsigned n, char *buf, size_t size)
{
	return app_dump_name(n) != NULL && mpn_copy_str(buf, size, app_dump_name(n)) == 0;
}

static bool
section_value(const struct app *app, unsigned n, char *buf, size_t size)
{
	unsigned i;

	for (i = 0; i < n && app->shell.sections[i] != NULL; i++)
		;
	return app->shell.sections[i] != NULL &&
	       mpn_copy_str(buf, size, app->shell.sections[i]->name) == 0;
}

static bool
link_value(const struct app *app, unsigned n, char *buf, size_t size)
{
	const struct mpn_link_kind *kind = mpn_link_kind(n);

	return kind != NULL && snprintf(buf, size, "%s:", kind->name) < (int)size;
}

static bool
mode_value(const struct app *app, unsigned n, char *buf, size_t size)
{
	return mpn_fwd_name(n) != NULL && mpn_copy_str(buf, size, mpn_fwd_name(n)) == 0;
}

/* What does not depend on the state. */
static bool
fixed_value(const char *type, unsigned n, char *buf, size_t size)
{
	static const struct {
		const char *type;
		const char *values[5];
	} fixed[] = {
		{"ON", {"on", "off"}},
		{"POLICY", {"spin", "yield", "sleep"}},
		{"LEVEL", {"error", "warn", "info", "debug"}},
	};
	unsigned i;

	for (i = 0; i < MPN_ARRAY_SIZE(fixed); i++) {
		if (strcmp(fixed[i].type, type) == 0 && n < MPN_ARRAY_SIZE(fixed[i].values) &&
			fixed[i].values[n] != NULL)
			return mpn_copy_str(buf, size, fixed[i].values[n]) == 0;
	}
	return false;
}

bool
app_value(void *ctx, const char *type, unsigned n, char *buf, size_t size)
{
	static const struct {
		const char *type;
		bool (*value)(const struct app *app, unsigned n, char *buf, size_t size);
	} values[] = {
		{"NIC", nic_value},
		{"PERSONALITY", personality_value},
		{"KIND", kind_value},
		{"SCHEDULER", scheduler_value},
		{"VOLUME", volume_value},
		{"FAULT", fault_value},
		{"WHAT", dump_value},
		{"SECTION", section_value},
		{"LINK", link_value},
		{"MODE", mode_value},
	};
	unsigned i;

	for (i = 0; i < MPN_ARRAY_SIZE(values); i++) {
		if (strcmp(values[i].type, type) == 0)
			return values[i].value(ctx, n, buf, size);
	}
	return fixed_value(type, n, buf, size);
}

/* ---- Showing ---- */

const char *
app_show_what(const struct shell_args *args)
{
	return args->n > 0 && strcmp(args->word[0], "json") != 0 ? args->word[0] : "all";
}

bool
app_wants_json(const struct shell_args *args)
{
	return args->n > 0 && strcmp(args->word[args->n - 1], "json") == 0;
}

void
app_show_begin(struct mpn_out *o, struct shell *sh, const struct shell_args *args)
{
	mpn_out_begin(o, sh->out, app_wants_json(args));
}

static int
show_nics(struct shell *sh, const struct shell_args *args, const char *key,
	int (*print)(struct shell *sh, struct mpn_nic *nic, void *out), struct mpn_out *o)
{
	const char *word = app_show_what(args);

	/* Nothing half printed: an error comes before the first line. */
	if (strcmp(word, "all") != 0 && app_find_nic(word) == NULL)
		return app_refuse_nic(sh, word);
	app_show_begin(o, sh, args);
	mpn_out_array(o, key);
	(void)app_for_each_nic(sh, word, print, o);
	mpn_out_close(o);
	return mpn_out_end(o);
}

int
app_show_nics(struct shell *sh, const struct shell_args *args, const char *key,
	int (*print)(struct shell *sh, struct mpn_nic *nic, void *out))
{
	struct mpn_out o;

	return show_nics(sh, args, key, print, &o);
}

struct personality_printer {
	struct mpn_out out;
	void (*print)(struct mpn_out *o, const char *nic, struct mpn_personality *p);
};

static int
print_personalities(struct shell *sh, struct mpn_nic *nic, void *out)
{
	struct personality_printer *pp = mpn_container_of(out, struct personality_printer, out);
	struct mpn_personality *p;
	struct mpn_nic_info info;
	unsigned i;

	mpn_nic_get_info(nic, &info);
	for (i = 0; (p = mpn_personality_get(nic, i)) != NULL; i++)
		pp->print(out, info.name, p);
	return 0;
}

int
app_show_personalities(struct shell *sh, const struct shell_args *args, const char *key,
	void (*print)(struct mpn_out *o, const char *nic, struct mpn_personality *p))
{
	struct personality_printer pp = {.print = print};

	return show_nics(sh, args, key, print_personalities, &pp.out);
}

int
app_show_server(struct shell *sh, const struct shell_args *args, const char *key,
	void (*print)(const struct ebd_server *s, const char *volume, struct mpn_out *o))
{
	struct app *app = app_of(sh);
	const char *volume;
	struct mpn_out o;
	int rc = app_find_volume(sh, app_show_what(args), &volume);

	if (rc != 0)
		return rc;
	app_show_begin(&o, sh, args);
	if (app->server != NULL) {
		print(app->server, volume, &o);
	} else {
		mpn_out_array(&o, key);
		mpn_out_close(&o);
	}
	return mpn_out_end(&o);
}
