/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include <rte_telemetry.h>

#include "mpn_map.h"
#include "mpn_parse.h"
#include "nic_internal.h"
#include "telemetry.h"
#include "telemetry_json.h"

#define MAX_TOPICS 16
#define MAX_NAMES 32
#define PATIENCE_S 1 /* a NIC that nobody polls does not answer */

struct topic {
	const char *cmd;
	nic_telemetry_print print;
};

/* A question on its way to the thread of a NIC. */
struct question {
	nic_telemetry_print print;
	char nic[MPN_NAME_LEN];
	bool answered;
	int rc;
	char *text;
	size_t len;
};

static struct topic topics[MAX_TOPICS];
static unsigned nb_topics;

static pthread_mutex_t one_asks = PTHREAD_MUTEX_INITIALIZER; /* held while waiting for an answer */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of what follows */
static pthread_cond_t answered;
static struct question *question;
bool nic_telemetry_asked;

/* ---- The NIC's side ---- */

static void
answer(struct mpn_nic *nic, struct question *q)
{
	FILE *f = open_memstream(&q->text, &q->len);
	struct mpn_out o;

	q->rc = -ENOMEM;
	if (f == NULL)
		return;
	mpn_out_begin(&o, f, true);
	q->rc = q->print(nic, &o);
	if (mpn_out_end(&o) < 0)
		q->rc = -ENOMEM;
	if (fclose(f) != 0)
		q->rc = -ENOMEM;
}

void
mpn_nic_answer(struct mpn_nic *nic)
{
	/* Never wait for another NIC's thread: there is a next round. */
	if (!__atomic_load_n(&nic_telemetry_asked, __ATOMIC_RELAXED) ||
		pthread_mutex_trylock(&lock) != 0)
		return;
	if (question != NULL && !question->answered && strcmp(question->nic, nic->info.name) == 0) {
		mpn_nic_hold(nic);
		answer(nic, question);
		mpn_nic_release(nic);
		question->answered = true;
		pthread_cond_signal(&answered);
	}
	pthread_mutex_unlock(&lock);
}

void
nic_telemetry_leave(const struct mpn_nic *nic)
{
	pthread_mutex_lock(&lock);
	if (question != NULL && !question->answered && strcmp(question->nic, nic->info.name) == 0) {
		question->rc = -ENODEV;
		question->answered = true;
		pthread_cond_signal(&answered);
	}
	pthread_mutex_unlock(&lock);
}

/* ---- The side that asks ---- */

static int
ask(struct question *q)
{
	struct timespec end;
	int rc = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&lock);
	question = q;
	__atomic_store_n(&nic_telemetry_asked, true, __ATOMIC_RELAXED);
	while (!q->answered && rc == 0)
		rc = pthread_cond_timedwait(&answered, &lock, &end);
	__atomic_store_n(&nic_telemetry_asked, false, __ATOMIC_RELAXED);
	question = NULL;
	pthread_mutex_unlock(&lock);
	return q->answered ? q->rc : -ETIMEDOUT;
}

/* "NIC", "NIC,FIRST", or nothing when there is but one NIC. */
static int
parse_params(const char *params, struct question *q, uint64_t *first)
{
	char names[1][MPN_NAME_LEN], text[MPN_NAME_LEN + 24];
	char *comma;

	*first = 0;
	if (params == NULL || params[0] == '\0') {
		if (nic_names(names, 1) != 1)
			return -EINVAL;
		memcpy(q->nic, names[0], sizeof(q->nic));
		return 0;
	}
	if (mpn_copy_str(text, sizeof(text), params) < 0)
		return -EINVAL;
	comma = strchr(text, ',');
	if (comma != NULL) {
		*comma = '\0';
		if (mpn_parse_u64(comma + 1, 0, UINT32_MAX, first) != 0)
			return -EINVAL;
	}
	return mpn_copy_str(q->nic, sizeof(q->nic), text) < 0 ? -EINVAL : 0;
}

