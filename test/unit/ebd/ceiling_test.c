/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The ceiling: loads without the protocol, and what strangers may do to those who answer them. */

#include "bare_port.h"
#include "bench.h"

#define SIZE (8u << 20)
#define LOAD_NS (100 * 1000000ull) /* longer than a busy machine stands still */

static const char *const volumes[] = {"mem", "mem:8M", "null", "null:4M", "small", "mem:64k", NULL};
static const struct ebd_server_conf answers = {.ceiling = true};

struct count {
	uint64_t reads, writes, slowest_ns;
};

static void
on_done(bool write, uint64_t latency_ns, void *arg)
{
	struct count *n = arg;

	n->reads += !write;
	n->writes += write;
	n->slowest_ns = MPN_MAX(n->slowest_ns, latency_ns);
}

static struct ebd_ceiling_conf
a_load(struct count *n)
{
	return (struct ebd_ceiling_conf){
		.volume = "mem",
		.bs = 4096,
		.depth = 8,
		.read_percent = 100,
		.random = true,
		.seed = 1,
		.time_ns = LOAD_NS,
		.done = on_done,
		.arg = n,
	};
}

static void
check_result(const struct ebd_ceiling_conf *conf, const struct ebd_ceiling_result *r,
	const struct count *n)
{
	assert_int_equal(r->reads, n->reads);
	assert_int_equal(r->writes, n->writes);
	assert_int_equal(r->lost, 0);
	assert_true(r->ns >= conf->time_ns);
	assert_true(n->slowest_ns > 0 && n->slowest_ns < 10 * XFER_NSEC_PER_SEC);
	assert_int_equal(r->reads > 0, conf->read_percent > 0);
	assert_int_equal(r->writes > 0, conf->read_percent < 100);
}

static void
poll_server_often(struct bench *b)
{
	unsigned i;

	for (i = 0; i < 8; i++)
		(void)ebd_server_poll(b->server);
}

/* The real thing works beside it. */
static void
check_queue(struct ebd_queue *q)
{
	static char out[16384], in[16384];

	bench_fill(out, sizeof(out), 7);
	assert_int_equal(ebd_pwrite(q, out, sizeof(out), 4096, 0), sizeof(out));
	assert_int_equal(ebd_pread(q, in, sizeof(in), 4096), sizeof(in));
	assert_memory_equal(in, out, sizeof(in));
}

static void
test_loads_of_all_shapes_run(void **state)
{
	static const struct {
		uint32_t bs, depth;
		unsigned read_percent;
		bool random;
	} shapes[] = {
		{4096, 8, 100, true},
		{512, 64, 100, true},
		{4096, 1, 100, false},
		{131072, 4, 100, false},
		{1 << 20, 3, 100, true},
		{4096, 8, 0, true},
		{512, 8, 0, true},
		{131072, 4, 0, false},
		{1 << 20, 3, 0, false},
		{8192 + 512, 300, 50, true},
	};
	struct bench *b = bench_create(&answers, NULL, volumes);
	struct ebd_queue *q = bench_open(b, "mem");
	unsigned i;

	for (i = 0; i < MPN_ARRAY_SIZE(shapes); i++) {
		struct count n = {0};
		struct ebd_ceiling_conf conf = a_load(&n);
		struct ebd_ceiling_result r;

		conf.bs = shapes[i].bs;
		conf.depth = shapes[i].depth;
		conf.read_percent = shapes[i].read_percent;
		conf.random = shapes[i].random;
		assert_int_equal(ebd_ceiling_run(b->client, &conf, &r), 0);
		check_result(&conf, &r, &n);
		assert_int_equal(r.bytes, SIZE);
		check_queue(q);
	}
	bench_destroy(b);
}

static void
test_a_volume_that_is_no_memory_has_a_stand_in(void **state)
{
	struct bench *b = bench_create(&answers, NULL, volumes);
	struct count n = {0};
	struct ebd_ceiling_conf conf = a_load(&n);
	struct ebd_ceiling_result r;

	conf.volume = "null";
	assert_int_equal(ebd_ceiling_run(b->client, &conf, &r), 0);
	check_result(&conf, &r, &n);
	assert_int_equal(r.bytes, 4 << 20);
	bench_destroy(b);
}

