/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What an argument of a command can be now. */

#include <string.h>

#include "app.h"
#include "mpn_fwd.h"
#include "mpn_parse.h"
#include "mpn_personality.h"

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
