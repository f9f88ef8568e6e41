/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "control.h"
#include "ebd_server.h"
#include "mpn_out.h"
#include "mpn_parse.h"
#include "server_end.h"
#include "serving.h"
#include "tool.h"

#define NSEC_PER_SEC 1000000000ull
#define MAX_LINKS 8
#define MAX_ALLOWS 64
#define FEW_CORES 2 /* with so many or fewer they are shared with the clients */
#define MAX_SESSIONS 1024
#define DESK_NS 2000000ull
#define DRAIN_NS (5 * NSEC_PER_SEC)

struct serve_conf {
	struct tool_conf tool;
	const char *links[MAX_LINKS];
	unsigned nb_links;
	uint16_t max_sessions;
	uint64_t lease_ns;
	uint64_t period_ns; /* of the statistics line, 0: none */
	const char *pidfile;
	const char *allows[MAX_ALLOWS];
	unsigned nb_allows;
	const char *config;
	const char *control;
	const char *metrics;
};

/* What is asked of the server beside its links. */
struct desk {
	struct control control;
	struct endpoint *commands;
	struct endpoint *metrics;
	uint64_t next_ns;
};

static int
add_link(void *cfg, const char *arg)
{
	struct serve_conf *conf = cfg;

	if (conf->nb_links == MAX_LINKS)
		return -ENOSPC;
	conf->links[conf->nb_links++] = arg;
	return tool_set_link(cfg, arg);
}

static int
add_allow(void *cfg, const char *arg)
{
	struct serve_conf *conf = cfg;

	if (conf->nb_allows == MAX_ALLOWS)
		return -ENOSPC;
	conf->allows[conf->nb_allows++] = arg;
	return strchr(arg, '=') != NULL ? 0 : -EINVAL;
}

static int
set_max_sessions(void *cfg, const char *arg)
{
	struct serve_conf *conf = cfg;
	uint64_t n;

	if (mpn_parse_u64(arg, 1, MAX_SESSIONS, &n) != 0)
		return -EINVAL;
	conf->max_sessions = (uint16_t)n;
	return 0;
}

static int
set_lease(void *cfg, const char *arg)
{
	return mpn_parse_time_ns(
		arg, NSEC_PER_SEC, 86400 * NSEC_PER_SEC, &((struct serve_conf *)cfg)->lease_ns);
}

static int
set_period(void *cfg, const char *arg)
{
	return mpn_parse_time_ns(arg, NSEC_PER_SEC / 10, 86400 * NSEC_PER_SEC,
		&((struct serve_conf *)cfg)->period_ns);
}

static int
set_pidfile(void *cfg, const char *arg)
{
	((struct serve_conf *)cfg)->pidfile = arg;
	return arg[0] != '\0' ? 0 : -EINVAL;
}

static int
set_config(void *cfg, const char *arg)
{
	((struct serve_conf *)cfg)->config = arg;
	return arg[0] != '\0' ? 0 : -EINVAL;
}

static int
set_control(void *cfg, const char *arg)
{
	((struct serve_conf *)cfg)->control = arg;
	return strchr(arg, '/') != NULL ? 0 : -EINVAL;
}

static int
set_metrics(void *cfg, const char *arg)
{
	uint64_t port;

	((struct serve_conf *)cfg)->metrics = arg;
	return strchr(arg, '/') != NULL || mpn_parse_u64(arg, 1, UINT16_MAX, &port) == 0 ? 0
											 : -EINVAL;
}

static int
set_ceiling(void *cfg, const char *arg)
{
	((struct tool_conf *)cfg)->ceiling = true;
	return 0;
}

