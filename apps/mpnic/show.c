/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What the `show` commands have in common. */

#include <string.h>

#include "app.h"
#include "mpn_personality.h"

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
