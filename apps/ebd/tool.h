/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * What the commands of `ebd` share: options, signals, exit statuses, and the client with the server
 * that may live beside it.
 */

#ifndef TOOL_H
#define TOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "ebd.h"
#include "mpn_err.h"
#include "mpn_opt.h"

/** Exit status of every command. */
enum tool_exit {
	TOOL_OK = 0,
	TOOL_FAILED = 1,
	TOOL_USAGE = 2,
	TOOL_INTERRUPTED = 130, /**< as a shell reports SIGINT */
	TOOL_GO_ON = -1, /**< not an exit status: the command has work to do */
};

#define TOOL_MAX_VOLUMES 64

/** Options of all commands. The first member of every command's own configuration. */
struct tool_conf {
	const char *prog; /**< "ebd copy", for messages */
	bool help;
	bool json;
	bool verbose; /**< print the log lines of the libraries */
	const char *link;
	const char *eal;
	bool no_huge;
	uint16_t mtu;
	struct ebd_vlan vlan;
	struct ebd_vlan net_vlan;
	const char *net; /* the interface the host gets, NULL: none */
	enum ebd_idle idle;
	int lcore; /**< -1: leave the thread where it is */
	uint64_t connect_timeout_ms; /**< 0: the library's default */
	uint64_t fail_after_ms; /**< 0: the library's default */
	uint8_t target_mac[6];
	uint8_t client_uuid[16]; /**< zeroes: a random one */
	int crc; /**< as in struct ebd_queue_conf */
	const char *volumes[TOOL_MAX_VOLUMES]; /**< "NAME=SPEC" each */
	unsigned nb_volumes;
	bool ceiling; /**< the server inside the process answers ebd_ceiling_run() */
};

/** Set a member of any configuration that starts with struct tool_conf. */
int tool_set_help(void *cfg, const char *arg);
int tool_set_json(void *cfg, const char *arg);
int tool_set_verbose(void *cfg, const char *arg);
int tool_set_link(void *cfg, const char *arg);
int tool_set_eal(void *cfg, const char *arg);
int tool_set_no_huge(void *cfg, const char *arg);
int tool_set_mtu(void *cfg, const char *arg);
int tool_set_net(void *cfg, const char *arg);
int tool_set_vlan(void *cfg, const char *arg);
int tool_set_net_vlan(void *cfg, const char *arg);
int tool_set_idle(void *cfg, const char *arg);
int tool_set_lcore(void *cfg, const char *arg);
int tool_set_connect_timeout(void *cfg, const char *arg);
int tool_set_fail_after(void *cfg, const char *arg);
int tool_set_target(void *cfg, const char *arg);
int tool_set_crc(void *cfg, const char *arg);
int tool_set_volume(void *cfg, const char *arg);
int tool_set_client(void *cfg, const char *arg);

/* What parsing accepts and the messages say must not drift apart. */
#define TOOL_MTU_MIN 576
#define TOOL_MTU_MAX 9216

/* clang-format off */
#define TOOL_OPT_LINK \
	{"link", 'l', "LINK", "a link such as virtio:ebd0.sock, or help", \
	 "the link to the server; --link help lists the kinds", tool_set_link}

/** Options that concern the process and its end of the link. */
#define TOOL_OPTS_PROCESS \
	{"mtu", 0, "BYTES", "a number from 576 to 9216", \
	 "default: the largest of 9000 and 1500 that the link takes", tool_set_mtu}, \
	{"net", 0, "NAME", "the name of an interface", \
	 "the host uses the link, too, as an interface of this name (needs root)", tool_set_net}, \
	{"vlan", 0, "VID", "a number from 1 to 4094, or two of them such as 100.10", \
	 "the VLAN of the volumes; OUTER.VID: frames with two tags; default: none", tool_set_vlan}, \
	{"net-vlan", 0, "VID", "a number from 1 to 4094, or two of them such as 100.10", \
	 "the VLAN of the interface of --net; default: none", tool_set_net_vlan}, \
	{"eal", 0, "FLAGS", "DPDK EAL flags", \
	 "raw EAL flags, separated by blanks", tool_set_eal}, \
	{"no-huge", 0, NULL, NULL, \
	 "do not use hugepages", tool_set_no_huge}, \
	{"lcore", 0, "N", "the number of a core this process may run on", \
	 "run on this core; default: anywhere", tool_set_lcore}, \
	{"verbose", 0, NULL, NULL, \
	 "print what the libraries and DPDK have to say", tool_set_verbose}