static const struct mpn_opt opts[] = {
	{"link", 'l', "LINK", "at most 8 links such as vhost:ebd0.sock, or help",
		"serve on this link; may be repeated; --link help lists the kinds", add_link},
	{"volume", 'v', "NAME=SPEC", "NAME=SPEC such as disk0=file:disk.img, or help",
		"export this volume; may be repeated; --volume help lists the kinds",
		tool_set_volume},
	{"allow", 0, "NAME=CLIENT[,...]",
		"NAME=CLIENT[,CLIENT...], a CLIENT being a UUID, a MAC or UUID@MAC",
		"only these clients may use this volume, others do not see it; may be repeated",
		add_allow},
	TOOL_OPTS_PROCESS,
	{"idle", 0, "auto|spin|yield|sleep", "auto, spin, yield or sleep",
		"while nothing arrives; default: auto (sleep on two cores or one, else spin)",
		tool_set_idle},
	{"max-sessions", 0, "N", "a number from 1 to 1024", "default: 64", set_max_sessions},
	{"lease", 0, "TIME", "a time from 1s to 24h (86400s)",
		"collect sessions that are silent for so long; default: 30s", set_lease},
	{"stats-period", 0, "TIME", "a time such as 1s", "print a line of rates this often",
		set_period},
	{"pidfile", 0, "FILE", "the name of a file",
		"write the process id here when ready; removed at the end", set_pidfile},
	{"config", 0, "FILE", "the name of a file",
		"run the commands in this file, one a line, as ebd ctl has them", set_config},
	{"control", 0, "PATH", "the path of a socket, with a '/'", "take commands of ebd ctl here",
		set_control},
	{"metrics", 0, "PATH|PORT", "the path of a socket, with a '/', or a port of 127.0.0.1",
		"give counters as OpenMetrics here: GET /metrics", set_metrics},
	{"ceiling", 0, NULL, NULL,
		"answer ebd perf --ceiling: anybody on the link reads and writes the volumes",
		set_ceiling},
	{"help", 'h', NULL, NULL, "print this", tool_set_help},
};

static const struct tool_usage usage = {
	.synopsis = "--link LINK --volume NAME=SPEC [options]",
	.text = "Serves volumes until SIGINT or SIGTERM; then it answers what it has accepted and "
		"ends.\n"
		"Prints \"ready\" on a line of its own when clients can come. SIGUSR1 prints "
		"counters.\n",
	.opts = opts,
	.nb_opts = MPN_ARRAY_SIZE(opts),
};

/* ---- Output ---- */

static void
announce(const struct ebd_server *s, const struct serve_conf *conf)
{
	struct ebd_export_info info;
	char size[32];
	unsigned i, n;

	for (n = 0; ebd_export_get(s, n, &info) == 0; n++) {
		for (i = 0; i < conf->nb_links; i++)
			printf("serving %s (%s) on %s\n", info.name,
				mpn_format_size(size, sizeof(size), info.size), conf->links[i]);
	}
	puts("ready");
	fflush(stdout);
}

static void
dump_counters(const struct ebd_server *s)
{
	struct ebd_server_stats st;
	struct mpn_out o;

	ebd_server_get_stats(s, &st);
	mpn_out_begin(&o, stdout, false);
	mpn_out_u64(&o, "sessions", st.sessions);
	mpn_out_u64(&o, "commands", st.commands);
	mpn_out_u64(&o, "read_bytes", st.read_bytes);
	mpn_out_u64(&o, "write_bytes", st.write_bytes);
	mpn_out_u64(&o, "errors", st.errors);
	mpn_out_u64(&o, "rx_frames", st.rx_frames);
	mpn_out_u64(&o, "tx_frames", st.tx_frames);
	mpn_out_u64(&o, "retransmits", st.retransmits);
	mpn_out_u64(&o, "drops", st.drops);
	mpn_out_u64(&o, "copied_bytes", st.copied_bytes);
	mpn_out_u64(&o, "buffers", st.buffers);
	mpn_out_u64(&o, "buffers_max", st.buffers_max);
	mpn_out_u64(&o, "memory", st.memory);
	mpn_out_u64(&o, "closing", st.closing);
	ebd_server_print_sessions(s, NULL, &o);
	ebd_server_print_volumes(s, NULL, &o);
	(void)mpn_out_end(&o);
}

