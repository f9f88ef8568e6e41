/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Maps as text: what is none, what is kept of one, and one that is there before its personalities. */

#include <sched.h>

#include <rte_lcore.h>

#include "map.h"
#include "mpn_map.h"
#include "nic_internal.h"
#include "probe.h"

static struct mpn_nic *
make_nic(void)
{
	struct mpn_nic *nic = mpn_nic_create(&(struct mpn_nic_conf){.link = "ring:map"});

	assert_non_null(nic);
	return nic;
}

/* Somebody else has the lcore. */
static int
wait_for_flag(void *arg)
{
	atomic_bool *flag = arg;

	while (!atomic_load(flag))
		(void)sched_yield();
	return 0;
}

static void
test_what_is_no_map(void **state)
{
	static const struct {
		const char *map;
		int rc;
		const char *line;
	} wrong[] = {
		{"rx", -EINVAL, "'rx': expected STAGE=LCORE"},
		{"rx=", -EINVAL, "'rx=': expected STAGE=LCORE"},
		{"=1", -EINVAL, "'1': expected STAGE=LCORE"},
		{"rx=1,,tx=1", -EINVAL, "map: "},
		{"rx=one", -EINVAL, "'rx=one': expected the number of an lcore, 0 to"},
		{"rx=-1", -EINVAL, "'rx=-1': expected the number of an lcore, 0 to"},
		{"rx=128", -EINVAL, "'rx=128': expected the number of an lcore, 0 to"},
		{"rx=1,tx=1,rx=2", -EINVAL, "stage 'rx' is there twice"},
		{"rx=1,nobody=2", -ENOENT,
			"'nobody': no such stage: expected one of rx, tx, probe"},
		{"rx=100", -ENODEV, "'rx=100': there is no such lcore"},
		{"tx=0", -EBUSY, "'tx=0': this is the main lcore"},
		{"tx=3", -EBUSY, "'tx=3': the lcore runs something else"},
		{"a1=1,a2=1,a3=1,a4=1,a5=1,a6=1,a7=1,a8=1,a9=1,a10=1,a11=1,a12=1,a13=1,a14=1,a15="
		 "1,a16=1,a17=1,a18=1,a19=1",
			-EINVAL, "at most 18 stages"},
		{"a-name-that-has-more-than-the-sixty-three-characters-that-a-name-may-have=1",
			-EINVAL, "at most 63 characters"},
	};
	struct mpn_nic *nic = make_nic();
	struct probe probe = {0};
	char text[MPN_MAP_LEN];
	atomic_bool flag = false;

	probe_start(nic, &probe);
	assert_int_equal(mpn_nic_set_map(nic, "rx=1,probe=2"), 0);
	assert_int_equal(rte_eal_remote_launch(wait_for_flag, &flag, 3), 0);
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(wrong); i++) {
		probe_catch_log();
		if (mpn_nic_set_map(nic, wrong[i].map) != wrong[i].rc)
			fail_msg("'%s': not refused with %d", wrong[i].map, wrong[i].rc);
		if (strstr(probe_release_log(), wrong[i].line) == NULL)
			fail_msg("'%s': '%s'", wrong[i].map, probe_release_log());
		assert_int_equal(probe_log_lines(), 1);
		assert_string_equal(mpn_nic_get_map(nic, text, sizeof(text)), "rx=1,probe=2");
	}
	atomic_store(&flag, true);
	(void)rte_eal_wait_lcore(3);
	assert_int_equal(mpn_map_check("rx=1,tx=100,anything=0"), 0);
	mpn_nic_destroy(nic);
}

static void
test_a_map_is_kept_as_text(void **state)
{
	struct mpn_nic *nic = make_nic();
	struct probe probe = {0};
	struct mpn_personality *p;
	char text[MPN_MAP_LEN];

	assert_string_equal(mpn_nic_get_map(nic, text, sizeof(text)), "");
	/* A kind may come later; what is undefined is forgotten. */
	assert_int_equal(mpn_nic_set_map(nic, "tx=2,probe=3,rx=1"), 0);
	assert_string_equal(mpn_nic_get_map(nic, text, sizeof(text)), "tx=2,probe=3,rx=1");
	p = probe_add(nic, &probe, "probe", 0, 0);
	assert_int_equal(mpn_personality_lcore(p), 3);
	assert_int_equal(mpn_personality_stop(p), 0);
	assert_int_equal(mpn_personality_unload(p), 0);
	assert_int_equal(mpn_personality_undefine(p), 0);
	assert_string_equal(mpn_nic_get_map(nic, text, sizeof(text)), "tx=2,rx=1");
	/* One that is called as a stage of the port is is none. */
	p = probe_add(nic, &probe, "rx", 0, 0);
	assert_int_equal(mpn_personality_lcore(p), MAP_HOME);
	assert_int_equal(mpn_nic_set_map(nic, ""), 0);
	assert_string_equal(mpn_nic_get_map(nic, text, sizeof(text)), "");
	mpn_nic_destroy(nic);
	for (unsigned i = 1; i < 4; i++)
		assert_int_equal(rte_eal_get_lcore_state(i), WAIT);
}

/* The map is there before its personalities, and says which of them is still missing. */
static void
test_a_map_is_planned_ahead(void **state)
{
	struct mpn_nic *nic = make_nic();
	struct probe probe = {0};
	struct mpn_personality *p;
	char text[MPN_MAP_LEN];

	assert_int_equal(mpn_nic_check_map(nic), 0);
	assert_int_equal(mpn_nic_plan_map(nic, "rx=1,later=2"), 0);
	probe_catch_log();
	assert_int_equal(mpn_nic_check_map(nic), -ENOENT);
	assert_non_null(
		strstr(probe_release_log(), "'later': no such stage: expected one of rx, tx"));
	assert_int_equal(probe_log_lines(), 1);
	p = probe_add(nic, &probe, "later", 0, 0);
	assert_int_equal(mpn_personality_lcore(p), 2);
	assert_int_equal(mpn_nic_check_map(nic), 0);
	/* All else is looked at now. */
	probe_catch_log();
	assert_int_equal(mpn_nic_plan_map(nic, "sometime=100"), -ENODEV);
	assert_int_equal(mpn_nic_plan_map(nic, "sometime"), -EINVAL);
	(void)probe_release_log();
	assert_string_equal(mpn_nic_get_map(nic, text, sizeof(text)), "rx=1,later=2");
	mpn_nic_destroy(nic);
}

static int
start_eal(void **state)
{
	char lcores[64];

	return probe_eal_start("ring:map", probe_lcores(lcores, sizeof(lcores)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_no_map),
		cmocka_unit_test(test_a_map_is_kept_as_text),
		cmocka_unit_test(test_a_map_is_planned_ahead),
	};

	return cmocka_run_group_tests_name("map_text", tests, start_eal, probe_eal_stop);
}
