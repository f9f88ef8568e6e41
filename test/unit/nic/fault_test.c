/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Each fault reaches those whom it concerns and no other, is counted, and ends without a restart. */

#include <rte_dev.h>

#include "nic_internal.h"
#include "pair.h"

#define PATIENCE_MS 5000

/* Those who could hear: programs of both NICs, personalities of the first. */
struct bed {
	struct mpn_nic *nic[2];
	unsigned heard[2][MPN_NIC_EVENTS];
	struct probe probe[4];
};
enum { LISTENER, NEIGHBOUR, LOADED, PEER };

static void
count_event(struct mpn_nic *nic, enum mpn_nic_event ev, void *arg)
{
	((unsigned *)arg)[ev]++;
}

/* It asks for no events. */
static struct mpn_personality_ops deaf_ops;

static struct mpn_personality *
add(struct mpn_nic *nic, const char *kind, const char *name, struct probe *probe, uint16_t type)
{
	struct mpn_personality *p;

	probe->types[0] = type;
	probe->nb_types = 1;
	assert_int_equal(mpn_personality_define(nic, kind, name, &p), 0);
	assert_int_equal(mpn_personality_load(p, &probe), 0);
	return p;
}

static void
listen_to(struct bed *b, unsigned end)
{
	memset(b->heard[end], 0, sizeof(b->heard[end]));
	/* What else runs on the machine is no matter of these tests. */
	mpn_nic_set_watchdog(b->nic[end], 0);
	mpn_nic_set_event_cb(b->nic[end], count_event, b->heard[end]);
}

static struct bed *
make_bed(const char *link0, const char *link1)
{
	struct bed *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->nic[0] = probe_nic(link0, true, 1500);
	assert_non_null(b->nic[0]);
	assert_int_equal(mpn_personality_start(
				 add(b->nic[0], "probe", "listener", &b->probe[LISTENER], 0x88b5)),
		0);
	assert_int_equal(mpn_personality_start(
				 add(b->nic[0], "deaf", "neighbour", &b->probe[NEIGHBOUR], 0x88b6)),
		0);
	(void)add(b->nic[0], "probe", "loaded", &b->probe[LOADED], 0x88b7);
	if (link1 != NULL) {
		b->nic[1] = probe_nic(link1, false, 1500);
		assert_non_null(b->nic[1]);
		probe_start(b->nic[1], &b->probe[PEER]);
	}
	return b;
}

static void
free_bed(struct bed *b)
{
	mpn_nic_destroy(b->nic[1]);
	mpn_nic_destroy(b->nic[0]);
	free(b);
}

static unsigned
nb_nics(const struct bed *b)
{
	return b->nic[1] != NULL ? 2 : 1;
}

static bool
link_is_up(void *arg)
{
	struct mpn_nic_info info;

	mpn_nic_get_info(arg, &info);
	return info.link_up;
}

static void
wait_up(struct bed *b)
{
	for (unsigned i = 0; i < nb_nics(b); i++)
		assert_true(
			probe_poll_until(b->nic, nb_nics(b), link_is_up, b->nic[i], PATIENCE_MS));
}

struct wait {
	const unsigned *heard;
	enum mpn_nic_event ev;
	unsigned times;
};

static bool
was_heard(void *arg)
{
	const struct wait *w = arg;

	return w->heard[w->ev] >= w->times;
}

static void
wait_for_event(struct bed *b, enum mpn_nic_event ev)
{
	struct wait w = {b->heard[0], ev, 1};

	if (!probe_poll_until(b->nic, nb_nics(b), was_heard, &w, PATIENCE_MS))
		fail_msg("event %u did not come", ev);
}

static uint64_t
read_counter(struct mpn_nic *nic, enum mpn_nic_event ev)
{
	struct mpn_event_info info;

	mpn_nic_get_event(nic, ev, &info);
	assert_true(info.count == 0 || info.last_unix_ns > 1000000000ull * 86400 * 365);
	return info.count;
}

/* Exactly these events, once each, and by the program alone. */
static void
expect_heard_by_program(struct bed *b, unsigned mask)
{
	for (unsigned ev = 0; ev < MPN_NIC_EVENTS; ev++) {
		if (b->heard[0][ev] != ((mask >> ev) & 1))
			fail_msg("event %u heard %u times", ev, b->heard[0][ev]);
		for (unsigned i = 0; i < MPN_ARRAY_SIZE(b->probe); i++)
			assert_int_equal(b->probe[i].events[ev], 0);
	}
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(b->probe); i++)
		assert_int_equal(b->probe[i].errors, 0);
}

