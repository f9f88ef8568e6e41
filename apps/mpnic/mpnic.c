/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * mpnic [EAL options] -- [options]: NICs with personalities, and a prompt, in the manner of
 * dpdk-testpmd.
 */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_ethdev.h>

#include "app.h"
#include "endpoint.h"
#include "mpn_map.h"
#include "mpn_parse.h"
#include "options.h"
#include "prompt.h"
#include "remote.h"
#include "server_end.h"

#define LOOK_NS 2000000 /* terminal, socket and signals are looked at so often */
#define EAL_OPTIONS_LEN 2048
#define EAL_MEM_MIB 256

static const struct shell_section *const sections[] = {
	/* In the order in which a state is made again. */
	&log_section,
	&link_section,
	&port_section,
	&personality_section,
	&flow_section,
	&vlan_section,
	&map_section,
	&volume_section,
	&session_section,
	&fwd_section,
	&dump_section,
	&control_section,
	NULL,
};

/* ---- The EAL ---- */

/* Where the options of the program start: at "--", or at the end. */
static int
find_separator(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		;
	return i;
}

/* What needs no EAL needs no "--" either: the EAL alone would tell about itself. */
static bool
is_meant_for_us(int argc, char **argv)
{
	static const char *const flags[] = {"-h", "--help", "-V", "--version", "--commands"};
	unsigned i;

	for (i = 0; argc == 2 && i < MPN_ARRAY_SIZE(flags); i++) {
		if (strcmp(argv[1], flags[i]) == 0)
			return true;
	}
	return argc > 1 && (strcmp(argv[1], "--connect") == 0 ||
				   strncmp(argv[1], "--connect=", strlen("--connect=")) == 0);
}

/* "-l0" as "-l 0", which is how mpn_eal_start() knows it. */
static bool
has_value_attached(const char *arg)
{
	return arg[0] == '-' && arg[1] != '\0' && strchr("lma", arg[1]) != NULL && arg[2] != '\0';
}

/* The EAL's options in one string. --no-huge is left out: the memory depends on it. */
static int
join_options(int argc, char **argv, char *text, size_t size, bool *no_huge)
{
	size_t used = 0;
	int i;

	for (i = 1; i < argc && used < size; i++) {
		const char *arg = argv[i], *sep = used > 0 ? " " : "";

		if (arg[0] == '\0' || strpbrk(arg, " \t\n") != NULL) {
			fprintf(stderr, "mpnic: '%s': expected EAL options without blanks\n", arg);
			return EXIT_USAGE;
		}
		if (strcmp(arg, "--no-huge") == 0)
			*no_huge = true;
		else if (has_value_attached(arg))
			used += (size_t)snprintf(
				text + used, size - used, "%s%.2s %s", sep, arg, arg + 2);
		else
			used += (size_t)snprintf(text + used, size - used, "%s%s", sep, arg);
	}
	if (used < size)
		return EXIT_OK;
	fprintf(stderr, "mpnic: expected at most %zu characters of EAL options\n", size - 1);
	return EXIT_USAGE;
}

/*
 * Start the EAL with its own options, and with what mpn_eal_start() adds: no hugepages where there are
 * none, files of our own that are removed at the end.
 */
static int
start_eal(const struct app_conf *app_conf, int argc, char **argv)
{
	char text[EAL_OPTIONS_LEN] = "";
	struct mpn_eal_conf conf = {
		.prog = argv[0],
		.link = app_conf->nb_links > 0 ? app_conf->links[0] : NULL,
		.extra = text,
		.mem_mib = app_conf->nb_links > 1 ? 2 * EAL_MEM_MIB : EAL_MEM_MIB,
		.lcore = -1,
	};
	int status = join_options(argc, argv, text, sizeof(text), &conf.no_huge);
	int rc;

	if (status != EXIT_OK)
		return status;
	rc = mpn_eal_start(&conf);
	if (rc == 0)
		return EXIT_OK;
	fprintf(stderr, "mpnic: %s\n", app_reason(rc));
	return rc == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
}

/* ---- Signals ---- */

static volatile sig_atomic_t stop_asked, dump_asked;