/* What is written by a ceiling goes nowhere. */
/* Where they would be put by the protocol; a volume that is read-only stays as it is. */
static void
test_writes_arrive_in_the_volume(void **state)
{
	static const char *const both[] = {"small", "mem:64k", "fixed", "readonly:mem:64k", NULL};
	static char buf[65536], want[2][65536];
	struct bench *b = bench_create(&answers, NULL, both);
	struct ebd_ceiling_result r;
	unsigned i;

	memset(want[0], 0x5a, sizeof(want[0]));
	for (i = 0; i < 2; i++) {
		struct ebd_queue *q = bench_open(b, both[2 * i]);
		struct count n = {0};
		struct ebd_ceiling_conf conf = a_load(&n);

		conf.volume = both[2 * i];
		conf.read_percent = 0;
		conf.random = false;
		assert_int_equal(ebd_ceiling_run(b->client, &conf, &r), 0);
		check_result(&conf, &r, &n);
		assert_int_equal(ebd_pread(q, buf, sizeof(buf), 0), sizeof(buf));
		assert_memory_equal(buf, want[i], sizeof(buf));
	}
	bench_destroy(b);
}

static void
test_nobody_answers_unless_asked_to(void **state)
{
	struct ebd_client_conf cc = {.connect_timeout_ms = 300};
	struct bench *b = bench_create(NULL, &cc, volumes);
	struct count n = {0};
	struct ebd_ceiling_conf conf = a_load(&n);
	struct ebd_ceiling_result r;

	bench_hush();
	assert_int_equal(ebd_ceiling_run(b->client, &conf, &r), -ETIMEDOUT);
	bench_unhush();
	assert_non_null(strstr(ebd_last_error(), "--ceiling"));
	check_queue(bench_open(b, "mem"));
	bench_destroy(b);
}

static void
test_a_volume_nobody_has(void **state)
{
	struct ebd_client_conf cc = {.connect_timeout_ms = 300};
	struct bench *b = bench_create(&answers, &cc, volumes);
	struct count n = {0};
	struct ebd_ceiling_conf conf = a_load(&n);
	struct ebd_ceiling_result r;

	conf.volume = "cheese";
	bench_hush();
	assert_int_equal(ebd_ceiling_run(b->client, &conf, &r), -ETIMEDOUT);
	bench_unhush();
	bench_destroy(b);
}

static void
test_what_makes_no_sense_is_refused(void **state)
{
	struct bench *b = bench_create(&answers, NULL, volumes);
	struct ebd_ceiling_conf good = a_load(NULL), bad[9];
	struct ebd_ceiling_result r;
	unsigned i;

	for (i = 0; i < MPN_ARRAY_SIZE(bad); i++)
		bad[i] = good;
	bad[0].volume = NULL;
	bad[1].bs = 0;
	bad[2].bs = 4095;
	bad[3].depth = 0;
	bad[4].depth = 1025;
	bad[5].read_percent = 101;
	bad[6].time_ns = 0;
	bad[7].time_ns = EBD_CEILING_MAX_NS + 1;
	bad[8].bs = 2 * SIZE; /* more than there is */
	bench_hush();
	for (i = 0; i < MPN_ARRAY_SIZE(bad); i++)
		assert_int_equal(ebd_ceiling_run(b->client, &bad[i], &r), -EINVAL);
	bench_unhush();
	bench_destroy(b);
}

/* Who waits may be told to give up; the other end hears of it and goes back to work. */
static int
give_up_later(void *arg)
{
	struct bench *b = arg;

	(void)ebd_server_poll(b->server);
	return b->rounds++ < 200 ? 0 : -EINTR;
}

static void
test_a_load_that_is_broken_off(void **state)
{
	struct bench *b = bench_create(&answers, NULL, volumes);
	struct ebd_queue *q = bench_open(b, "mem");
	struct count n = {0};
	struct ebd_ceiling_conf conf = a_load(&n);
	struct ebd_ceiling_result r;
	int (*background)(void *arg);

	conf.time_ns = 20 * XFER_NSEC_PER_SEC;
	background = b->client->conf.background;
	b->rounds = 0;
	b->client->conf.background = give_up_later;
	bench_hush();
	assert_int_equal(ebd_ceiling_run(b->client, &conf, &r), -EINTR);
	bench_unhush();
	assert_true(n.reads > 0);
	b->client->conf.background = background;
	poll_server_often(b);
	assert_null(b->server->nics[0].nic->bypass);
	assert_null(b->client->nic->bypass);
	check_queue(q);
	n = (struct count){0};
	conf.time_ns = LOAD_NS;
	assert_int_equal(ebd_ceiling_run(b->client, &conf, &r), 0);
	check_result(&conf, &r, &n);
	bench_destroy(b);
}

