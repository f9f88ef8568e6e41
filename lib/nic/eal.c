/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Starting DPDK from what a user said about a link, and leaving nothing behind.
 */

#include <ctype.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include "eal_files.h"
#include "eal_log.h"
#include "eal_output.h"
#include "link.h"
#include "mpn_log.h"
#include "mpn_parse.h"
#include "nic_internal.h"

#define MAX_ARGS 64
#define ARG_BYTES 4096
#define DEFAULT_MEM_MIB 256

/* argv for rte_eal_init(), in one piece. Errors add up in rc. */
struct eal_args {
	int argc;
	int rc;
	size_t used;
	char *argv[MAX_ARGS + 1];
	char text[ARG_BYTES];
};

static bool we_started;
static bool we_failed;
static bool we_ended;
static bool skip_cleanup;

/* ---- Time ---- */

static uint64_t ns_per_tsc_32; /* fixed point, 32 bits after the point */
static uint64_t tsc_base, ns_base;

static uint64_t
read_clock_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* From here on time comes from the TSC, and goes on from where the clock is. */
static void
start_tsc_clock(void)
{
	tsc_base = rte_rdtsc();
	ns_base = read_clock_ns();
	ns_per_tsc_32 = (uint64_t)(((unsigned __int128)1000000000u << 32) / rte_get_tsc_hz());
}

uint64_t
eal_tsc_to_ns(uint64_t tsc)
{
	return ns_base + (uint64_t)(((unsigned __int128)(tsc - tsc_base) * ns_per_tsc_32) >> 32);
}

uint64_t
mpn_now_ns(void)
{
	return mpn_likely(ns_per_tsc_32 != 0) ? eal_tsc_to_ns(rte_rdtsc()) : read_clock_ns();
}

bool
eal_is_running(void)
{
	/* The EAL measures the TSC near the end of its start. */
	if (we_ended || rte_get_tsc_hz() == 0)
		return false;
	if (ns_per_tsc_32 == 0)
		start_tsc_clock();
	return true;
}

bool
mpn_eal_has_hugepages(void)
{
	return rte_eal_has_hugepages() != 0;
}

/* ---- DPDK's log lines become ours ---- */

static _Thread_local bool quiet;

void
eal_log_quiet(bool on)
{
	quiet = on;
}

/* While the EAL starts stderr is not ours: its lines wait here. */
static struct {
	bool on;
	unsigned n;
	struct {
		enum mpn_log_level level;
		char text[256];
	} line[32];
} held;

static void
hold_line(enum mpn_log_level level, const char *text, size_t len)
{
	if (held.n == MPN_ARRAY_SIZE(held.line))
		return;
	held.line[held.n].level = level;
	(void)snprintf(held.line[held.n].text, sizeof(held.line[0].text), "%.*s", (int)len, text);
	held.n++;
}

/* Log what has waited; why, unless there is a reason in it, receives the first error. */
static void
release_lines(char *why, size_t size)
{
	held.on = false;
	for (unsigned i = 0; i < held.n; i++) {
		if (why[0] == '\0' && held.line[i].level == MPN_LOG_WARN)
			(void)snprintf(why, size, "%s", held.line[i].text);
		mpn_log(held.line[i].level, "dpdk", "%s", held.line[i].text);
	}
	held.n = 0;
}

static ssize_t
write_log(void *cookie, const char *buf, size_t size)
{
	/* DPDK's errors are details of what we report ourselves in one line. */
	enum mpn_log_level level =
		rte_log_cur_msg_loglevel() <= (int)RTE_LOG_ERR ? MPN_LOG_WARN : MPN_LOG_INFO;
	size_t len = size;

	while (len > 0 && isspace((unsigned char)buf[len - 1]))
		len--;
	if (len > 0 && held.on)
		hold_line(level, buf, len);
	else if (len > 0)
		mpn_log(quiet ? MPN_LOG_DEBUG : level, "dpdk", "%.*s", (int)len, buf);
	return (ssize_t)size;
}

static void
take_over_log(void)
{
	static const cookie_io_functions_t io = {.write = write_log};
	static FILE *stream;

	if (stream == NULL)
		stream = fopencookie(NULL, "w", io);
	if (stream == NULL)
		return;
	(void)setvbuf(stream, NULL, _IOLBF, 0);
	(void)rte_openlog_stream(stream);
}

/* ---- Arguments ---- */

static void add_arg(struct eal_args *a, const char *fmt, ...) MPN_PRINTF(2, 3);

static void
add_arg(struct eal_args *a, const char *fmt, ...)
{
	size_t room = sizeof(a->text) - a->used;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(a->text + a->used, room, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= room || a->argc == MAX_ARGS) {
		a->rc = -E2BIG;
		return;
	}
	a->argv[a->argc++] = a->text + a->used;
	a->used += (size_t)n + 1;
}

/* What the user gave, cut at blanks. */
static void
add_extra(struct eal_args *a, const char *extra)
{
	while (extra != NULL && *(extra += strspn(extra, " \t\n")) != '\0') {
		size_t len = strcspn(extra, " \t\n");

		add_arg(a, "%.*s", (int)len, extra);
		extra += len;
	}
}

/* One lcore on all CPUs the thread may use now: it runs where it ran before. */
static void
add_floating_lcore(struct eal_args *a)
{
	char list[1024];
	size_t used = 0;
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0) {
		a->rc = -errno;
		return;
	}
	for (unsigned first = 0; first < CPU_SETSIZE; first++) {
		unsigned last = first;
		int n;

		if (!CPU_ISSET(first, &cpus))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, &cpus))
			last++;
		n = snprintf(list + used, sizeof(list) - used, "%s%u-%u", used > 0 ? "," : "",
			first, last);
		if (n < 0 || (size_t)n >= sizeof(list) - used)
			break;
		used += (size_t)n;
		first = last;
	}
	add_arg(a, "--lcores=0@(%s)", list);
}

