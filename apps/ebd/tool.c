/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpn_log.h"
#include "serving.h"
#include "tool.h"

/* ---- Messages ---- */

static void
print_error(const struct tool_conf *conf, const char *fmt, va_list ap)
{
	fprintf(stderr, "%s: ", conf->prog);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

int
tool_fail(const struct tool_conf *conf, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_error(conf, fmt, ap);
	va_end(ap);
	return TOOL_FAILED;
}

int
tool_misuse(const struct tool_conf *conf, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_error(conf, fmt, ap);
	va_end(ap);
	return TOOL_USAGE;
}

/*
 * The one line about an error is ours, and quotes what the library said about it. Warnings are news,
 * but for those of DPDK, which are about details.
 */
static const char *prog;

static void
show_warning(enum mpn_log_level level, const char *topic, const char *line)
{
	if (level == MPN_LOG_WARN && strcmp(topic, "dpdk") != 0)
		fprintf(stderr, "%s: %s\n", prog, line);
}

void
tool_take_log(const struct tool_conf *conf)
{
	prog = conf->prog;
	if (conf->verbose)
		mpn_log_set_level(MPN_LOG_DEBUG);
	else
		mpn_log_set_sink(show_warning);
}

void
tool_show_log(void)
{
	mpn_log_set_sink(NULL);
}

const char *
tool_reason(int e)
{
	const char *text = ebd_last_error();

	return text[0] != '\0' ? text : strerror(e);
}

int
tool_report(const struct tool_conf *conf, int e, const char *option, const char *value)
{
	const char *reason = tool_reason(e);

	/* What the library says often names what it is about already. */
	if (strstr(reason, value) != NULL)
		fprintf(stderr, "%s: %s\n", conf->prog, reason);
	else
		fprintf(stderr, "%s: %s: '%s': %s\n", conf->prog, option, value, reason);
	return e == EINVAL || e == EEXIST ? TOOL_USAGE : TOOL_FAILED;
}

/* ---- Command line ---- */

static void
print_help(const struct tool_conf *conf, const struct tool_usage *usage)
{
	printf("usage: %s %s\n\n%s\noptions:\n", conf->prog, usage->synopsis, usage->text);
	mpn_opt_help(stdout, usage->opts, usage->nb_opts);
}

/* Lists that options can ask for in the place of a value. */
static bool
print_lists(const struct tool_conf *conf)
{
	unsigned i;

	if (conf->link != NULL && strcmp(conf->link, "help") == 0) {
		ebd_link_help(stdout);
		return true;
	}
	for (i = 0; i < conf->nb_volumes; i++) {
		if (strcmp(conf->volumes[i], "help") == 0) {
			ebd_volume_help(stdout);
			return true;
		}
	}
	return false;
}

/* The option itself says what would be right: that differs between the two ends. */
static const char *
expected_link(const struct tool_usage *usage)
{
	size_t i;

	for (i = 0; i + 1 < usage->nb_opts && strcmp(usage->opts[i].name, "link") != 0; i++)
		;
	return usage->opts[i].expect;
}

/* What parsing alone does not see. */
static int
check_operands(const struct tool_conf *conf, const struct tool_usage *usage, unsigned n,
	const char *const *words)
{
	if (n > usage->max_operands)
		return tool_misuse(conf, "'%s': one word too many: expected %s %s",
			words[usage->max_operands], conf->prog, usage->synopsis);
	if (n < usage->min_operands)
		return tool_misuse(
			conf, "something is missing: expected %s %s", conf->prog, usage->synopsis);
	if (conf->link == NULL)
		return tool_misuse(conf, "--link: is missing: expected %s", expected_link(usage));
	if (conf->net_vlan.vid != 0 && conf->net == NULL)
		return tool_misuse(conf, "--net-vlan: is the VLAN of --net, which is missing");
	return TOOL_GO_ON;
}

int
tool_parse(struct tool_conf *conf, const struct tool_usage *usage, int argc, char **argv,
	const char *operands[TOOL_MAX_OPERANDS])
{
	const char **words = calloc((size_t)argc + 1, sizeof(*words));
	int n, status;

	if (words == NULL)
		return tool_fail(conf, "out of memory");
	n = mpn_opt_parse(conf->prog, usage->opts, usage->nb_opts, argc, argv, conf, words);
	if (n < 0) {
		status = TOOL_USAGE;
	} else if (conf->help) {
		print_help(conf, usage);
		status = TOOL_OK;
	} else if (print_lists(conf)) {
		status = TOOL_OK;
	} else {
		status = check_operands(conf, usage, (unsigned)n, words);
	}
	if (status == TOOL_GO_ON)
		memcpy(operands, words, (size_t)n * sizeof(*words));
	free(words);
	return status;
}

/* ---- Signals ---- */

static volatile sig_atomic_t stop_asked;
static volatile sig_atomic_t usr1_seen;

static void
on_stop(int sig)
{
	stop_asked = sig;
}

static void
on_usr1(int sig)
{
	usr1_seen = sig;
}

void
tool_catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_stop, .sa_flags = SA_RESETHAND};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	/* A virtio link writes to a socket whose other end may be gone. */
	signal(SIGPIPE, SIG_IGN);
}

