/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* vhost-ebd: a volume as a disk of a virtual machine. */

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "device.h"
#include "mpn_log.h"
#include "mpn_parse.h"
#include "target.h"

#define PROG "vhost-ebd"
#define MAX_OPTIONS 32

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct conf {
	struct target_conf target; /* whose first member is what client_opts.h's options set */
	bool help;
	bool version;
	bool verbose;
};

static struct target_signals signals;
static int wake_fd = -1;

/* ---- Command line ---- */

static int
set_socket(void *cfg, const char *arg)
{
	struct conf *c = cfg;

	if (arg[0] == '\0')
		return -EINVAL;
	c->target.socket = arg;
	return 0;
}

static int
set_queues(void *cfg, const char *arg)
{
	struct conf *c = cfg;
	uint64_t n;

	if (mpn_parse_u64(arg, 1, DEVICE_QUEUES, &n) != 0)
		return -EINVAL;
	c->target.queues = (uint16_t)n;
	return 0;
}

static int
set_serial(void *cfg, const char *arg)
{
	struct conf *c = cfg;

	if (strlen(arg) > VIRTIO_BLK_ID_BYTES)
		return -EINVAL;
	c->target.serial = arg;
	return 0;
}

static int
set_no_huge(void *cfg, const char *arg)
{
	((struct conf *)cfg)->target.volume.client.no_huge = true;
	return 0;
}

static int
set_verbose(void *cfg, const char *arg)
{
	((struct conf *)cfg)->verbose = true;
	return 0;
}

static int
set_version(void *cfg, const char *arg)
{
	((struct conf *)cfg)->version = true;
	return 0;
}

static int
set_help(void *cfg, const char *arg)
{
	((struct conf *)cfg)->help = true;
	return 0;
}

/* clang-format off */
static const struct mpn_opt own_options[] = {
	{"socket", 's', "PATH", "a path", "where QEMU connects to", set_socket},
	{"queues", 0, "N", "a number from 1 to 16", "at most so many queues; default: 1", set_queues},
	{"serial", 0, "TEXT", "at most 20 bytes", "serial number of the disk; default: the volume's name",
	 set_serial},
	{"no-huge", 0, NULL, NULL, "do not use hugepages", set_no_huge},
	{"verbose", 0, NULL, NULL, "print what the libraries and DPDK have to say", set_verbose},
	{"version", 'V', NULL, NULL, "print the version", set_version},
	{"help", 'h', NULL, NULL, "print this", set_help},
};
/* clang-format on */

/* The volume is an operand here, and flags are flags. */
static size_t
make_options(struct mpn_opt *options)
{
	size_t n = 0, i;

	for (i = 0; i < client_opts_count; i++) {
		if (strcmp(client_opts_table[i].name, "volume") != 0 &&
			strcmp(client_opts_table[i].name, "no-huge") != 0)
			options[n++] = client_opts_table[i];
	}
	for (i = 0; i < MPN_ARRAY_SIZE(own_options); i++)
		options[n++] = own_options[i];
	return n;
}
_Static_assert(MPN_ARRAY_SIZE(own_options) + 16 <= MAX_OPTIONS, "room for all options");