/* Exactly these events, once each, and by exactly those who listen. */
static void
expect_heard(struct bed *b, unsigned mask)
{
	for (unsigned ev = 0; ev < MPN_NIC_EVENTS; ev++) {
		unsigned times = (mask >> ev) & 1;

		if (b->heard[0][ev] != times)
			fail_msg("event %u heard %u times", ev, b->heard[0][ev]);
		assert_int_equal(b->probe[LISTENER].events[ev], times);
		assert_int_equal(b->probe[NEIGHBOUR].events[ev], 0);
		assert_int_equal(b->probe[LOADED].events[ev], 0);
		assert_int_equal(read_counter(b->nic[0], (enum mpn_nic_event)ev), times);
	}
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(b->probe); i++)
		assert_int_equal(b->probe[i].errors, 0);
}

/* Forget what was heard while the bed was made. */
static void
forget(struct bed *b)
{
	for (unsigned i = 0; i < nb_nics(b); i++)
		listen_to(b, i);
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(b->probe); i++)
		memset(b->probe[i].events, 0, sizeof(b->probe[i].events));
	mpn_nic_clear_stats(b->nic[0]);
}

static bool
peer_has_frame(void *arg)
{
	return ((struct probe *)arg)->frames > 0;
}

static void
expect_traffic(struct bed *b)
{
	if (b->nic[1] == NULL)
		return;
	b->probe[PEER].frames = 0;
	assert_true(probe_send(&b->probe[LISTENER], NULL, 0, 64));
	assert_true(probe_poll_until(b->nic, 2, peer_has_frame, &b->probe[PEER], PATIENCE_MS));
}

#define BIT(NAME) (1u << MPN_NIC_##NAME)

static const struct {
	enum mpn_nic_fault fault;
	enum mpn_nic_event begins, ends; /* the last event of each */
	unsigned begin_mask, end_mask;
	unsigned peer_mask; /* what the other end of a vhost link hears of it */
} faults[] = {
	{MPN_FAULT_LINK_DOWN, MPN_NIC_LINK_DOWN, MPN_NIC_LINK_UP, BIT(LINK_DOWN), BIT(LINK_UP), 0},
	{MPN_FAULT_REMOVED, MPN_NIC_LINK_DOWN, MPN_NIC_LINK_UP, BIT(REMOVED) | BIT(LINK_DOWN),
		BIT(RETURNED) | BIT(LINK_UP), BIT(LINK_DOWN) | BIT(LINK_UP)},
	{MPN_FAULT_NO_MBUFS, MPN_NIC_NO_MBUFS, MPN_NIC_MBUFS_BACK, BIT(NO_MBUFS), BIT(MBUFS_BACK),
		0},
	{MPN_FAULT_TX_STUCK, MPN_NIC_TX_STUCK, MPN_NIC_TX_MOVES, BIT(TX_STUCK), BIT(TX_MOVES), 0},
};

static void
go_through_faults(const char *link0, const char *link1, bool peer_follows)
{
	struct bed *b = make_bed(link0, link1);

	wait_up(b);
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(faults); i++) {
		struct rte_mbuf *m = probe_frame(b->nic[0], NULL, 0x88b5, 0, 64);

		forget(b);
		probe_catch_log();
		assert_int_equal(mpn_nic_inject(b->nic[0], faults[i].fault, true), 0);
		assert_true(mpn_nic_injected(b->nic[0], faults[i].fault));
		assert_int_equal(mpn_flow_tx(b->probe[LISTENER].p, &m, 1), 1);
		wait_for_event(b, faults[i].begins);
		/* It stays as it is, and says so once. */
		probe_poll(b->nic, nb_nics(b), 1000);
		expect_heard(b, faults[i].begin_mask);
		assert_int_equal(mpn_nic_inject(b->nic[0], faults[i].fault, false), 0);
		wait_for_event(b, faults[i].ends);
		expect_heard(b, faults[i].begin_mask | faults[i].end_mask);
		(void)probe_release_log();
		wait_up(b);
		expect_traffic(b);
		for (unsigned ev = 0; ev < MPN_NIC_EVENTS; ev++) {
			unsigned times = peer_follows ? (faults[i].peer_mask >> ev) & 1 : 0;

			assert_int_equal(b->heard[1][ev], times);
			assert_int_equal(b->probe[PEER].events[ev], times);
		}
	}
	free_bed(b);
}

static void
test_each_adapter_wide_fault_on_rings(void **state)
{
	go_through_faults("ring:fault", "ring:fault", false);
}