static void
on_stop(int sig)
{
	stop_asked = sig;
}

static void
on_dump(int sig)
{
	dump_asked = sig;
}

static void
catch_signals(void)
{
	struct sigaction dump = {.sa_handler = on_dump, .sa_flags = SA_RESTART};
	struct sigaction sa = {.sa_handler = on_stop, .sa_flags = SA_RESETHAND};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGUSR1, &dump, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* ---- NICs ---- */

static int
check_signals(void *arg)
{
	return stop_asked ? -EINTR : 0;
}

static int
make_nic(const char *name, const char *link)
{
	struct mpn_nic_conf conf = {
		.name = name, .link = link, .server = true, .background = check_signals};
	int rc;

	if (mpn_nic_create(&conf) != NULL)
		return 0;
	rc = -errno;
	fprintf(stderr, "mpnic: %s\n", app_reason(rc));
	return rc;
}

/* The ports that the EAL has found by itself: --vdev, -a. */
static int
adopt_ports(void)
{
	char name[RTE_ETH_NAME_MAX_LEN], link[RTE_ETH_NAME_MAX_LEN + 8];
	uint16_t id;
	int rc = 0;

	RTE_ETH_FOREACH_DEV(id) {
		if (rte_eth_dev_get_name_by_port(id, name) != 0)
			continue;
		(void)snprintf(link, sizeof(link), "dev:%s", name);
		rc = make_nic(name, link);
		if (rc != 0)
			break;
	}
	return rc;
}

static int
make_nics(const struct app_conf *conf)
{
	unsigned i;
	int rc = adopt_ports();

	for (i = 0; rc == 0 && i < conf->nb_links; i++)
		rc = make_nic(NULL, conf->links[i]);
	return rc;
}

/* ---- The loop ---- */

static unsigned
poll_all(struct app *app)
{
	unsigned work = app_poll_nics(app);

	if (app->server != NULL)
		work += ebd_server_poll(app->server);
	return work;
}

/* NICs that are not polled can be asked about, too. */
static unsigned
answer_all(void)
{
	struct mpn_nic *nic;
	unsigned i;

	for (i = 0; (nic = mpn_nic_get(i)) != NULL; i++)
		mpn_nic_answer(nic);
	return 0;
}

/* SIGUSR1: all there is to see. */
static void
dump(struct app *app)
{
	static const char *const lines[] = {"show program", "show port", "show personality",
		"show flow", "show delay", "show vlan", "show map", "show fwd", "show volume",
		"show session", "show log", "show config"};
	unsigned i;

	dump_asked = 0;
	for (i = 0; i < MPN_ARRAY_SIZE(lines); i++)
		(void)shell_run(&app->shell, lines[i]);
	fflush(app->shell.out);
}

/* What is looked at now and then. @return false: the prompt has ended */
static bool
look_around(struct app *app, struct prompt *prompt, uint64_t now_ns)
{
	endpoint_poll(app->remote);
	if (dump_asked)
		dump(app);
	return prompt == NULL || prompt_poll(prompt);
}

static void
run(struct app *app, struct prompt *prompt)
{
	uint64_t look_ns = 0;

	app->rates_ns = mpn_now_ns() + app->period_ns;

	while (!app->quit && !stop_asked) {
		unsigned work = app->running ? poll_all(app) : answer_all();
		uint64_t now_ns = mpn_now_ns();

		if (now_ns >= look_ns) {
			if (!look_around(app, prompt, now_ns))
				return;
			look_ns = now_ns + LOOK_NS;
		}
		if (app->period_ns != 0 && app->running && now_ns >= app->rates_ns) {
			app_hold(true);
			rates_print(app, now_ns);
			app_hold(false);
			app->rates_ns = now_ns + app->period_ns;
		}
		if (work == 0 && app->server != NULL)
			app->idler.answer_ns = ebd_server_answer_ns(app->server);
		mpn_idler_round(&app->idler, work);
	}
}

/* ---- From start to end ---- */

static unsigned
count_cores(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

/* The commands of -e, as if they had been typed. */
static int
run_lines(struct app *app, const struct app_conf *conf)
{
	char why[SHELL_ERROR_LEN];
	unsigned i;

	for (i = 0; i < conf->nb_lines && !app->quit; i++) {
		if (shell_run(&app->shell, conf->lines[i]) != 0) {
			fprintf(stderr, "mpnic: %s\n", shell_error(&app->shell, why, sizeof(why)));
			return EXIT_FAILED;
		}
	}
	return EXIT_OK;
}

static int
say_reason(int rc)
{
	if (rc < 0)
		fprintf(stderr, "mpnic: %s\n", app_reason(rc));
	return rc;
}

/* The commands that are given at the start. */
static int
run_commands(struct app *app, const struct app_conf *conf)
{
	int status;

	if (conf->cmdline_file != NULL && shell_run_file(&app->shell, conf->cmdline_file) != 0 &&
		!conf->interactive)
		return EXIT_FAILED;
	if (conf->socket != NULL) {
		app->remote = remote_open(&app->shell, conf->socket);
		if (app->remote == NULL) {
			fprintf(stderr, "mpnic: --socket: '%s': %s\n", conf->socket,
				strerror(errno));
			return EXIT_FAILED;
		}
	}
	status = run_lines(app, conf);
	return status == EXIT_OK && say_reason(app_check_maps()) < 0 ? EXIT_FAILED : status;
}

static int
set_up(struct app *app, const struct app_conf *conf)
{
	if (make_nics(conf) != 0)
		return stop_asked ? EXIT_INTERRUPTED : EXIT_FAILED;
	/* As after a stop. */
	app_hold(true);
	if (app_know_nics() != 0 || say_reason(app_plan_maps(conf->maps, conf->nb_maps)) < 0)
		return EXIT_FAILED;
	return run_commands(app, conf);
}

static int
run_app(const struct app_conf *conf, enum mpn_idle default_idle)
{
	struct app app = {
		.shell = {.sections = sections,
			.values = app_value,
			.hold = app_hold,
			.out = stdout},
		.idle = conf->idle >= 0 ? (enum mpn_idle)conf->idle : default_idle,
		.period_ns = conf->period_ns,
		.screen = conf->period_ns != 0 && !conf->interactive && isatty(STDOUT_FILENO) != 0,
		.started_ns = mpn_now_ns(),
	};
	struct prompt *prompt = NULL;
	int status;

	app.shell.ctx = &app;
	app.background = check_signals;
	app_start_log_clock();
	app.default_idle = app.idle;
	mpn_map_set_idle(app.idle);
	app_stop(&app);
	status = set_up(&app, conf);
	if (status == EXIT_OK && conf->interactive) {
		prompt = prompt_open(&app.shell, prompt_run_here);
		status = prompt != NULL ? EXIT_OK : EXIT_FAILED;
	}
	/* With -e and nothing that keeps it: that was it. */
	if (status == EXIT_OK && (conf->interactive || conf->nb_lines == 0 || app.remote != NULL)) {
		if (!conf->interactive && !app.running)
			app_start(&app);
		run(&app, prompt);
	}
	prompt_close(prompt);
	endpoint_close(app.remote);
	app_end_maps();
	server_end(app.server, "mpnic");
	while (mpn_nic_get(0) != NULL)
		mpn_nic_destroy(mpn_nic_get(0));
	app_forget_nic(NULL);
	app_forget_volumes();
	app_forget_links();
	return status;
}

int
main(int argc, char **argv)
{
	struct app_conf conf = {.idle = -1};
	int separator;
	/* The EAL pins this thread: ask before. */
	enum mpn_idle idle = count_cores() <= 2 ? MPN_IDLE_SLEEP : MPN_IDLE_SPIN;
	int status;

	separator = is_meant_for_us(argc, argv) ? 0 : find_separator(argc, argv);
	status = parse_options(&conf, sections, argv[0], argc - separator, argv + separator);
	if (status >= 0)
		return status;
	if (conf.connect != NULL)
		return remote_use(sections, conf.connect, conf.lines, conf.nb_lines);
	app_catch_log(conf.verbose);
	catch_signals();
	status = start_eal(&conf, separator, argv);
	if (status == EXIT_OK)
		status = run_app(&conf, idle);
	mpn_eal_stop();
	return status;
}
