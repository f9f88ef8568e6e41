/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Which frame types in which VLANs personalities can have, beside each other. */

#include "nic_internal.h"
#include "probe.h"

struct bed {
	struct mpn_nic *nic;
	struct probe plain, ten, twice; /* PROBE_TYPE, without a VLAN, in 10, in 20 inside of 100 */
};

static void
open_bed(struct bed *t)
{
	memset(t, 0, sizeof(*t));
	t->nic = mpn_nic_create(&(struct mpn_nic_conf){.link = "ring:claims"});
	assert_non_null(t->nic);
	(void)probe_add(t->nic, &t->plain, "plain", 0, 0);
	(void)probe_add(t->nic, &t->ten, "ten", 10, 0);
	(void)probe_add(t->nic, &t->twice, "twice", 20, 100);
}

static void
close_bed(struct bed *t)
{
	mpn_nic_destroy(t->nic);
}

static void
test_claims_are_by_vlan(void **state)
{
	struct mpn_personality_info info;
	struct mpn_personality *p;
	struct probe probe = {0}, *arg = &probe;
	struct bed t;

	open_bed(&t);
	assert_int_equal(mpn_personality_define(t.nic, "probe", "late", &p), 0);
	probe_catch_log();
	/* Where the type is taken, and where it is not. */
	assert_int_equal(mpn_personality_load(p, &arg), -EADDRINUSE);
	assert_non_null(strstr(probe_release_log(), "0x88b5 belongs to 'plain'"));
	probe_catch_log();
	assert_int_equal(mpn_personality_set_vlan(p, &(struct mpn_vlan){10, 0}), 0);
	assert_int_equal(mpn_personality_load(p, &arg), -EADDRINUSE);
	assert_non_null(strstr(probe_release_log(), "0x88b5 in VLAN 10 belongs to 'ten'"));
	probe_catch_log();
	assert_int_equal(mpn_personality_set_vlan(p, &(struct mpn_vlan){20, 100}), 0);
	assert_int_equal(mpn_personality_load(p, &arg), -EADDRINUSE);
	assert_non_null(strstr(probe_release_log(), "in VLAN 100.20 belongs to 'twice'"));
	assert_int_equal(mpn_personality_set_vlan(p, &(struct mpn_vlan){20, 0}), 0);
	assert_int_equal(mpn_personality_load(p, &arg), 0);
	mpn_personality_get_info(p, &info);
	assert_int_equal(info.vlan.vid, 20);
	assert_int_equal(info.vlan.outer, 0);
	/* Not under its feet. */
	probe_catch_log();
	assert_int_equal(mpn_personality_set_vlan(p, NULL), -EPERM);
	assert_non_null(strstr(probe_release_log(), "unload it first"));
	close_bed(&t);
}

static void
test_ids_that_are_none(void **state)
{
	static const struct mpn_vlan bad[] = {
		{4095, 0}, {4096, 0}, {65535, 0}, {0, 10}, {10, 4095}};
	struct mpn_personality *p;
	struct bed t;

	open_bed(&t);
	assert_int_equal(mpn_personality_define(t.nic, "probe", "x", &p), 0);
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(bad); i++) {
		probe_catch_log();
		assert_int_equal(mpn_personality_set_vlan(p, &bad[i]), -EINVAL);
		assert_non_null(strstr(probe_release_log(), "expected 1 to 4094"));
	}
	assert_int_equal(mpn_personality_set_vlan(p, &(struct mpn_vlan){4094, 4094}), 0);
	assert_int_equal(mpn_personality_set_vlan(p, NULL), 0);
	close_bed(&t);
}

/* As many VLANs as personalities, all different, loaded and unloaded in another order. */
static void
test_every_personality_in_its_own(void **state)
{
	struct mpn_nic *nic = mpn_nic_create(&(struct mpn_nic_conf){.link = "ring:vlans"});
	struct probe probes[MPN_MAX_PERSONALITIES] = {0};
	char name[8];

	assert_non_null(nic);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < MPN_MAX_PERSONALITIES; i++) {
			(void)snprintf(name, sizeof(name), "p%u", i);
			(void)probe_add(nic, &probes[i], name, (uint16_t)(1000 * round + i + 1), 0);
		}
		assert_int_equal(nic->vlans.nb, MPN_MAX_PERSONALITIES);
		for (unsigned k = 0; k < MPN_MAX_PERSONALITIES; k++) {
			struct mpn_personality *p = probes[(5 * k + 3) % 8].p;

			assert_int_equal(mpn_personality_stop(p), 0);
			assert_int_equal(mpn_personality_unload(p), 0);
			assert_int_equal(mpn_personality_undefine(p), 0);
			assert_int_equal(nic->vlans.nb, MPN_MAX_PERSONALITIES - k - 1);
		}
	}
	mpn_nic_destroy(nic);
}

static int
start_eal(void **state)
{
	return probe_eal_start("ring:claims", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claims_are_by_vlan),
		cmocka_unit_test(test_ids_that_are_none),
		cmocka_unit_test(test_every_personality_in_its_own),
	};

	return cmocka_run_group_tests_name("claims", tests, start_eal, probe_eal_stop);
}
