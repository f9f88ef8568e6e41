/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The life of a personality: every step in every state, who may have which frame types, draining. */

#include <dlfcn.h>

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

/* No step is possible on the way from started to loaded: neither between two rounds nor in one. */
static unsigned nb_refused;

static void
try_all_steps(struct probe *probe)
{
	if (mpn_personality_state(probe->p) != MPN_PERS_STOPPING)
		return;
	for (unsigned step = 0; step < STEPS; step++) {
		assert_int_equal(take_step(probe->p, (enum step)step, &probe), -EPERM);
		assert_int_equal(mpn_personality_state(probe->p), MPN_PERS_STOPPING);
		nb_refused++;
	}
}

static int
try_all_steps_inside(struct probe *probe)
{
	try_all_steps(probe);
	return 0;
}

static void
test_no_step_while_stopping(void **state)
{
	struct mpn_nic *nics[2] = {make_nic(), make_nic()};
	struct probe probe[2] = {{.busy = false},
		{.busy_polls = 3, .in_quiet = try_all_steps, .in_rx = try_all_steps_inside}};

	for (unsigned i = 0; i < 2; i++)
		probe_start(nics[i], &probe[i]);
	probe_poll(nics, 2, 1);
	/* A frame that arrives while it stops. */
	assert_true(probe_send(&probe[0], NULL, 0, 64));
	probe_poll(nics, 1, 1);
	nb_refused = 0;
	probe_catch_log();
	assert_int_equal(mpn_personality_stop(probe[1].p), 0);
	(void)probe_release_log();
	assert_int_equal(probe_log_lines(), nb_refused);
	assert_true(nb_refused >= 2 * STEPS);
	assert_int_equal(probe[1].frames, 1);
	assert_int_equal(probe[1].loads + probe[1].starts + probe[1].stops, 3);
	assert_int_equal(mpn_personality_state(probe[1].p), MPN_PERS_LOADED);
	for (unsigned i = 0; i < 2; i++)
		mpn_nic_destroy(nics[i]);
}

/* What fails leaves a state that every step of is as allowed as before. */
static void
test_after_a_failure(void **state)
{
	struct mpn_nic *nic = make_nic();
	struct probe probe = {.load_rc = -EIO}, *arg = &probe;
	struct mpn_personality *p;

	for (unsigned i = 0; i < 2; i++) {
		probe.load_rc = -EIO;
		assert_int_equal(mpn_personality_define(nic, "probe", NULL, &p), 0);
		assert_int_equal(mpn_personality_load(p, &arg), -EIO);
		assert_int_equal(mpn_personality_undefine(p), 0);
		assert_int_equal(mpn_personality_define(nic, "probe", NULL, &p), 0);
		assert_int_equal(mpn_personality_load(p, &arg), -EIO);
		probe.load_rc = 0;
		assert_int_equal(mpn_personality_load(p, &arg), 0);
		probe.start_rc = -EIO;
		assert_int_equal(mpn_personality_start(p), -EIO);
		assert_int_equal(mpn_personality_unload(p), 0);
		assert_int_equal(mpn_personality_load(p, &arg), 0);
		assert_int_equal(mpn_personality_start(p), -EIO);
		probe.start_rc = 0;
		assert_int_equal(mpn_personality_start(p), 0);
		assert_int_equal(mpn_personality_stop(p), 0);
		assert_int_equal(mpn_personality_unload(p), 0);
		assert_int_equal(mpn_personality_undefine(p), 0);
	}
	mpn_nic_destroy(nic);
}

/* What keeps a kind from being known. */
static void
test_registering(void **state)
{
	const struct mpn_personality_ops *known = mpn_personality_kind(0);
	struct mpn_personality_ops ops;
	unsigned n = 0;

	assert_non_null(known);
	while (mpn_personality_kind(n) != NULL)
		n++;
	assert_int_equal(mpn_personality_register(NULL), -EINVAL);
	assert_int_equal(mpn_personality_register(known), -EEXIST);
#define WRONG(change) \
	ops = *known; \
	ops.name = "wrong"; \
	change; \
	assert_int_equal(mpn_personality_register(&ops), -EINVAL)
	WRONG(ops.abi++);
	WRONG(ops.name = NULL);
	WRONG(ops.name = "");
	WRONG(ops.name = "a-name-that-has-more-than-the-sixty-three-characters-that-a-name-may-"
			 "have");
	WRONG(ops.nb_ethertypes = 5);
	WRONG(ops.load = NULL);
	WRONG(ops.unload = NULL);
	WRONG(ops.start = NULL);
	WRONG(ops.stop = NULL);
	WRONG(ops.rx_burst = NULL);
	WRONG(ops.poll = NULL);
#undef WRONG
	assert_null(mpn_personality_kind(n));
}

static void
test_what_cannot_be_defined(void **state)
{
	static const char long_name[] =
		"a-name-that-has-more-than-the-sixty-three-characters-that-a-name-may-have";
	struct mpn_nic *nic = make_nic();
	char name[8];

	probe_catch_log();
	assert_int_equal(mpn_personality_define(nic, "probe", long_name, NULL), -ENAMETOOLONG);
	assert_non_null(strstr(probe_release_log(), "too long"));
	for (unsigned i = 0; i < MPN_MAX_PERSONALITIES; i++) {
		(void)snprintf(name, sizeof(name), "p%u", i);
		assert_int_equal(mpn_personality_define(nic, "probe", name, NULL), 0);
	}
	probe_catch_log();
	assert_int_equal(mpn_personality_define(nic, "probe", "more", NULL), -ENOSPC);
	assert_non_null(strstr(probe_release_log(), "8 personalities already"));
	assert_null(mpn_personality_get(nic, MPN_MAX_PERSONALITIES));
	mpn_nic_destroy(nic);
}

