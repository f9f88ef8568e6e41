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

#include <rte_ethdev.h>

#include "app.h"
#include "mpn_opt.h"
#include "mpn_parse.h"
#include "prompt.h"

#define NSEC_PER_SEC 1000000000ull
#define PROMPT_NS 2000000 /* the terminal is looked at so often */
#define EAL_OPTIONS_LEN 2048
#define EAL_MEM_MIB 256

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

struct app_conf {
	bool interactive;
	bool help;
	bool version;
	bool verbose;
	const char *cmdline_file;
	uint64_t period_ns;
	int idle; /* enum mpn_idle, -1: by the number of cores */
	const char *links[APP_MAX_LINKS];
	unsigned nb_links;
};

static const struct shell_section *const sections[] = {
	&control_section,
	&port_section,
	&flow_section,
	&personality_section,
	&session_section,
	&volume_section,
	NULL,
};

/* ---- Command line ---- */

static int
set_interactive(void *cfg, const char *arg)
{
	((struct app_conf *)cfg)->interactive = true;
	return 0;
}

static int
set_help(void *cfg, const char *arg)
{
	((struct app_conf *)cfg)->help = true;
	return 0;
}

static int
set_version(void *cfg, const char *arg)
{
	((struct app_conf *)cfg)->version = true;
	return 0;
}

static int
set_verbose(void *cfg, const char *arg)
{
	((struct app_conf *)cfg)->verbose = true;
	return 0;
}

static int
set_cmdline_file(void *cfg, const char *arg)
{
	((struct app_conf *)cfg)->cmdline_file = arg;
	return arg[0] != '\0' ? 0 : -EINVAL;
}

static int
set_period(void *cfg, const char *arg)
{
	return mpn_parse_time_ns(
		arg, NSEC_PER_SEC / 10, 86400 * NSEC_PER_SEC, &((struct app_conf *)cfg)->period_ns);
}

static int
set_idle(void *cfg, const char *arg)
{
	static const char *const names[] = {"spin", "yield", "sleep", NULL};
	int i = mpn_parse_choice(arg, names);

	if (i < 0)
		return i;
	((struct app_conf *)cfg)->idle = i;
	return 0;
}

static int
add_link(void *cfg, const char *arg)
{
	struct app_conf *conf = cfg;

	if (conf->nb_links == APP_MAX_LINKS ||
		(strcmp(arg, "help") != 0 && mpn_link_kind_of(arg) == NULL))
		return -EINVAL;
	conf->links[conf->nb_links++] = arg;
	return 0;
}

static const struct mpn_opt opts[] = {
	{"interactive", 'i', NULL, NULL, "show a prompt; polling begins with the command start",
		set_interactive},
	{"cmdline-file", 0, "FILE", "the name of a file", "run the commands in it first",
		set_cmdline_file},
	{"stats-period", 0, "TIME", "a time from 100ms to 24h, such as 1s",
		"print the rates of every personality this often", set_period},
	{"link", 'l', "LINK", "at most 8 links such as vhost:ebd0.sock, or help",
		"make a NIC on this link; may be repeated; --link help lists the kinds", add_link},
	{"idle", 0, "spin|yield|sleep", "spin, yield or sleep",
		"while nothing arrives; default: sleep on two cores or one, else spin", set_idle},
	{"verbose", 0, NULL, NULL, "print what DPDK and its drivers have to say", set_verbose},
	{"version", 'V', NULL, NULL, "print the version", set_version},
	{"help", 'h', NULL, NULL, "print this", set_help},
};

static void
print_usage(const char *prog)
{
	printf("usage: %s [EAL options] -- [options]\n\n"
	       "Shows the faces of multi-personality NICs, at a prompt. Every Ethernet port that "
	       "the EAL\n"
	       "finds becomes a NIC, and every --link. Without -i they are polled until SIGINT or "
	       "SIGTERM.\n\n"
	       "options:\n",
		prog);
	mpn_opt_help(stdout, opts, MPN_ARRAY_SIZE(opts));
}

static void
print_links(void)
{
	const struct mpn_link_kind *kind;
	unsigned i;

	for (i = 0; (kind = mpn_link_kind(i)) != NULL; i++)
		printf("%-40s %s%s\n", kind->synopsis, kind->help,
			kind->needs_root ? " (needs root)" : "");
}