static bool
extra_has(const char *extra, const char *flag)
{
	return extra != NULL && strstr(extra, flag) != NULL;
}

static void
add_memory(struct eal_args *a, const struct mpn_eal_conf *conf)
{
	uint32_t mib = conf->mem_mib != 0 ? conf->mem_mib : DEFAULT_MEM_MIB;
	char huge_dir[256];

	if (extra_has(conf->extra, "--no-huge") || extra_has(conf->extra, "--huge-dir") ||
		extra_has(conf->extra, "--in-memory"))
		return;
	if (!extra_has(conf->extra, "--socket-mem") && !extra_has(conf->extra, "-m "))
		add_arg(a, "-m%u", mib);
	/* One file for all of it: vhost peers map at most eight. */
	add_arg(a, "--single-file-segments");
	if (!conf->no_huge && eal_find_hugepages(mib, huge_dir, sizeof(huge_dir)))
		add_arg(a, "--huge-dir=%s", huge_dir);
	else
		add_arg(a, "--no-huge");
}

static int
build_args(struct eal_args *a, const struct mpn_eal_conf *conf)
{
	struct link_spec spec;
	const char *pci = NULL;

	if (conf->link != NULL) {
		int rc = link_parse(conf->link, &spec);

		if (rc < 0)
			return rc;
		pci = link_pci_device(&spec);
	}
	add_arg(a, "%s", conf->prog != NULL ? conf->prog : "mpnic");
	add_arg(a, "--log-level=*:%u", RTE_LOG_WARNING);
	if (!extra_has(conf->extra, "--file-prefix"))
		add_arg(a, "--file-prefix=" EAL_PREFIX "%d", (int)getpid());
	if (pci == NULL && !extra_has(conf->extra, "-a ")) {
		add_arg(a, "--no-pci");
		add_arg(a, "--iova-mode=va");
	}
	if (conf->lcore >= 0)
		add_arg(a, "-l%d", conf->lcore);
	else if (!extra_has(conf->extra, "-l ") && !extra_has(conf->extra, "--lcores"))
		add_floating_lcore(a);
	add_memory(a, conf);
	add_extra(a, conf->extra);
	return a->rc < 0 ? mpn_log_err(-a->rc, "nic", "too many EAL arguments") : 0;
}

/* ---- Start and end ---- */

/* A peer that goes away must not end the process; whoever handles the signal keeps his handler. */
static void
ignore_sigpipe(void)
{
	struct sigaction old;

	if (sigaction(SIGPIPE, NULL, &old) == 0 && !(old.sa_flags & SA_SIGINFO) &&
		old.sa_handler == SIG_DFL)
		(void)signal(SIGPIPE, SIG_IGN);
}

/* Its usage and the end of the process is what the user wants: let it print. */
static bool
asks_for_help(const struct eal_args *a)
{
	for (int i = 1; i < a->argc; i++) {
		if (strcmp(a->argv[i], "-h") == 0 || strcmp(a->argv[i], "--help") == 0)
			return true;
	}
	return false;
}

static int
call_init(struct eal_args *a, char *why, size_t size)
{
	struct eal_output out;
	int rc;

	if (asks_for_help(a))
		return rte_eal_init(a->argc, a->argv);
	held.on = true;
	eal_output_begin(&out);
	rc = rte_eal_init(a->argc, a->argv);
	eal_output_end(&out, rc >= 0, why, size);
	release_lines(why, size);
	return rc;
}

static int
run_init(struct eal_args *a, const char *extra)
{
	char why[256] = "";
	int err;

	take_over_log();
	rte_errno = 0;
	if (call_init(a, why, sizeof(why)) >= 0)
		return 0;
	we_failed = true;
	err = rte_errno > 0 ? rte_errno : EIO;
	/* What a failed start has written already. */
	eal_remove_own_files();
	if (err == EALREADY)
		return mpn_log_err(
			err, "nic", "DPDK does not start: it was ended in this process before");
	return mpn_log_err(err, "nic", "DPDK does not start%s%s%s: %s",
		extra != NULL ? " with '" : "", extra != NULL ? extra : "",
		extra != NULL ? "'" : "", why[0] != '\0' ? why : rte_strerror(err));
}

int
mpn_eal_start(const struct mpn_eal_conf *conf)
{
	struct eal_args *a;
	int rc;

	if (eal_is_running())
		return 0;
	/* The EAL remembers some of its flags from the last time, and refuses them then. */
	if (we_failed)
		return mpn_log_err(
			EALREADY, "nic", "DPDK does not start: it failed before in this process");
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return mpn_err(ENOMEM);
	rc = build_args(a, conf);
	if (rc == 0)
		rc = eal_prepare_runtime_dir();
	if (rc == 0) {
		eal_remove_stale_files();
		rc = run_init(a, conf->extra);
		eal_restore_runtime_dir();
	}
	free(a);
	if (rc < 0)
		return rc;
	/* It calls each lost connection, and what it does about it, an error. */
	if (!extra_has(conf->extra, "--log-level"))
		(void)rte_log_set_level_pattern("pmd.net.virtio.driver", RTE_LOG_CRIT);
	ignore_sigpipe();
	start_tsc_clock();
	we_started = true;
	return 0;
}

void
eal_skip_cleanup(void)
{
	skip_cleanup = true;
}

void
mpn_eal_stop(void)
{
	if (!we_started || we_ended)
		return;
	mpn_nic_pool_reap();
	we_ended = true;
	if (!skip_cleanup)
		(void)rte_eal_cleanup();
	eal_remove_own_files();
}