/* The device of a server is really taken out: its user sees it go, and finds the next one. */
static void
test_each_adapter_wide_fault_on_vhost(void **state)
{
	char dir[] = "/tmp/mpnic-test-XXXXXX", vhost[64], virtio[64], sock[64];

	assert_non_null(mkdtemp(dir));
	(void)snprintf(vhost, sizeof(vhost), "vhost:%s/s", dir);
	(void)snprintf(virtio, sizeof(virtio), "virtio:%s/s", dir);
	(void)snprintf(sock, sizeof(sock), "%s/s.lock", dir);
	go_through_faults(vhost, virtio, true);
	(void)remove(sock);
	assert_int_equal(remove(dir), 0);
}

static void
test_what_cannot_be_injected(void **state)
{
	struct bed *b = make_bed("ring:fault", NULL);

	assert_int_equal(mpn_nic_inject(b->nic[0], MPN_FAULTS, true), -EINVAL);
	assert_null(mpn_nic_fault_name(MPN_FAULTS));
	assert_string_equal(mpn_nic_fault_name(MPN_FAULT_TX_STUCK), "tx-stuck");
	b->nic[0]->in_poll = true;
	assert_int_equal(mpn_nic_inject(b->nic[0], MPN_FAULT_REMOVED, true), -EBUSY);
	b->nic[0]->in_poll = false;
	/* A NIC may end with any of them. */
	for (unsigned i = 0; i < MPN_FAULTS; i++)
		assert_int_equal(mpn_nic_inject(b->nic[0], (enum mpn_nic_fault)i, true), 0);
	probe_catch_log();
	probe_poll(b->nic, 1, 10);
	(void)probe_release_log();
	free_bed(b);
}

/* A stopped NIC loses its device: it is looked for when the NIC starts. */
static void
test_removed_while_stopped(void **state)
{
	struct bed *b = make_bed("ring:fault", "ring:fault");

	wait_up(b);
	mpn_nic_stop(b->nic[0]);
	forget(b);
	probe_catch_log();
	assert_int_equal(mpn_nic_inject(b->nic[0], MPN_FAULT_REMOVED, true), 0);
	probe_poll(b->nic, 2, 10);
	expect_heard(b, BIT(REMOVED));
	assert_int_equal(mpn_nic_start(b->nic[0]), 0);
	probe_poll(b->nic, 2, 10);
	assert_int_equal(mpn_nic_inject(b->nic[0], MPN_FAULT_REMOVED, false), 0);
	wait_for_event(b, MPN_NIC_LINK_UP);
	expect_heard(b, BIT(REMOVED) | BIT(RETURNED) | BIT(LINK_UP));
	(void)probe_release_log();
	expect_traffic(b);
	free_bed(b);
}

/* Somebody else takes the device out of the program: no frame touches it any more, and it comes back. */
static void
test_device_taken_out(void **state)
{
	struct bed *b = make_bed("dev:net_null_fault", NULL);
	struct mpn_nic_info info;

	wait_up(b);
	forget(b);
	probe_catch_log();
	assert_int_equal(rte_eal_hotplug_remove("vdev", "net_null_fault"), 0);
	(void)mpn_nic_poll(b->nic[0]);
	expect_heard(b, BIT(REMOVED) | BIT(LINK_DOWN));
	mpn_nic_get_info(b->nic[0], &info);
	assert_true(info.removed && !info.link_up);
	wait_for_event(b, MPN_NIC_LINK_UP);
	expect_heard(b, BIT(REMOVED) | BIT(LINK_DOWN) | BIT(RETURNED) | BIT(LINK_UP));
	mpn_nic_get_info(b->nic[0], &info);
	assert_true(!info.removed && info.link_up);
	(void)probe_release_log();
	free_bed(b);
}

/* ---- Errors of one personality ---- */

static bool
has_error(void *arg)
{
	return ((struct probe *)arg)->errors > 0;
}

static void
expect_error_of(struct bed *b, unsigned who, int err, const char *word)
{
	struct mpn_personality_info info;

	for (unsigned i = 0; i < MPN_ARRAY_SIZE(b->probe); i++)
		assert_int_equal(b->probe[i].errors, i == who);
	for (unsigned ev = 0; ev < MPN_NIC_EVENTS; ev++)
		assert_int_equal(b->heard[0][ev], 0);
	assert_int_equal(b->probe[who].last_error, err);
	mpn_personality_get_info(b->probe[who].p, &info);
	assert_int_equal(info.errors, 1);
	assert_int_equal(info.last_error, err);
	assert_non_null(strstr(info.last_cause, word));
	assert_true(info.last_error_unix_ns > 0);
}