static bool
is_there(const char *name)
{
	char names[MAX_NAMES][MPN_NAME_LEN];
	unsigned n = MPN_MIN(nic_names(names, MAX_NAMES), MAX_NAMES), i;

	for (i = 0; i < n; i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

static int
say_error(struct rte_tel_data *d, const char *text)
{
	rte_tel_data_start_dict(d);
	return rte_tel_data_add_dict_string(d, "error", text);
}

static int
on_command(const char *cmd, const char *params, struct rte_tel_data *d)
{
	struct question q = {0};
	uint64_t first;
	unsigned i;
	int rc;

	for (i = 0; i < nb_topics && strcmp(topics[i].cmd, cmd) != 0; i++)
		;
	if (i == nb_topics)
		return -ENOENT;
	q.print = topics[i].print;
	if (parse_params(params, &q, &first) < 0)
		return say_error(d, "expected NIC or NIC,FIRST: see /mpnic/list");
	if (!is_there(q.nic))
		return say_error(d, "no such NIC: see /mpnic/list");
	pthread_mutex_lock(&one_asks);
	rc = ask(&q);
	pthread_mutex_unlock(&one_asks);
	if (rc == 0)
		rc = telemetry_from_json(d, q.text, (unsigned)first);
	else
		rc = say_error(d, rc == -ETIMEDOUT ? "nobody polls this NIC" : strerror(-rc));
	free(q.text);
	return rc;
}

static int
on_list(const char *cmd, const char *params, struct rte_tel_data *d)
{
	char names[MAX_NAMES][MPN_NAME_LEN];
	unsigned n = MPN_MIN(nic_names(names, MAX_NAMES), MAX_NAMES), i;

	rte_tel_data_start_array(d, RTE_TEL_STRING_VAL);
	for (i = 0; i < n; i++)
		(void)rte_tel_data_add_array_string(d, names[i]);
	return 0;
}

void
nic_telemetry_add(const char *cmd, const char *help, nic_telemetry_print print)
{
	if (nb_topics == MAX_TOPICS || rte_telemetry_register_cmd(cmd, on_command, help) != 0)
		return;
	topics[nb_topics++] = (struct topic){cmd, print};
}

/* ---- What every NIC has ---- */

static int
print_link(struct mpn_nic *nic, struct mpn_out *o)
{
	const struct mpn_nic_info *info = &nic->info;

	mpn_out_str(o, "name", info->name);
	mpn_out_str(o, "link", info->link);
	mpn_out_str(o, "driver", info->driver);
	mpn_out_u64(o, "port_id", info->port_id);
	mpn_out_mac(o, "mac", info->mac);
	mpn_out_bool(o, "link_up", nic->link_up);
	mpn_out_bool(o, "removed", info->removed);
	mpn_out_u64(o, "mtu", info->mtu);
	mpn_out_str(o, "scheduler", nic->sched->name);
	mpn_out_str(o, "held_by", info->held_by);
	mpn_out_u64(o, "held_ns", info->held_ns);
	mpn_out_str(o, "process_of", info->process_of);
	mpn_out_object(o, "counters");
#define X(name, text) mpn_out_u64(o, #name, nic->stats.name);
	MPN_NIC_COUNTER_LIST(X)
#undef X
	mpn_out_close(o);
	mpn_nic_print_members(nic, o);
	mpn_nic_print_events(nic, o);
	return 0;
}

static int
print_flow(struct mpn_nic *nic, struct mpn_out *o)
{
	for (unsigned i = 0; i < nic->nb_pers; i++) {
		mpn_out_object(o, nic->pers[i]->name);
		mpn_personality_print_flow(nic->pers[i], o);
		mpn_out_close(o);
	}
	return 0;
}

static int
print_delay(struct mpn_nic *nic, struct mpn_out *o)
{
	for (unsigned i = 0; i < nic->nb_pers; i++) {
		mpn_out_object(o, nic->pers[i]->name);
		mpn_personality_print_delays(nic->pers[i], o);
		mpn_out_close(o);
	}
	return 0;
}

static int
print_map(struct mpn_nic *nic, struct mpn_out *o)
{
	mpn_nic_print_map(nic, o);
	return 0;
}

static int
print_personality(struct mpn_nic *nic, struct mpn_out *o)
{
	unsigned i;

	for (i = 0; i < nic->nb_pers; i++) {
		mpn_out_object(o, nic->pers[i]->name);
		mpn_out_str(o, "kind", nic->pers[i]->ops->name);
		mpn_out_str(o, "state", mpn_pers_state_name(nic->pers[i]->state));
		mpn_personality_print_vlan(nic->pers[i], o);
		mpn_personality_print_errors(nic->pers[i], o);
		if (nic->pers[i]->state != MPN_PERS_DEFINED)
			mpn_personality_print(nic->pers[i], o);
		mpn_out_close(o);
	}
	return 0;
}

__attribute__((constructor)) static void
register_commands(void)
{
	pthread_condattr_t attr;

	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&answered, &attr);
	(void)pthread_condattr_destroy(&attr);
	(void)rte_telemetry_register_cmd("/mpnic/list", on_list, "Names of the NICs.");
	nic_telemetry_add(
		"/mpnic/link", "Link, port and counters of a NIC. Parameters: NIC", print_link);
	nic_telemetry_add("/mpnic/flow",
		"Flows of a NIC's personalities and their counters. Parameters: NIC", print_flow);
	nic_telemetry_add("/mpnic/delay",
		"How long frames waited in the flows of a NIC's personalities. Parameters: NIC",
		print_delay);
	nic_telemetry_add("/mpnic/map",
		"Which lcore runs what of a NIC, and how busy it is. Parameters: NIC", print_map);
	nic_telemetry_add("/mpnic/personality",
		"What the personalities of a NIC say of themselves. Parameters: NIC[,FIRST]",
		print_personality);
}
