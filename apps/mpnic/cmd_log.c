/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * What the libraries log: the last lines are kept, whatever is shown of them.
 */

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "app.h"
#include "mpn_log.h"
#include "mpn_parse.h"

#define KEPT_LINES 256
#define LINE_LEN 256

struct line {
	uint64_t ns;
	enum mpn_log_level level;
	char topic[16];
	char text[LINE_LEN];
};

static const char *const level_names[] = {"error", "warn", "info", "debug", NULL};

/* DPDK's own threads log, too. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct line lines[KEPT_LINES];
static uint64_t nb_lines; /* so far; the last KEPT_LINES of them are there */
static char last_error[SHELL_EXPECT_LEN];
static bool show_dpdk;
static uint64_t start_ns;
static enum mpn_log_level level_now, level_at_start;

static void
keep_line(enum mpn_log_level level, const char *topic, const char *text)
{
	struct line *l;

	pthread_mutex_lock(&lock);
	l = &lines[nb_lines++ % KEPT_LINES];
	l->ns = start_ns != 0 ? mpn_now_ns() - start_ns : 0;
	l->level = level;
	(void)snprintf(l->topic, sizeof(l->topic), "%s", topic);
	(void)snprintf(l->text, sizeof(l->text), "%s", text);
	if (level == MPN_LOG_ERR)
		(void)snprintf(last_error, sizeof(last_error), "%s", text);
	pthread_mutex_unlock(&lock);
	/* An error is the answer to a command: whoever gave it prints it. */
	if (level != MPN_LOG_ERR && (show_dpdk || strcmp(topic, "dpdk") != 0))
		fprintf(stderr, "mpnic: %s: %s\n", topic, text);
}

void
app_catch_log(bool verbose)
{
	show_dpdk = verbose;
	level_now = level_at_start = verbose ? MPN_LOG_INFO : MPN_LOG_WARN;
	mpn_log_set_level(level_now);
	mpn_log_set_sink(keep_line);
}

void
app_start_log_clock(void)
{
	start_ns = mpn_now_ns();
}

const char *
app_reason(int rc)
{
	static char text[SHELL_EXPECT_LEN];

	pthread_mutex_lock(&lock);
	memcpy(text, last_error, sizeof(text));
	last_error[0] = '\0';
	pthread_mutex_unlock(&lock);
	return text[0] != '\0' ? text : strerror(-rc);
}

/* ---- Commands ---- */

static int
run_show(struct shell *sh, const struct shell_args *args)
{
	struct mpn_out o;
	uint64_t n;

	app_show_begin(&o, sh, args);
	mpn_out_str(&o, "level", level_names[level_now]);
	mpn_out_array(&o, "lines");
	pthread_mutex_lock(&lock);
	for (n = nb_lines > KEPT_LINES ? nb_lines - KEPT_LINES : 0; n < nb_lines; n++) {
		const struct line *l = &lines[n % KEPT_LINES];

		mpn_out_object(&o, NULL);
		mpn_out_f64(&o, "time_s", (double)l->ns / 1e9, 3);
		mpn_out_str(&o, "level", level_names[l->level]);
		mpn_out_str(&o, "topic", l->topic);
		mpn_out_str(&o, "text", l->text);
		mpn_out_close(&o);
	}
	pthread_mutex_unlock(&lock);
	mpn_out_close(&o);
	return mpn_out_end(&o);
}

static int
run_clear(struct shell *sh, const struct shell_args *args)
{
	pthread_mutex_lock(&lock);
	nb_lines = 0;
	pthread_mutex_unlock(&lock);
	return 0;
}

static int
run_level(struct shell *sh, const struct shell_args *args)
{
	int i = mpn_parse_choice(args->word[0], level_names);

	if (i < 0)
		return shell_refuse(sh, args->word[0], "expected error, warn, info or debug");
	level_now = (enum mpn_log_level)i;
	mpn_log_set_level(level_now);
	return 0;
}

static void
save(struct shell *sh)
{
	if (level_now != level_at_start)
		fprintf(sh->out, "set log %s\n", level_names[level_now]);
}

static const struct shell_cmd cmds[] = {
	{"show log [json]", "the last lines of the log", run_show},
	{"clear log", "forget them", run_clear},
	{"set log LEVEL", "error, warn, info or debug: drop what is less important", run_level,
		"set log debug"},
};

const struct shell_section log_section = {
	.name = "log",
	.help = "what the libraries log",
	.cmds = cmds,
	.nb_cmds = MPN_ARRAY_SIZE(cmds),
	.save = save,
};