static void
test_flow_that_overflows(void **state)
{
	struct bed *b = make_bed("ring:fault", "ring:fault");
	struct rte_mbuf *m;

	wait_up(b);
	forget(b);
	b->probe[NEIGHBOUR].p->flow.rx_mark = 0;
	m = probe_frame(b->nic[1], NULL, 0x88b6, 0, 64);
	assert_int_equal(mpn_flow_tx(b->probe[PEER].p, &m, 1), 1);
	probe_catch_log();
	assert_true(probe_poll_until(b->nic, 2, has_error, &b->probe[NEIGHBOUR], PATIENCE_MS));
	assert_non_null(strstr(probe_release_log(), "'neighbour': it takes its frames too slowly"));
	assert_int_equal(probe_log_lines(), 1);
	expect_error_of(b, NEIGHBOUR, -ENOBUFS, "too slowly");
	free_bed(b);
}

/* The thread is everybody's: whoever asks hears that it was held, and by whom. It is no error of anybody. */
static int
burn(struct probe *probe)
{
	uint64_t end_ns = mpn_now_ns() + 20000000;

	while (mpn_now_ns() < end_ns)
		;
	return 0;
}

static bool
was_held(void *arg)
{
	return ((const struct bed *)arg)->heard[0][MPN_NIC_HELD] > 0;
}

static void
test_thread_that_is_held(void **state)
{
	struct bed *b = make_bed("ring:fault", "ring:fault");
	struct mpn_nic_info info;
	struct rte_mbuf *m;

	wait_up(b);
	forget(b);
	b->probe[NEIGHBOUR].in_rx = burn;
	m = probe_frame(b->nic[1], NULL, 0x88b6, 0, 64);
	assert_int_equal(mpn_flow_tx(b->probe[PEER].p, &m, 1), 1);
	probe_catch_log();
	mpn_nic_set_watchdog(b->nic[0], 10000000);
	assert_true(probe_poll_until(b->nic, 2, was_held, b, PATIENCE_MS));
	mpn_nic_set_watchdog(b->nic[0], 0);
	(void)probe_release_log();
	mpn_nic_get_info(b->nic[0], &info);
	assert_string_equal(info.held_by, "neighbour");
	expect_heard(b, BIT(HELD));
	assert_int_equal(b->heard[1][MPN_NIC_HELD], 0);
	assert_int_equal(b->probe[PEER].events[MPN_NIC_HELD], 0);
	free_bed(b);
}

/* A scheduler that forgets the second personality. */
static struct sched_ops unfair;

static unsigned
run_unfair(struct mpn_nic *nic, uint64_t now_ns)
{
	uint64_t left = UINT32_MAX;
	bool full = false;

	return flow_send(nic, &nic->pers[0]->flow.tx, 0, MPN_BURST, &left, &full);
}

static void
test_flow_that_never_gets_its_turn(void **state)
{
	struct bed *b = make_bed("ring:fault", "ring:fault");
	struct rte_mbuf *m;
	uint64_t deadline;

	wait_up(b);
	forget(b);
	unfair = *b->nic[0]->sched;
	unfair.run = run_unfair;
	b->nic[0]->sched = &unfair;
	m = probe_frame(b->nic[0], NULL, 0x88b6, 0, 64);
	assert_int_equal(mpn_flow_tx(b->probe[NEIGHBOUR].p, &m, 1), 1);
	probe_catch_log();
	deadline = mpn_now_ns() + PATIENCE_MS * 1000000ull;
	while (!has_error(&b->probe[NEIGHBOUR]) && mpn_now_ns() < deadline) {
		assert_true(probe_send(&b->probe[LISTENER], NULL, 0, 64));
		probe_poll(b->nic, 2, 1);
	}
	assert_non_null(strstr(probe_release_log(), "none of its frames has left"));
	expect_error_of(b, NEIGHBOUR, -EAGAIN, "has left");
	free_bed(b);
}

/* What a personality says of itself; the same again is counted, and not logged. */
static void
test_own_error(void **state)
{
	struct bed *b = make_bed("ring:fault", NULL);
	struct mpn_personality_info info;

	forget(b);
	probe_catch_log();
	mpn_personality_error(b->probe[LISTENER].p, -EIO, "the disk is on fire");
	assert_non_null(strstr(probe_release_log(), "'listener': the disk is on fire"));
	expect_error_of(b, LISTENER, -EIO, "on fire");
	probe_catch_log();
	mpn_personality_error(b->probe[LISTENER].p, -EIO, "the disk is on fire");
	(void)probe_release_log();
	assert_int_equal(probe_log_lines(), 0);
	mpn_personality_get_info(b->probe[LISTENER].p, &info);
	assert_int_equal(info.errors, 2);
	mpn_nic_clear_stats(b->nic[0]);
	mpn_personality_get_info(b->probe[LISTENER].p, &info);
	assert_int_equal(info.errors, 0);
	assert_int_equal(info.last_error, -EIO);
	free_bed(b);
}