/* Rates since the last line. */
struct rates {
	struct ebd_server_stats last;
	uint64_t last_ns;
};

static void
print_rates(const struct ebd_server *s, struct rates *r, uint64_t now_ns)
{
	double sec = (double)(now_ns - r->last_ns) / 1e9;
	struct ebd_server_stats st;

	ebd_server_get_stats(s, &st);
	printf("sessions %" PRIu64 "  %.1f kIOPS  read %.1f MB/s  write %.1f MB/s"
	       "  retransmits %" PRIu64 "  errors %" PRIu64 "\n",
		st.sessions, (double)(st.commands - r->last.commands) / sec / 1e3,
		(double)(st.read_bytes - r->last.read_bytes) / sec / 1e6,
		(double)(st.write_bytes - r->last.write_bytes) / sec / 1e6,
		st.retransmits - r->last.retransmits, st.errors - r->last.errors);
	fflush(stdout);
	r->last = st;
	r->last_ns = now_ns;
}

static int
write_pidfile(const struct serve_conf *conf)
{
	FILE *f = fopen(conf->pidfile, "w");
	int bad;

	if (f == NULL)
		return tool_fail(
			&conf->tool, "--pidfile: '%s': %s", conf->pidfile, strerror(errno));
	bad = fprintf(f, "%ld\n", (long)getpid()) < 0;
	bad |= fclose(f) != 0;
	return bad ? tool_fail(&conf->tool, "--pidfile: '%s': cannot write", conf->pidfile)
		   : TOOL_GO_ON;
}

/* ---- The loop ---- */

static void
close_desk(struct desk *d)
{
	endpoint_close(d->commands);
	endpoint_close(d->metrics);
}

/* The command of this name, before anybody is served. */
static int
run_allow(struct desk *d, const struct serve_conf *conf, const char *arg)
{
	char line[CONTROL_LINE], reason[512];

	if (snprintf(line, sizeof(line), "allow %s", arg) >= (int)sizeof(line))
		return tool_misuse(&conf->tool, "--allow: '%.32s...': is too long", arg);
	if (control_run(&d->control, line, reason, sizeof(reason), NULL) < 0)
		return tool_misuse(&conf->tool, "--%s", reason);
	return TOOL_GO_ON;
}

static int
open_desk(struct desk *d, struct ebd_server *s, const struct serve_conf *conf)
{
	const char *what = NULL;

	int status = TOOL_GO_ON;
	unsigned i;

	d->control.server = s;
	for (i = 0; i < conf->nb_allows && status == TOOL_GO_ON; i++)
		status = run_allow(d, conf, conf->allows[i]);
	if (status != TOOL_GO_ON)
		return status;
	if (conf->config != NULL &&
		control_run_file(&d->control, conf->tool.prog, conf->config) < 0)
		return TOOL_USAGE;
	if (conf->control != NULL) {
		d->commands = endpoint_open(&(struct endpoint_conf){.address = conf->control,
			.end = "\n",
			.answer = control_answer,
			.ctx = &d->control});
		what = d->commands == NULL ? conf->control : NULL;
	}
	if (what == NULL && conf->metrics != NULL) {
		d->metrics = endpoint_open(&(struct endpoint_conf){.address = conf->metrics,
			.end = "\r\n\r\n",
			.answer = metrics_answer,
			.ctx = s});
		what = d->metrics == NULL ? conf->metrics : NULL;
	}
	if (what == NULL)
		return TOOL_GO_ON;
	return tool_fail(&conf->tool, "'%s': cannot listen: %s", what, strerror(errno));
}

/* Off the path of requests: a few system calls, every few milliseconds. */
static void
attend(struct desk *d)
{
	uint64_t now_ns;

	if (d->commands == NULL && d->metrics == NULL)
		return;
	now_ns = ebd_now_ns();
	if (now_ns < d->next_ns)
		return;
	d->next_ns = now_ns + DESK_NS;
	endpoint_poll(d->commands);
	endpoint_poll(d->metrics);
}