/* @return -1: go on; else the exit status */
static int
parse_options(struct app_conf *conf, const char *prog, int argc, char **argv)
{
	const char **words = calloc((size_t)argc + 1, sizeof(*words));
	unsigned i;
	int n;

	if (words == NULL)
		return EXIT_FAILED;
	n = mpn_opt_parse("mpnic", opts, MPN_ARRAY_SIZE(opts), argc, argv, conf, words);
	if (n > 0)
		fprintf(stderr, "mpnic: '%s': expected an option, see mpnic -- --help\n", words[0]);
	free(words);
	if (n != 0)
		return EXIT_USAGE;
	if (conf->help) {
		print_usage(prog);
		return EXIT_OK;
	}
	if (conf->version) {
		printf("mpnic %s\n", ebd_version());
		return EXIT_OK;
	}
	for (i = 0; i < conf->nb_links; i++) {
		if (strcmp(conf->links[i], "help") == 0) {
			print_links();
			return EXIT_OK;
		}
	}
	return -1;
}

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

/* "mpnic --help", "mpnic --version" without a "--": the EAL alone would tell about itself. */
static bool
is_meant_for_us(int argc, char **argv)
{
	static const char *const flags[] = {"-h", "--help", "-V", "--version"};
	unsigned i;

	for (i = 0; argc == 2 && i < MPN_ARRAY_SIZE(flags); i++) {
		if (strcmp(argv[1], flags[i]) == 0)
			return true;
	}
	return false;
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

static volatile sig_atomic_t stop_asked;

static void
on_stop(int sig)
{
	stop_asked = sig;
}

static void
catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_stop, .sa_flags = SA_RESETHAND};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
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
	struct mpn_nic *nic;
	unsigned work = 0, i;

	for (i = 0; (nic = mpn_nic_get(i)) != NULL; i++)
		work += mpn_nic_poll(nic);
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

static void
run(struct app *app, struct prompt *prompt)
{
	uint64_t prompt_ns = 0, rates_ns = mpn_now_ns() + app->period_ns;

	while (!app->quit && !stop_asked) {
		unsigned work = app->running ? poll_all(app) : answer_all();
		uint64_t now_ns = mpn_now_ns();

		if (prompt != NULL && now_ns >= prompt_ns) {
			if (!prompt_poll(prompt))
				return;
			prompt_ns = now_ns + PROMPT_NS;
		}
		if (app->period_ns != 0 && app->running && now_ns >= rates_ns) {
			rates_print(app, now_ns);
			rates_ns = now_ns + app->period_ns;
		}
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

static int
run_app(const struct app_conf *conf, enum mpn_idle default_idle)
{
	struct app app = {
		.shell = {.sections = sections, .values = app_value, .out = stdout},
		.idle = conf->idle >= 0 ? (enum mpn_idle)conf->idle : default_idle,
		.period_ns = conf->period_ns,
	};
	struct prompt *prompt = NULL;
	int status = EXIT_OK;

	app.shell.ctx = &app;
	app_stop(&app);
	if (make_nics(conf) != 0)
		status = stop_asked ? EXIT_INTERRUPTED : EXIT_FAILED;
	if (status == EXIT_OK && conf->cmdline_file != NULL &&
		shell_run_file(&app.shell, conf->cmdline_file) != 0 && !conf->interactive)
		status = EXIT_FAILED;
	if (status == EXIT_OK && conf->interactive) {
		prompt = prompt_open(&app.shell);
		status = prompt != NULL ? EXIT_OK : EXIT_FAILED;
	}
	if (status == EXIT_OK) {
		if (!conf->interactive && !app.running)
			app_start(&app);
		run(&app, prompt);
	}
	prompt_close(prompt);
	ebd_server_destroy(app.server);
	while (mpn_nic_get(0) != NULL)
		mpn_nic_destroy(mpn_nic_get(0));
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
	status = parse_options(&conf, argv[0], argc - separator, argv + separator);
	if (status >= 0)
		return status;
	app_catch_log(conf.verbose);
	catch_signals();
	status = start_eal(&conf, separator, argv);
	if (status == EXIT_OK)
		status = run_app(&conf, idle);
	mpn_eal_stop();
	return status;
}