/* The server goes in the middle of a run: the link is down, and nothing will come any more. */
static int
end_server(void *arg)
{
	struct bench *b = arg;

	if (b->server != NULL && b->rounds++ < 200)
		return (int)ebd_server_poll(b->server);
	if (b->server != NULL)
		bench_stop_server(b);
	return 0;
}

static void
test_the_server_goes_away(void **state)
{
	struct bench *b = bench_create(&answers, NULL, volumes);
	struct count n = {0};
	struct ebd_ceiling_conf conf = a_load(&n);
	struct ebd_ceiling_result r;

	b->rounds = 0;
	b->client->conf.background = end_server;
	conf.time_ns = 20 * XFER_NSEC_PER_SEC;
	bench_hush();
	assert_int_equal(ebd_ceiling_run(b->client, &conf, &r), -EPIPE);
	bench_unhush();
	bench_destroy(b);
}

/* ---- Strangers ---- */

static struct rte_mbuf *
make_frame(struct bench *b, const struct bare_frame *f, unsigned len, const char *volume)
{
	struct mpn_nic *nic = b->client->nic;
	struct rte_mbuf *m = rte_pktmbuf_alloc(nic->rx_pool);
	struct mpn_nic_info info;
	struct bare_frame *at;

	assert_non_null(m);
	mpn_nic_get_info(b->server->nics[0].nic, &info);
	at = (struct bare_frame *)rte_pktmbuf_append(m, (uint16_t)MPN_MAX(len, 128u));
	memset(at, 0, MPN_MAX(len, 128u));
	*at = *f;
	if (volume != NULL)
		memcpy(at + 1, volume, strlen(volume));
	memcpy(at->dst, info.mac, sizeof(at->dst));
	if (at->src[0] == 0)
		memcpy(at->src, nic->info.mac, sizeof(at->src));
	at->type = rte_cpu_to_be_16(BARE_ETHERTYPE);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	return m;
}

/* Send a frame; give the answers that came, and the status of the last. */
static unsigned
send_and_count(
	struct bench *b, const struct bare_frame *f, unsigned len, const char *volume, int *status)
{
	struct rte_mbuf *m = make_frame(b, f, len, volume), *in[32];
	uint16_t port = b->client->nic->port_id;
	unsigned n, i, all = 0;

	assert_int_equal(rte_eth_tx_burst(port, 0, &m, 1), 1);
	poll_server_often(b);
	while ((n = rte_eth_rx_burst(port, 0, in, 32)) > 0) {
		for (i = 0; i < n; i++) {
			if (bare_header(in[i])->type == rte_cpu_to_be_16(BARE_ETHERTYPE)) {
				*status = bare_header(in[i])->status;
				all++;
			}
			rte_pktmbuf_free(in[i]);
		}
		poll_server_often(b);
	}
	return all;
}

static void
test_hostile_frames_are_dropped(void **state)
{
	static const struct bare_frame start = {.kind = BARE_START, .unit = 4096, .ms = 10000};
	static const struct {
		struct bare_frame frame;
		unsigned len;
		unsigned answers;
	} rows[] = {
		{{.kind = BARE_READ, .len = 4096}, 64, 1},
		{{.kind = BARE_READ, .len = 131072}, 64, 32},
		{{.kind = BARE_READ, .len = 4096}, 63, 0},
		{{.kind = BARE_READ, .len = 4096}, 15, 0},
		{{.kind = BARE_READ, .len = 0}, 64, 0},
		{{.kind = BARE_READ, .len = 131073}, 64, 0},
		{{.kind = BARE_READ, .len = UINT32_MAX}, 64, 0},
		{{.kind = BARE_READ, .len = 4096, .addr = SIZE - 4096}, 64, 1},
		{{.kind = BARE_READ, .len = 4096, .addr = SIZE - 4095}, 64, 0},
		{{.kind = BARE_READ, .len = 4096, .addr = UINT64_MAX}, 64, 0},
		{{.kind = BARE_READ, .len = 4096, .addr = UINT64_MAX - 4095}, 64, 0},
		{{.kind = BARE_WRITE, .len = 4096}, 64, 1},
		{{.kind = BARE_WRITE_CMD, .len = 131072}, 64, 2},
		{{.kind = BARE_DATA, .len = 4096, .last = 0}, 64, 0},
		{{.kind = BARE_DATA, .len = 4096, .last = 1}, 64, 1},
		{{.kind = BARE_STARTED}, 64, 0},
		{{.kind = BARE_GRANT, .len = 4096}, 64, 0},
		{{.kind = 200, .len = 4096}, 64, 0},
	};
	struct bench *b = bench_create(&answers, NULL, volumes);
	struct ebd_queue *q = bench_open(b, "mem");
	unsigned i;
	int status;

	/* Nobody has begun: nothing is answered. */
	assert_int_equal(send_and_count(b, &rows[0].frame, 64, NULL, &status), 0);
	assert_int_equal(send_and_count(b, &start, 128, "mem", &status), 1);
	assert_int_equal(status, 0);
	for (i = 0; i < MPN_ARRAY_SIZE(rows); i++) {
		if (send_and_count(b, &rows[i].frame, rows[i].len, NULL, &status) !=
			rows[i].answers)
			fail_msg("row %u", i);
	}
	/* Sessions go on all the while, and afterwards. */
	check_queue(q);
	assert_int_equal(
		send_and_count(b, &(struct bare_frame){.kind = BARE_STOP}, 64, NULL, &status), 1);
	assert_int_equal(send_and_count(b, &rows[0].frame, 64, NULL, &status), 0);
	check_queue(q);
	bench_destroy(b);
}