/** Options of every command that talks to a server. */
#define TOOL_OPTS_CLIENT \
	TOOL_OPT_LINK, \
	TOOL_OPTS_PROCESS, \
	{"idle", 0, "auto|spin|yield|sleep", "auto, spin, yield or sleep", \
	 "while nothing arrives; default: auto (spin, or yield on one core)", tool_set_idle}, \
	{"timeout", 0, "TIME", "a time from 1ms to 24h, such as 500ms or 10s", \
	 "wait so long for a server to answer; default: 5s", tool_set_connect_timeout}, \
	{"client", 0, "UUID", "a UUID such as 6f1c2f1e-0d6b-4f0e-9c52-3a1b8e7d5c40", \
	 "who we are, for servers that have lists of clients; default: random", tool_set_client}, \
	{"volume", 0, "NAME=SPEC", "NAME=SPEC such as disk0=file:disk.img, or help", \
	 "serve this volume in the same process (for ring links)", tool_set_volume}, \
	{"json", 0, NULL, NULL, \
	 "print the result as JSON", tool_set_json}, \
	{"help", 'h', NULL, NULL, \
	 "print this", tool_set_help}

/** Options of every command that opens a volume. */
#define TOOL_OPTS_QUEUE \
	{"target", 0, "MAC", "an address such as 02:00:00:00:00:01", \
	 "the server that has the volume; default: whoever answers", tool_set_target}, \
	{"crc", 0, "on|off|auto", "on, off or auto", \
	 "checksums in frames; default: auto, as the link needs", tool_set_crc}, \
	{"fail-after", 0, "TIME", "a time such as 30s, or never", \
	 "fail requests when the server has been gone so long; default: 30s", tool_set_fail_after}
/* clang-format on */

/** What a command tells about itself. */
struct tool_usage {
	const char *synopsis; /**< what follows "ebd NAME" */
	const char *text; /**< paragraphs for --help, each line ended */
	const struct mpn_opt *opts;
	size_t nb_opts;
	unsigned min_operands;
	unsigned max_operands; /**< at most TOOL_MAX_OPERANDS */
};
#define TOOL_MAX_OPERANDS 16

/**
 * Parse a command line into cfg, whose first member is conf; answer --help, --link help and
 * --volume help.
 * @param operands  room for TOOL_MAX_OPERANDS; those that were not given are NULL
 * @return TOOL_GO_ON, or the exit status when there is nothing left to do
 */
int tool_parse(struct tool_conf *conf, const struct tool_usage *usage, int argc, char **argv,
	const char *operands[TOOL_MAX_OPERANDS]);

/** Print one error line, "ebd copy: ...". @return TOOL_FAILED */
int tool_fail(const struct tool_conf *conf, const char *fmt, ...) MPN_PRINTF(2, 3);
/** Print one error line about the command line. @return TOOL_USAGE */
int tool_misuse(const struct tool_conf *conf, const char *fmt, ...) MPN_PRINTF(2, 3);
/** Before anything else is called: what happens to the log lines of the libraries. */
void tool_take_log(const struct tool_conf *conf);
/** From now on show their warnings and errors: the command will not report them itself. */
void tool_show_log(void);
/** What ebd_last_error() says, or the text of e (positive) when it says nothing. */
const char *tool_reason(int e);
/**
 * Print one line about a value that did not work, with tool_reason().
 * @param option  "--link"
 * @param e  positive; EINVAL and EEXIST: the user's mistake
 * @return TOOL_USAGE or TOOL_FAILED
 */
int tool_report(const struct tool_conf *conf, int e, const char *option, const char *value);

/** From now on SIGINT and SIGTERM set a flag; the second one ends the process. SIGPIPE is ignored. */
void tool_catch_signals(void);
/** A signal asked the command to end. */
bool tool_interrupted(void);
/** Print the one line about it. @return TOOL_INTERRUPTED */
int tool_say_interrupted(const struct tool_conf *conf);
/** A background for libraries that wait: -EINTR when a signal asked the command to end. */
int tool_check_signals(void *arg);
/** Let SIGUSR1 set a flag, too. */
void tool_catch_usr1(void);
/** SIGUSR1 arrived since the last call. */
bool tool_take_usr1(void);

/** Cores this process may run on. */
unsigned tool_nb_cores(void);

struct ebd_server;

/** A running client, and the server inside the process when --volume was given. */
struct tool {
	const struct tool_conf *conf;
	struct ebd_client *client;
	struct ebd_server *server; /**< NULL: the server is somewhere else */
};

/** Bring up what conf describes. @return TOOL_GO_ON, or the exit status after an error line */
int tool_open(struct tool *t, const struct tool_conf *conf);
/** Close it; queues included. */
void tool_close(struct tool *t);
/** Run the server inside the process, if there is one. @return work found */
unsigned tool_poll_server(struct tool *t);

/**
 * Open a queue as qc and the options say, which go before what they know of.
 * @param status  receives the exit status after an error line
 * @return NULL on failure
 */
struct ebd_queue *tool_queue_open(struct tool *t, const struct ebd_queue_conf *qc, int *status);

#endif
