/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What telemetry is told, over its socket, while another thread polls. */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_telemetry.h>

#include "bed.h"
#include "telemetry_json.h"

#define KIB 1024u
#define ANSWER_LEN 17000

struct asker {
	const char *cmd;
	char answer[ANSWER_LEN];
	bool done;
};

static void *
ask(void *arg)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct asker *a = arg;
	ssize_t n = -1;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/dpdk_telemetry.v2",
		rte_eal_get_runtime_dir());
	/* It starts with a word about itself. */
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 &&
		read(fd, a->answer, sizeof(a->answer)) > 0 && write(fd, a->cmd, strlen(a->cmd)) > 0)
		n = read(fd, a->answer, sizeof(a->answer) - 1);
	a->answer[n > 0 ? n : 0] = '\0';
	close(fd);
	__atomic_store_n(&a->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* The answer, which comes while this thread polls, or does not. */
static const char *
answer_to(struct bed *b, const char *cmd, bool polled)
{
	static struct asker a;
	pthread_t thread;

	a = (struct asker){.cmd = cmd};
	assert_int_equal(pthread_create(&thread, NULL, ask, &a), 0);
	while (!__atomic_load_n(&a.done, __ATOMIC_ACQUIRE)) {
		if (polled)
			bed_poll(b);
		else
			(void)sched_yield();
	}
	pthread_join(thread, NULL);
	return a.answer;
}

static void
assert_says(const char *answer, const char *what)
{
	if (strstr(answer, what) == NULL)
		fail_msg("no %s in %s", what, answer);
}

static const char *
command(const struct bed *b, const char *topic, unsigned side, const char *more)
{
	static char cmd[128];
	struct mpn_nic_info info;

	mpn_nic_get_info(b->nics[side], &info);
	(void)snprintf(cmd, sizeof(cmd), "/mpnic/%s,%s%s", topic, info.name, more);
	return cmd;
}

static void
test_everything_is_told(void **state)
{
	struct bed *b = bed_create(&(struct bed_conf){0});
	uint8_t *mem = malloc(128 * KIB);
	struct mpn_nic_info info;
	char want[96];

	assert_int_equal(bed_rw(b, WIRE_READ, mem, 128 * KIB, 0, 0), 0);
	mpn_nic_get_info(b->nics[0], &info);
	assert_says(answer_to(b, "/mpnic/list", true), info.name);
	assert_says(answer_to(b, command(b, "link", 0, ""), true), info.link);
	assert_says(answer_to(b, command(b, "flow", 1, ""), true),
		"\"storage\":{\"state\":\"started\"");
	assert_says(answer_to(b, command(b, "personality", 1, ""), true), "\"tx_by_ref\":");
	(void)snprintf(
		want, sizeof(want), "\"payload_bytes\":{\"wire\":%u,\"in_place\":0", 128 * KIB);
	assert_says(answer_to(b, command(b, "payload", 0, ""), true), want);
	(void)snprintf(want, sizeof(want), "\"rx_place\":%u,", 128 * KIB);
	assert_says(answer_to(b, command(b, "payload", 0, ""), true), want);
	assert_says(answer_to(b, command(b, "payload", 0, ""), true),
		"\"queues\":{\"0\":{\"volume\":\"disk\"");
	/* The second of one queue. */
	assert_says(answer_to(b, command(b, "payload", 0, ",1"), true), "\"queues\":{}");
	free(mem);
	bed_destroy(b);
}

static void
test_what_cannot_be_told_has_a_reason(void **state)
{
	struct bed *b = bed_create(&(struct bed_conf){0});

	assert_says(answer_to(b, "/mpnic/link,nobody", true), "no such NIC");
	assert_says(answer_to(b, "/mpnic/link", true), "expected NIC");
	assert_says(answer_to(b, command(b, "payload", 0, ",x"), true), "expected NIC");
	assert_says(answer_to(b, command(b, "payload", 0, ",1,2"), true), "expected NIC");
	assert_says(answer_to(b, command(b, "link", 0, ""), false), "nobody polls");
	/* And then it is polled again. */
	assert_says(answer_to(b, command(b, "link", 0, ""), true), "\"driver\"");
	bed_destroy(b);
}

/* Askers come and go while NICs do. */
static void
test_nics_come_and_go_while_somebody_asks(void **state)
{
	struct asker askers[4];
	pthread_t threads[4];
	struct bed *b;
	unsigned i, k;

	for (i = 0; i < 3; i++) {
		b = bed_create(&(struct bed_conf){0});
		for (k = 0; k < MPN_ARRAY_SIZE(threads); k++) {
			askers[k] =
				(struct asker){.cmd = k == 0 ? "/mpnic/list" : "/mpnic/flow,nic0"};
			assert_int_equal(pthread_create(&threads[k], NULL, ask, &askers[k]), 0);
		}
		for (k = 0; k < 100 * i; k++)
			bed_poll(b);
		bed_destroy(b);
		for (k = 0; k < MPN_ARRAY_SIZE(threads); k++) {
			pthread_join(threads[k], NULL);
			assert_says(askers[k].answer, "/mpnic/");
		}
	}
}

/* ---- From JSON ---- */

static char long_json[64 * KIB];

static void
make_long_json(void)
{
	size_t used = (size_t)snprintf(long_json, sizeof(long_json), "{\"list\":[");
	unsigned i;

	for (i = 0; i < 400; i++)
		used += (size_t)snprintf(long_json + used, sizeof(long_json) - used,
			"%s{\"n\":%u,\"name\":\"\\\"x\\u0007[{\",\"f\":0.500,\"b\":true,\"in\":[1,"
			"2]}",
			i > 0 ? "," : "", i);
	(void)snprintf(long_json + used, sizeof(long_json) - used, "],\"after\":7}");
}

static int
on_test_command(const char *cmd, const char *params, struct rte_tel_data *d)
{
	return telemetry_from_json(d, long_json, (unsigned)strtoul(params, NULL, 10));
}

static void
test_long_arrays_are_told_in_parts(void **state)
{
	struct bed *b = bed_create(&(struct bed_conf){.no_target = true});
	unsigned next = 0, parts = 0, i;
	const char *answer, *at;
	char text[96];

	make_long_json();
	assert_int_equal(rte_telemetry_register_cmd("/test/long", on_test_command, "test"), 0);
	do {
		(void)snprintf(text, sizeof(text), "/test/long,%u", next);
		answer = answer_to(b, text, true);
		at = strstr(answer, "\"next\":");
		i = next;
		next = at != NULL ? (unsigned)strtoul(at + 7, NULL, 10) : 400;
		for (; i < next; i++) {
			(void)snprintf(text, sizeof(text),
				"\"%u\":{\"n\":%u,\"name\":\"\\\"x?[{\",\"f\":\"0.500\",\"b\":1,"
				"\"in\":{\"0\":1,\"1\":2}}",
				i, i);
			assert_says(answer, text);
		}
		assert_says(answer, "\"after\":7");
		parts++;
	} while (next < 400);
	assert_in_range(parts, 2, 20);
	bed_destroy(b);
}

/* Whatever is cut off somewhere is no reason to read on. */
static void
test_json_that_ends_early(void **state)
{
	struct rte_tel_data *d;
	char *json;
	size_t n;

	for (n = 0; n < 300; n++) {
		json = malloc(n + 1);
		memcpy(json, long_json, n);
		json[n] = '\0';
		d = rte_tel_data_alloc();
		assert_in_range(telemetry_from_json(d, json, n % 3) + EINVAL, 0, EINVAL);
		rte_tel_data_free(d);
		free(json);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_is_told),
		cmocka_unit_test(test_what_cannot_be_told_has_a_reason),
		cmocka_unit_test(test_nics_come_and_go_while_somebody_asks),
		cmocka_unit_test(test_long_arrays_are_told_in_parts),
		cmocka_unit_test(test_json_that_ends_early),
	};

	return cmocka_run_group_tests_name("storage_telemetry", tests, bed_start_eal, bed_stop_eal);
}