static void
test_starts_that_make_no_sense(void **state)
{
	static const struct bare_frame start = {.kind = BARE_START, .unit = 4096, .ms = 10000};
	struct bench *b = bench_create(&answers, NULL, volumes);
	struct bare_frame f;
	int status;

	f = start;
	f.unit = 0;
	assert_int_equal(send_and_count(b, &f, 128, "mem", &status), 1);
	assert_int_equal(status, -EINVAL);
	f.unit = 9000;
	assert_int_equal(send_and_count(b, &f, 128, "mem", &status), 1);
	assert_int_equal(status, -EINVAL);
	f = start;
	f.ms = 0;
	assert_int_equal(send_and_count(b, &f, 128, "mem", &status), 1);
	assert_int_equal(status, -EINVAL);
	f.ms = UINT32_MAX;
	assert_int_equal(send_and_count(b, &f, 128, "mem", &status), 1);
	assert_int_equal(status, -EINVAL);
	assert_int_equal(send_and_count(b, &start, 64, NULL, &status), 1);
	assert_int_equal(status, -EINVAL);
	assert_int_equal(send_and_count(b, &start, 128, "cheese", &status), 0);
	assert_int_equal(send_and_count(b, &start, 128, "mem", &status), 1);
	assert_int_equal(status, 0);
	/* Another station may neither take it nor end it. */
	f = start;
	f.src[0] = 2;
	assert_int_equal(send_and_count(b, &f, 128, "mem", &status), 1);
	assert_int_equal(status, -EBUSY);
	f.kind = BARE_STOP;
	assert_int_equal(send_and_count(b, &f, 64, NULL, &status), 0);
	bench_destroy(b);
}

/* A requester that has died does not have the port for ever. */
static void
test_a_run_nobody_ends_expires(void **state)
{
	static const struct bare_frame start = {.kind = BARE_START, .unit = 4096, .ms = 20};
	static const struct bare_frame read = {.kind = BARE_READ, .len = 4096};
	struct bench *b = bench_create(&answers, NULL, volumes);
	uint64_t end;
	int status;

	assert_int_equal(send_and_count(b, &start, 128, "mem", &status), 1);
	assert_non_null(b->server->nics[0].nic->bypass);
	end = ebd_now_ns() + 10 * XFER_NSEC_PER_SEC;
	while (b->server->nics[0].nic->bypass != NULL && ebd_now_ns() < end)
		(void)ebd_server_poll(b->server);
	assert_null(b->server->nics[0].nic->bypass);
	assert_int_equal(send_and_count(b, &read, 64, NULL, &status), 0);
	check_queue(bench_open(b, "mem"));
	bench_destroy(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loads_of_all_shapes_run),
		cmocka_unit_test(test_a_volume_that_is_no_memory_has_a_stand_in),
		cmocka_unit_test(test_writes_arrive_in_the_volume),
		cmocka_unit_test(test_nobody_answers_unless_asked_to),
		cmocka_unit_test(test_a_volume_nobody_has),
		cmocka_unit_test(test_what_makes_no_sense_is_refused),
		cmocka_unit_test(test_a_load_that_is_broken_off),
		cmocka_unit_test(test_the_server_goes_away),
		cmocka_unit_test(test_hostile_frames_are_dropped),
		cmocka_unit_test(test_starts_that_make_no_sense),
		cmocka_unit_test(test_a_run_nobody_ends_expires),
	};

	return cmocka_run_group_tests(tests, bench_start_eal, bench_stop_eal);
}