/* What happens to one of them is told to the program alone: in the next round, or before it is undefined. */
static void
test_news_of_one(void **state)
{
	struct bed *b = make_bed("ring:fault", NULL);
	struct mpn_personality *p = b->probe[LOADED].p;

	forget(b);
	personality_raise(p, MPN_NIC_PROCESS_CAME);
	assert_int_equal(b->heard[0][MPN_NIC_PROCESS_CAME], 0);
	(void)mpn_nic_poll(b->nic[0]);
	expect_heard_by_program(b, BIT(PROCESS_CAME));
	/* What is too much is forgotten from its beginning: where it stands in the end is not. */
	personality_raise(p, MPN_NIC_PROCESS_FAILED);
	for (unsigned i = 0; i < NIC_MAX_NEWS; i++)
		personality_raise(p, MPN_NIC_PROCESS_LEFT);
	assert_int_equal(mpn_personality_unload(p), 0);
	assert_int_equal(mpn_personality_undefine(p), 0);
	assert_int_equal(b->heard[0][MPN_NIC_PROCESS_LEFT], NIC_MAX_NEWS);
	assert_int_equal(b->heard[0][MPN_NIC_PROCESS_FAILED], 0);
	b->heard[0][MPN_NIC_PROCESS_LEFT] = 1;
	expect_heard_by_program(b, BIT(PROCESS_CAME) | BIT(PROCESS_LEFT));
	free_bed(b);
}

static void
print_all(struct bed *b, bool json, char **text)
{
	struct mpn_out o;
	size_t len;
	FILE *f = open_memstream(text, &len);

	assert_non_null(f);
	mpn_out_begin(&o, f, json);
	mpn_nic_print_events(b->nic[0], &o);
	mpn_personality_print_errors(b->probe[LISTENER].p, &o);
	assert_int_equal(mpn_out_end(&o), 0);
	(void)fclose(f);
}

static void
test_printing(void **state)
{
	struct bed *b = make_bed("ring:fault", NULL);
	char *text;

	print_all(b, true, &text);
	assert_non_null(strstr(text, "\"link_up\": 0"));
	assert_non_null(strstr(text, "\"last_event\": null"));
	assert_non_null(strstr(text, "\"last_error_time\": null"));
	free(text);
	b->nic[1] = probe_nic("ring:fault", false, 0);
	wait_up(b);
	probe_catch_log();
	mpn_personality_error(b->probe[LISTENER].p, -EIO, "the disk is on fire");
	(void)probe_release_log();
	print_all(b, true, &text);
	assert_non_null(strstr(text, "\"link_up\": 1"));
	assert_non_null(strstr(text, "\"last_event\": \"link_up\""));
	assert_non_null(strstr(text, "\"last_event_time\": \"2"));
	assert_non_null(strstr(text, "\"errors\": 1"));
	assert_non_null(strstr(text, "\"last_error_cause\": \"the disk is on fire\""));
	free(text);
	free_bed(b);
}

static int
start_eal(void **state)
{
	const struct mpn_personality_ops *probe = mpn_personality_kind(0);

	for (unsigned i = 0; probe != NULL && strcmp(probe->name, "probe") != 0; i++)
		probe = mpn_personality_kind(i);
	assert_non_null(probe);
	deaf_ops = *probe;
	deaf_ops.name = "deaf";
	deaf_ops.event = NULL;
	assert_int_equal(mpn_personality_register(&deaf_ops), 0);
	return probe_eal_start("vhost:fault", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_each_adapter_wide_fault_on_rings, pair_clean),
		cmocka_unit_test_teardown(test_each_adapter_wide_fault_on_vhost, pair_clean),
		cmocka_unit_test_teardown(test_what_cannot_be_injected, pair_clean),
		cmocka_unit_test_teardown(test_removed_while_stopped, pair_clean),
		cmocka_unit_test_teardown(test_device_taken_out, pair_clean),
		cmocka_unit_test_teardown(test_flow_that_overflows, pair_clean),
		cmocka_unit_test_teardown(test_flow_that_never_gets_its_turn, pair_clean),
		cmocka_unit_test_teardown(test_thread_that_is_held, pair_clean),
		cmocka_unit_test_teardown(test_own_error, pair_clean),
		cmocka_unit_test_teardown(test_news_of_one, pair_clean),
		cmocka_unit_test_teardown(test_printing, pair_clean),
	};

	return cmocka_run_group_tests_name("faults", tests, start_eal, probe_eal_stop);
}
