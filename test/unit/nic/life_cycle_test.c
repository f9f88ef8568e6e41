/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The life of a personality: every step in every state, who may have which frame types, draining. */

#include "probe.h"

enum step { LOAD, START, STOP, UNLOAD, UNDEFINE, STEPS };

static const char *const step_names[STEPS] = {"load", "start", "stop", "unload", "undefine"};

static int
take_step(struct mpn_personality *p, enum step step, struct probe **probe)
{
	switch (step) {
	case LOAD:
		return mpn_personality_load(p, probe);
	case START:
		return mpn_personality_start(p);
	case STOP:
		return mpn_personality_stop(p);
	case UNLOAD:
		return mpn_personality_unload(p);
	default:
		return mpn_personality_undefine(p);
	}
}

static struct mpn_nic *
make_nic(void)
{
	struct mpn_nic *nic = mpn_nic_create(&(struct mpn_nic_conf){.link = "ring:life"});

	assert_non_null(nic);
	return nic;
}

/* A personality in the given state. */
static struct mpn_personality *
bring_to(struct mpn_nic *nic, enum mpn_pers_state state, struct probe **probe)
{
	struct mpn_personality *p = NULL;

	assert_int_equal(mpn_personality_define(nic, "probe", NULL, &p), 0);
	if (state >= MPN_PERS_LOADED)
		assert_int_equal(mpn_personality_load(p, probe), 0);
	if (state >= MPN_PERS_STARTED)
		assert_int_equal(mpn_personality_start(p), 0);
	assert_int_equal(mpn_personality_state(p), state);
	return p;
}

static void
test_every_step_in_every_state(void **state)
{
	/* The state after the step; -1: refused; -2: gone. */
	static const int after[][STEPS] = {
		[MPN_PERS_DEFINED] = {MPN_PERS_LOADED, -1, -1, -1, -2},
		[MPN_PERS_LOADED] = {-1, MPN_PERS_STARTED, -1, MPN_PERS_DEFINED, -1},
		[MPN_PERS_STARTED] = {-1, -1, MPN_PERS_LOADED, -1, -1},
	};

	for (unsigned s = 0; s < MPN_ARRAY_SIZE(after); s++) {
		for (unsigned step = 0; step < STEPS; step++) {
			struct mpn_nic *nic = make_nic();
			struct probe probe = {0}, *arg = &probe;
			struct mpn_personality *p = bring_to(nic, (enum mpn_pers_state)s, &arg);
			int rc = take_step(p, (enum step)step, &arg);

			if (rc != (after[s][step] == -1 ? -EPERM : 0))
				fail_msg("%s when %s: %d", step_names[step],
					mpn_pers_state_name((enum mpn_pers_state)s), rc);
			if (after[s][step] == -2)
				assert_null(mpn_personality_find(nic, "probe"));
			else
				assert_int_equal(mpn_personality_state(p),
					after[s][step] == -1 ? (int)s : after[s][step]);
			mpn_nic_destroy(nic);
			assert_int_equal(probe.loads, probe.unloads);
			assert_int_equal(probe.starts, probe.stops);
		}
	}
}

static void
test_names(void **state)
{
	struct mpn_nic *nic = make_nic();
	struct mpn_personality *p, *q;

	assert_int_equal(mpn_personality_define(nic, "nobody", NULL, &p), -ENOENT);
	assert_int_equal(mpn_personality_define(nic, "probe", "a", &p), 0);
	assert_int_equal(mpn_personality_define(nic, "probe", "a", &q), -EEXIST);
	assert_int_equal(mpn_personality_define(nic, "probe", "b", &q), 0);
	assert_ptr_equal(mpn_personality_find(nic, "a"), p);
	assert_ptr_equal(mpn_personality_find(nic, "b"), q);
	assert_null(mpn_personality_find(nic, "c"));
	mpn_nic_destroy(nic);
}

/* A frame type belongs to one loaded personality; a refused one changes nothing, and may come later. */
static void
test_frame_types_do_not_overlap(void **state)
{
	struct mpn_nic *nic = make_nic();
	struct probe first = {0}, second = {.types = {PROBE_TYPE_2, PROBE_TYPE}, .nb_types = 2};
	struct probe *arg_first = &first, *arg_second = &second;
	struct mpn_personality *p, *q;

	assert_int_equal(mpn_personality_define(nic, "probe", "a", &p), 0);
	assert_int_equal(mpn_personality_define(nic, "probe", "b", &q), 0);
	assert_int_equal(mpn_personality_load(p, &arg_first), 0);
	probe_catch_log();
	assert_int_equal(mpn_personality_load(q, &arg_second), -EADDRINUSE);
	(void)probe_release_log();
	assert_int_equal(mpn_personality_state(q), MPN_PERS_DEFINED);
	assert_int_equal(second.loads, second.unloads);
	assert_int_equal(mpn_personality_unload(p), 0);
	assert_int_equal(mpn_personality_load(q, &arg_second), 0);
	mpn_nic_destroy(nic);
}

static void
test_failing_steps_leave_all_as_it_was(void **state)
{
	struct mpn_nic *nic = make_nic();
	struct probe probe = {.load_rc = -ENOMEM}, *arg = &probe;
	struct mpn_personality *p;

	assert_int_equal(mpn_personality_define(nic, "probe", NULL, &p), 0);
	assert_int_equal(mpn_personality_load(p, &arg), -ENOMEM);
	assert_int_equal(mpn_personality_state(p), MPN_PERS_DEFINED);
	probe.load_rc = 0;
	assert_int_equal(mpn_personality_load(p, &arg), 0);
	probe.start_rc = -EIO;
	assert_int_equal(mpn_personality_start(p), -EIO);
	assert_int_equal(mpn_personality_state(p), MPN_PERS_LOADED);
	probe.start_rc = 0;
	assert_int_equal(mpn_personality_start(p), 0);
	mpn_nic_destroy(nic);
}

/* Stop polls on until the personality has ended what it had accepted. */
static void
test_stop_drains(void **state)
{
	struct mpn_nic *nic = make_nic();
	struct probe probe = {.busy_polls = 1000}, *arg = &probe;
	struct mpn_personality *p = bring_to(nic, MPN_PERS_STARTED, &arg);

	assert_int_equal(mpn_personality_stop(p), 0);
	assert_true(probe.polls >= 1000);
	assert_int_equal(probe.stops, 1);
	assert_int_equal(mpn_personality_state(p), MPN_PERS_LOADED);
	mpn_nic_destroy(nic);
}

static int
start_eal(void **state)
{
	return probe_eal_start("ring:life", NULL);
}

static int
stop_eal(void **state)
{
	mpn_eal_stop();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_step_in_every_state),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_frame_types_do_not_overlap),
		cmocka_unit_test(test_failing_steps_leave_all_as_it_was),
		cmocka_unit_test(test_stop_drains),
	};

	return cmocka_run_group_tests_name("life cycle", tests, start_eal, stop_eal);
}