/* While one command waits for a back end others are taken. */
static int
attend_meanwhile(void *arg)
{
	struct desk *desk = arg;

	attend(desk);
	return tool_interrupted() || desk->control.stop ? -EINTR : 0;
}

static void
run(struct ebd_server *s, const struct serve_conf *conf, struct desk *desk)
{
	struct rates rates = {.last_ns = ebd_now_ns()};

	while (!tool_interrupted() && !desk->control.stop) {
		unsigned work = ebd_server_poll(s);

		attend(desk);
		if (tool_take_usr1())
			dump_counters(s);
		if (conf->period_ns != 0) {
			uint64_t now_ns = ebd_now_ns();

			if (now_ns - rates.last_ns >= conf->period_ns)
				print_rates(s, &rates, now_ns);
		}
		ebd_server_idle(s, work);
	}
}

/* @return false: something hangs */
static bool
drain(struct ebd_server *s, const struct serve_conf *conf)
{
	uint64_t end_ns = ebd_now_ns() + DRAIN_NS;

	ebd_server_drain(s);
	while (!ebd_server_quiet(s)) {
		unsigned work = ebd_server_poll(s);

		if (ebd_now_ns() > end_ns) {
			fprintf(stderr, "%s: requests were still in the back end after %d s\n",
				conf->tool.prog, (int)(DRAIN_NS / NSEC_PER_SEC));
			return false;
		}
		ebd_server_idle(s, work);
	}
	return true;
}

static int
serve(const struct serve_conf *conf)
{
	struct ebd_server_conf sc;
	struct ebd_server *s;
	struct desk desk = {0};
	bool hangs = false;
	int status;

	serving_conf_init(&sc, &conf->tool);
	sc.max_sessions = conf->max_sessions;
	sc.lease_ms = (uint32_t)(conf->lease_ns / 1000000);
	sc.first_link = conf->links[0];
	sc.background = attend_meanwhile;
	sc.background_arg = &desk;
	if (sc.idle == EBD_IDLE_AUTO)
		sc.idle = tool_nb_cores() <= FEW_CORES ? EBD_IDLE_SLEEP : EBD_IDLE_SPIN;
	s = serving_start(&conf->tool, &sc, conf->links, conf->nb_links, &status);
	if (s == NULL)
		return status;
	status = open_desk(&desk, s, conf);
	if (status == TOOL_GO_ON && conf->pidfile != NULL)
		status = write_pidfile(conf);
	if (status == TOOL_GO_ON) {
		announce(s, conf);
		notify_systemd("READY=1");
		tool_show_log();
		run(s, conf, &desk);
		notify_systemd("STOPPING=1");
		status = drain(s, conf) ? TOOL_OK : TOOL_FAILED;
		hangs = status != TOOL_OK;
	}
	close_desk(&desk);
	if (conf->pidfile != NULL)
		(void)unlink(conf->pidfile);
	/* A back end writes to our memory as long as it is there: do not wait for it, nor free anything. */
	if (hangs) {
		fflush(NULL);
		_exit(status);
	}
	server_end(s, conf->tool.prog);
	return status;
}

int
cmd_serve(int argc, char **argv)
{
	struct serve_conf conf = {.tool = {.prog = "ebd serve", .lcore = -1}};
	const char *operands[TOOL_MAX_OPERANDS] = {NULL};
	int status;

	status = tool_parse(&conf.tool, &usage, argc, argv, operands);
	if (status != TOOL_GO_ON)
		return status;
	if (conf.tool.nb_volumes == 0 && conf.config == NULL && conf.control == NULL)
		return tool_misuse(&conf.tool,
			"--volume: is missing: expected NAME=SPEC such as "
			"disk0=file:disk.img, --volume help lists the kinds");
	tool_take_log(&conf.tool);
	tool_catch_signals();
	tool_catch_usr1();
	return serve(&conf);
}