MPN_PRINTF(1, 2)
static int
misuse(const char *fmt, ...)
{
	va_list ap;

	fputs(PROG ": ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return EXIT_USAGE;
}

static void
print_help(const struct mpn_opt *options, size_t n)
{
	printf("usage: " PROG " --link LINK [options] VOLUME --socket PATH\n\n"
	       "Offers a volume to a virtual machine as a disk, by vhost-user-blk. The machine's\n"
	       "memory must be shared:\n"
	       "  qemu-system-x86_64 -m 1G -object memory-backend-memfd,id=m,size=1G,share=on \\\n"
	       "    -machine memory-backend=m -chardev socket,id=c,path=PATH,reconnect=1 \\\n"
	       "    -device vhost-user-blk-pci,chardev=c ...\n"
	       "Prints \"ready\" on a line of its own when QEMU can connect. SIGUSR1 prints "
	       "counters.\n\n"
	       "options:\n");
	mpn_opt_help(stdout, options, n);
}

static int
check(struct conf *c, const char **operands, int n)
{
	struct client_opts *o = &c->target.volume;

	if (n > 1)
		return misuse("'%s': one word too many: expected one volume", operands[1]);
	if (n == 0)
		return misuse("a volume is missing: expected its name, such as disk0");
	if (o->client.link == NULL)
		return misuse("--link: is missing: expected a link such as virtio:ebd0.sock");
	if (c->target.socket == NULL)
		return misuse("--socket: is missing: expected a path such as guest.sock");
	if (strlen(operands[0]) >= EBD_NAME_LEN || operands[0][0] == '\0')
		return misuse("'%s': expected a name of 1 to 63 bytes", operands[0]);
	o->queue.volume = operands[0];
	return -1;
}

/* -1: go on. */
static int
parse(struct conf *c, int argc, char **argv)
{
	struct mpn_opt options[MAX_OPTIONS];
	size_t nb_options = make_options(options);
	const char **operands = calloc((size_t)argc + 1, sizeof(*operands));
	int n, status = EXIT_OK;

	if (operands == NULL)
		return EXIT_FAILED;
	n = mpn_opt_parse(PROG, options, nb_options, argc, argv, c, operands);
	if (n < 0)
		status = EXIT_USAGE;
	else if (c->help)
		print_help(options, nb_options);
	else if (c->version)
		printf(PROG " (mpnic) %s\n", ebd_version());
	else if (c->target.volume.client.link != NULL &&
		 strcmp(c->target.volume.client.link, "help") == 0)
		ebd_link_help(stdout);
	else
		status = check(c, operands, n);
	free(operands);
	return status;
}

/* ---- Running ---- */

static void
on_signal(int sig)
{
	if (sig == SIGUSR1)
		signals.report = true;
	else
		signals.stop = true;
	if (wake_fd >= 0)
		(void)eventfd_write(wake_fd, 1);
}

static void
catch_signals(void)
{
	struct sigaction end = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};
	struct sigaction report = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	(void)sigaction(SIGINT, &end, NULL);
	(void)sigaction(SIGTERM, &end, NULL);
	(void)sigaction(SIGUSR1, &report, NULL);
	/* Sockets whose other end is gone. */
	(void)signal(SIGPIPE, SIG_IGN);
}

static int
serve(const struct conf *c)
{
	struct target *t = target_create(&c->target, &signals);
	int rc = errno;

	if (t == NULL && signals.stop)
		return EXIT_OK;
	if (t == NULL) {
		/* Most errors have been logged as a sentence. */
		if (ebd_last_error()[0] == '\0')
			fprintf(stderr, PROG ": %s\n", strerror(rc));
		return rc == EINVAL || rc == EEXIST ? EXIT_USAGE : EXIT_FAILED;
	}
	wake_fd = target_wake_fd(t);
	printf("ready\n");
	(void)fflush(stdout);
	rc = target_run(t);
	wake_fd = -1;
	target_destroy(t);
	return rc == 0 ? EXIT_OK : EXIT_FAILED;
}

static void
show_line(enum mpn_log_level level, const char *topic, const char *line)
{
	/* What DPDK warns of are details. */
	if (level == MPN_LOG_ERR || strcmp(topic, "dpdk") != 0)
		fprintf(stderr, PROG ": %s\n", line);
}

int
main(int argc, char **argv)
{
	struct conf c = {0};
	int status = parse(&c, argc, argv);

	if (status >= 0)
		return status;
	if (c.verbose)
		mpn_log_set_level(MPN_LOG_DEBUG);
	else
		mpn_log_set_sink(show_line);
	catch_signals();
	return serve(&c);
}
