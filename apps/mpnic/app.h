/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * The application: NICs, a server when there are volumes, and one thread that polls them and runs the
 * commands in between. So a command never meets a poll, and nothing is locked.
 */

#ifndef APP_H
#define APP_H

#include "ebd_server.h"
#include "mpn_nic.h"
#include "mpn_out.h"
#include "shell.h"

#define APP_MAX_SERVED 32
#define APP_STORAGE "storage" /* the kind of personality that serves volumes */

struct endpoint;

struct app {
	struct shell shell;
	struct ebd_server *server; /**< NULL until the first volume */
	struct mpn_idler idler;
	enum mpn_idle idle; /**< while running */
	enum mpn_idle default_idle; /**< that of the start */
	uint64_t started_ns;
	uint64_t period_ns; /**< of the rates, 0: none */
	bool screen; /**< they have the terminal for themselves */
	uint64_t rates_ns; /**< when they are printed next */
	int (*background)(void *arg); /**< of a NIC that waits for its peer */
	const struct mpn_nic *served[APP_MAX_SERVED]; /**< NICs the server has */
	unsigned nb_served;
	struct endpoint *remote; /**< where commands come in, too; NULL: nowhere */
	bool running; /**< NICs and server are polled */
	bool quit;
};

/** The application a shell belongs to. */
static inline struct app *
app_of(struct shell *sh)
{
	return mpn_container_of(sh, struct app, shell);
}

/** One round of all NICs, as long as they are polled. @return what there was to do */
unsigned app_poll_nics(const struct app *app);

/** Have the lcores of all maps stand still, and go on. */
void app_hold(bool on);
/** Start and stop polling. */
void app_start(struct app *app);
void app_stop(struct app *app);

/** A time between two prints of the rates. 0 or -EINVAL: expected APP_PERIOD_EXPECTED */
int app_parse_period(const char *text, uint64_t *ns);
#define APP_PERIOD_EXPECTED "a time from 100ms to 24h, such as 1s"

/** Call fn with the NIC's name and each of its personalities, for all NICs: to save a state. */
void app_save_personalities(struct shell *sh,
	void (*fn)(struct shell *sh, const char *nic, const struct mpn_personality_info *info));
/** The same with NICs. */
void app_save_nics(struct shell *sh,
	void (*fn)(struct shell *sh, struct mpn_nic *nic, const struct mpn_nic_info *info));

/** Remember which NICs the program began with. 0 or -ENOMEM */
int app_know_nics(void);
void app_forget_links(void);

/** Refuse a word that names no NIC. @return -EINVAL */
int app_refuse_nic(struct shell *sh, const char *word);
/** Does the server serve on the NIC? */
bool app_serves(const struct app *app, const struct mpn_nic *nic);
/** The n-th thing `dump` knows, NULL at the end. */
const char *app_dump_name(unsigned n);

/** The NIC of this name, or NULL. */
struct mpn_nic *app_find_nic(const char *name);
/** Can it be the name of something? 0, or -EINVAL after shell_refuse(): a word of commands, or one of bad_chars in it */
int app_check_name(struct shell *sh, const char *name, const char *bad_chars);
/**
 * The NICs a word names: one, or "all". Calls fn for each; stops at its first error, whose reason then names the NIC.
 * @return 0, -EINVAL after shell_refuse(), or what fn gave
 */
int app_for_each_nic(struct shell *sh, const char *word,
	int (*fn)(struct shell *sh, struct mpn_nic *nic, void *arg), void *arg);

/** A change to a NIC, that either all of "all" get or none. */
struct app_setter {
	size_t old_size; /**< of what read() keeps; 0: nothing */
	void (*read)(struct mpn_nic *nic, const void *arg, void *old); /**< NULL: nothing to keep */
	int (*apply)(struct shell *sh, struct mpn_nic *nic,
		void *arg); /**< 0, or -errno and all is as before */
	void (*restore)(struct mpn_nic *nic, void *arg, const void *old);
};
/** Make a change to the NICs a word names. @return as app_for_each_nic() */
int app_set_nics(struct shell *sh, const char *word, const struct app_setter *setter, void *arg);

/**
 * The volume a word names: NULL for "all".
 * @return 0, or -EINVAL after shell_refuse()
 */
int app_find_volume(struct shell *sh, const char *word, const char **volume);

/** What the commands have noted about the personalities of a NIC (NULL: of all) is not needed any more. */
void app_forget_nic(const char *nic);
void app_forget_volumes(void);
/** Save what a personality may hold, which is set before it is loaded. For app_save_personalities(). */
void app_save_limits(struct shell *sh, const char *nic, const struct mpn_personality_info *info);
/** And its VLAN. */
void app_save_vlan(struct shell *sh, const char *nic, const struct mpn_personality_info *info);
/** Save what is last: a personality that is started. For app_save_personalities(). */
void app_save_started(struct shell *sh, const char *nic, const struct mpn_personality_info *info);

/** Serve on every NIC whose storage personality is started. 0 or -errno after shell_fail() */
int app_serve_nics(struct app *app);

/** "NIC", "PERSONALITY", "KIND", ...: see shell_values. */
bool app_value(void *ctx, const char *type, unsigned n, char *buf, size_t size);

/** What a `show` command is to show: its first word; "all" without one. */
const char *app_show_what(const struct shell_args *args);
/** Is its last word "json"? */
bool app_wants_json(const struct shell_args *args);
/** Start what a `show` command prints: text or, with "json" as its last word, JSON. */
void app_show_begin(struct mpn_out *o, struct shell *sh, const struct shell_args *args);
/** Print an array with what print() says about each NIC that is to be shown. */
int app_show_nics(struct shell *sh, const struct shell_args *args, const char *key,
	int (*print)(struct shell *sh, struct mpn_nic *nic, void *out));

/** The same about each of their personalities. */
int app_show_personalities(struct shell *sh, const struct shell_args *args, const char *key,
	void (*print)(struct mpn_out *o, const char *nic, struct mpn_personality *p));
/** Print an array of the server's about the volume that is to be shown, or about all of them. */
int app_show_server(struct shell *sh, const struct shell_args *args, const char *key,
	void (*print)(const struct ebd_server *s, const char *volume, struct mpn_out *o));

/** The last error a library has logged since the last call, or the text of rc. */
const char *app_reason(int rc);
/** Is it a "NIC:STAGE=LCORE,..." of --map? 0 or -EINVAL */
int app_check_map(const char *text);
/**
 * Put all of --map into effect: for the NICs there are, and for one that a command of the start has attached. They may name
 * personalities that such a command will define. 0 or -errno after a logged line
 */
int app_plan_maps(const char *const *maps, unsigned nb);
int app_plan_map(struct mpn_nic *nic);
/** The commands of the start have run: is there something for each of their names? 0 or -ENOENT after a logged line */
int app_check_maps(void);
/** All of the program runs on this thread again. */
void app_end_maps(void);

/** From now on errors of libraries are kept for app_reason(), and DPDK is silent unless verbose. */
void app_catch_log(bool verbose);
/** The EAL runs: lines have a time. */
void app_start_log_clock(void);

/** Print rates of every personality since the last call. */
void rates_print(struct app *app, uint64_t now_ns);

extern const struct shell_section control_section;
extern const struct shell_section port_section;
extern const struct shell_section dump_section;
extern const struct shell_section flow_section;
extern const struct shell_section fwd_section;
extern const struct shell_section link_section;
extern const struct shell_section log_section;
extern const struct shell_section map_section;
extern const struct shell_section personality_section;
extern const struct shell_section session_section;
extern const struct shell_section vlan_section;
extern const struct shell_section volume_section;

#endif