/* Frame types are chosen inside load, at most four, above the lengths of IEEE 802.3. */
static void
test_frame_types_are_checked(void **state)
{
	static const uint16_t types[] = {0x600, 0x88b5, 0x88b6, 0xffff, 0x9000};
	static const uint16_t length[] = {0x5ff};
	struct mpn_nic *nic = make_nic();
	struct probe probe = {.types = {0x600, 0x88b6, 0x9000, 0xffff, 0x9001}, .nb_types = 5};
	struct probe *arg = &probe;
	struct mpn_personality_info info;
	struct mpn_personality *p;

	assert_int_equal(mpn_personality_define(nic, "probe", NULL, &p), 0);
	assert_int_equal(mpn_personality_set_ethertypes(p, types, 1), -EINVAL);
	assert_int_equal(mpn_personality_load(p, &arg), 0);
	assert_int_equal(probe.set_types_rc, -EINVAL);
	assert_int_equal(mpn_personality_set_ethertypes(p, types, 1), -EINVAL);
	assert_int_equal(mpn_personality_unload(p), 0);
	probe.types[0] = length[0];
	probe.nb_types = 1;
	assert_int_equal(mpn_personality_load(p, &arg), 0);
	assert_int_equal(probe.set_types_rc, -EINVAL);
	mpn_personality_get_info(p, &info);
	assert_int_equal(info.nb_ethertypes, 1);
	assert_int_equal(info.ethertypes[0], PROBE_TYPE);
	assert_int_equal(mpn_personality_unload(p), 0);
	probe.types[0] = 0x600;
	probe.nb_types = 4;
	assert_int_equal(mpn_personality_load(p, &arg), 0);
	assert_int_equal(probe.set_types_rc, 0);
	mpn_personality_get_info(p, &info);
	assert_int_equal(info.nb_ethertypes, 4);
	assert_int_equal(info.ethertypes[3], 0xffff);
	mpn_nic_destroy(nic);
}

/* Steps that take away what runs are refused in the middle of a round. */
static int
stop_inside(struct probe *probe)
{
	int rc = mpn_personality_stop(probe->p);

	return rc == -EBUSY && mpn_personality_state(probe->p) == MPN_PERS_STARTED ? rc : 1;
}

static void
test_refused_inside_a_poll(void **state)
{
	struct mpn_nic *nics[2] = {make_nic(), make_nic()};
	struct probe probe[2] = {{.hold = false}, {.in_rx = stop_inside}};

	for (unsigned i = 0; i < 2; i++)
		probe_start(nics[i], &probe[i]);
	probe_poll(nics, 2, 1);
	assert_true(probe_send(&probe[0], NULL, 0, 64));
	probe_catch_log();
	probe_poll(nics, 2, 2);
	assert_non_null(strstr(probe_release_log(), "cannot stop from inside a poll"));
	assert_int_equal(probe[1].frames, 1);
	assert_int_equal(probe[1].in_rx_rc, -EBUSY);
	assert_int_equal(mpn_personality_stop(probe[1].p), 0);
	for (unsigned i = 0; i < 2; i++)
		mpn_nic_destroy(nics[i]);
}

static void
test_shared_objects_that_are_none(void **state)
{
	static const struct {
		const char *path;
		int rc;
		const char *line;
	} wrong[] = {
		{"/nowhere/plugin.so", -ENOENT, "No such file"},
		{"/proc/self/status", -ENOEXEC, "status"}, /* a file, and no shared object */
		{"/proc/self/root/", -ENOEXEC, ""},
	};
	struct mpn_nic *nic = make_nic();
	Dl_info here;

	for (unsigned i = 0; i < MPN_ARRAY_SIZE(wrong); i++) {
		probe_catch_log();
		assert_int_equal(
			mpn_personality_define(nic, wrong[i].path, NULL, NULL), wrong[i].rc);
		assert_non_null(strstr(probe_release_log(), wrong[i].line));
		assert_int_equal(probe_log_lines(), 1);
	}
	/* One that is no personality. */
	assert_int_not_equal(dladdr((void *)(uintptr_t)strerror, &here), 0);
	probe_catch_log();
	assert_int_equal(mpn_personality_define(nic, here.dli_fname, "x", NULL), -ENOEXEC);
	assert_non_null(strstr(probe_release_log(), "is no personality"));
	assert_null(mpn_personality_get(nic, 0));
	mpn_nic_destroy(nic);
}

static void
test_states_have_names(void **state)
{
	assert_string_equal(mpn_pers_state_name(MPN_PERS_DEFINED), "defined");
	assert_string_equal(mpn_pers_state_name(MPN_PERS_LOADED), "loaded");
	assert_string_equal(mpn_pers_state_name(MPN_PERS_STARTED), "started");
	assert_string_equal(mpn_pers_state_name(MPN_PERS_STOPPING), "stopping");
	assert_string_equal(mpn_pers_state_name(MPN_PERS_STATES), "unknown");
}

static int
start_eal(void **state)
{
	return probe_eal_start("ring:life", NULL);
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
		cmocka_unit_test(test_no_step_while_stopping),
		cmocka_unit_test(test_after_a_failure),
		cmocka_unit_test(test_registering),
		cmocka_unit_test(test_what_cannot_be_defined),
		cmocka_unit_test(test_frame_types_are_checked),
		cmocka_unit_test(test_refused_inside_a_poll),
		cmocka_unit_test(test_states_have_names),
		cmocka_unit_test(test_shared_objects_that_are_none),
	};

	return cmocka_run_group_tests_name("life cycle", tests, start_eal, probe_eal_stop);
}
