/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <unistd.h>

#include "nic_pool.h"
#include "remote_world.h"

char sock_path[64], link_name[96];

static char dir[] = "/tmp/mpnic-test-XXXXXX";

struct world w;

static int
poll_near(void *arg)
{
	probe_poll(w.nic, 2, 1);
	return 0;
}

static void
note_change(struct mpn_personality *p, enum mpn_remote_state state, void *arg)
{
	assert_ptr_equal(p, w.remote);
	assert_ptr_equal(arg, &w);
	w.changes++;
	w.last = state;
}

void
make_near(void)
{
	for (unsigned i = NEAR; i <= FAR; i++)
		w.nic[i] = probe_nic("ring:remote", false, 0);
	assert_non_null(w.nic[FAR]);
	probe_start(w.nic[FAR], &w.probe[FAR]);
	assert_int_equal(mpn_personality_define(w.nic[NEAR], "remote", "echo", &w.remote), 0);
}

void
make_world(void)
{
	struct mpn_remote_conf conf = {
		.socket = sock_path,
		.types = {PROBE_TYPE},
		.nb_types = 1,
		.hang_ns = 100000000,
		.changed = note_change,
		.changed_arg = &w,
	};

	make_near();
	assert_int_equal(mpn_personality_load(w.remote, &conf), 0);
	assert_int_equal(mpn_personality_start(w.remote), 0);
}

struct mpn_nic *
open_there(void)
{
	struct mpn_nic_conf conf = {.link = link_name, .background = poll_near, .wait_ms = 2000};

	return mpn_nic_create(&conf);
}

struct mpn_remote_info
look(void)
{
	struct mpn_remote_info info;

	assert_int_equal(mpn_remote_get_info(w.remote, &info), 0);
	return info;
}

bool
is_up_there(void *arg)
{
	struct mpn_nic_info info;

	mpn_nic_get_info(w.nic[THERE], &info);
	return info.link_up == (arg != NULL);
}

void
expect_link(bool up)
{
	assert_true(probe_poll_until(w.nic, ENDS, is_up_there, up ? &w : NULL, 10000));
}

void
make_there(void)
{
	w.nic[THERE] = open_there();
	assert_non_null(w.nic[THERE]);
	w.probe[THERE].echo = true;
	probe_start(w.nic[THERE], &w.probe[THERE]);
	expect_link(true);
}

static bool
has_come_back(void *arg)
{
	return w.probe[FAR].frames >= *(const uint64_t *)arg;
}

void
expect_echo(unsigned count, uint32_t len)
{
	uint64_t want = w.probe[FAR].frames + count;

	w.probe[FAR].next_number = 0;
	for (unsigned i = 0; i < count; i++)
		assert_true(probe_send(&w.probe[FAR], NULL, i, len));
	assert_true(probe_poll_until(w.nic, ENDS, has_come_back, &want, 2000));
	assert_int_equal(w.probe[FAR].frames, want);
	assert_int_equal(w.probe[FAR].damaged + w.probe[FAR].out_of_order, 0);
}

/* Nothing that was taken from a pool is missing in it at the end. */
int
end_world(void **state)
{
	struct rte_mempool *pools[ENDS] = {0};

	for (unsigned i = 0; i < ENDS; i++)
		pools[i] = w.nic[i] != NULL ? mpn_nic_rx_pool(w.nic[i]) : NULL;
	mpn_nic_destroy(w.nic[THERE]);
	mpn_nic_destroy(w.nic[NEAR]);
	if (pools[FAR] != NULL)
		assert_int_equal(rte_mempool_avail_count(pools[FAR]), pools[FAR]->size);
	mpn_nic_destroy(w.nic[FAR]);
	memset(&w, 0, sizeof(w));
	return 0;
}

bool
has_failed(void *arg)
{
	return look().state == MPN_REMOTE_FAILED;
}

int
world_begin(const char *extra)
{
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(sock_path, sizeof(sock_path), "%s/echo", dir);
	(void)snprintf(link_name, sizeof(link_name), "remote:%s", sock_path);
	return probe_eal_start("ring:x", extra);
}

int
world_set_up(void **state)
{
	return world_begin(NULL);
}

int
world_tear_down(void **state)
{
	(void)rmdir(dir);
	return probe_eal_stop(state);
}