bool
tool_interrupted(void)
{
	return stop_asked != 0;
}

int
tool_say_interrupted(const struct tool_conf *conf)
{
	fprintf(stderr, "%s: interrupted\n", conf->prog);
	return TOOL_INTERRUPTED;
}

int
tool_check_signals(void *arg)
{
	return tool_interrupted() ? -EINTR : 0;
}

void
tool_catch_usr1(void)
{
	struct sigaction sa = {.sa_handler = on_usr1, .sa_flags = SA_RESTART};

	sigaction(SIGUSR1, &sa, NULL);
}

bool
tool_take_usr1(void)
{
	bool seen = usr1_seen != 0;

	if (seen)
		usr1_seen = 0;
	return seen;
}

unsigned
tool_nb_cores(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

/* ---- The client ---- */

/* What goes on while the library waits for something. */
static int
run_background(void *arg)
{
	struct tool *t = arg;

	if (tool_interrupted())
		return -EINTR;
	return (int)tool_poll_server(t);
}

int
tool_open(struct tool *t, const struct tool_conf *conf)
{
	struct ebd_client_conf cc = {
		.link = conf->link,
		.eal = conf->eal,
		.no_huge = conf->no_huge,
		.mtu = conf->mtu,
		.net = conf->net,
		.vlan = conf->vlan,
		.net_vlan = conf->net_vlan,
		.idle = conf->idle,
		.connect_timeout_ms = conf->connect_timeout_ms,
		.lcore = conf->lcore + 1,
		.background = run_background,
		.background_arg = t,
	};
	int status = TOOL_GO_ON;

	memcpy(cc.client_uuid, conf->client_uuid, sizeof(cc.client_uuid));
	memset(t, 0, sizeof(*t));
	t->conf = conf;
	tool_take_log(conf);
	tool_catch_signals();
	if (conf->nb_volumes > 0) {
		struct ebd_server_conf sc;

		serving_conf_init(&sc, conf);
		sc.first_link = conf->link;
		t->server = serving_start(conf, &sc, &conf->link, 1, &status);
		if (t->server == NULL)
			return status;
	}
	t->client = ebd_client_create(&cc);
	if (t->client != NULL)
		return TOOL_GO_ON;
	if (tool_interrupted())
		status = tool_say_interrupted(conf);
	else if (conf->eal != NULL && strstr(tool_reason(errno), conf->eal) != NULL)
		status = tool_report(conf, errno, "--eal", conf->eal);
	else
		status = tool_report(conf, errno, "--link", conf->link);
	tool_close(t);
	return status;
}

void
tool_close(struct tool *t)
{
	ebd_client_destroy(t->client);
	t->client = NULL;
	ebd_server_destroy(t->server);
	t->server = NULL;
}

unsigned
tool_poll_server(struct tool *t)
{
	return t->server != NULL ? ebd_server_poll(t->server) : 0;
}

struct ebd_queue *
tool_queue_open(struct tool *t, const struct ebd_queue_conf *qc, int *status)
{
	const struct tool_conf *conf = t->conf;
	struct ebd_queue_conf full = *qc;
	struct ebd_queue *q;

	full.fail_after_ms = conf->fail_after_ms;
	full.crc = conf->crc;
	memcpy(full.target_mac, conf->target_mac, sizeof(full.target_mac));
	q = ebd_queue_open(t->client, &full);
	if (q == NULL && tool_interrupted())
		*status = tool_say_interrupted(conf);
	else if (q == NULL)
		*status = tool_report(conf, errno, "volume", qc->volume);
	return q;
}
