/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <sched.h>

#include <rte_ether.h>
#include <rte_mempool.h>

#include "mpn_log.h"
#include "nic_pool.h"
#include "probe.h"

#define PATTERN_OFF 18 /* after the Ethernet header and the number */

static uint8_t
pattern(uint32_t number, uint32_t i)
{
	return (uint8_t)(number * 31 + i * 7 + (i >> 8));
}

/* ---- The personality ---- */

struct priv {
	struct probe *probe;
};

static struct probe *
get(struct mpn_personality *p)
{
	return ((struct priv *)mpn_personality_priv(p))->probe;
}

static int
probe_load(struct mpn_personality *p, const void *args)
{
	struct priv *priv = mpn_personality_priv(p);

	memcpy(&priv->probe, args, sizeof(priv->probe));
	priv->probe->p = p;
	priv->probe->loads++;
	if (priv->probe->nb_types > 0)
		priv->probe->set_types_rc = mpn_personality_set_ethertypes(
			p, priv->probe->types, priv->probe->nb_types);
	return priv->probe->load_rc;
}

static void
probe_unload(struct mpn_personality *p)
{
	get(p)->unloads++;
}

static int
probe_begin(struct mpn_personality *p)
{
	get(p)->starts++;
	return get(p)->start_rc;
}

static void
probe_stop(struct mpn_personality *p)
{
	get(p)->stops++;
}

static bool
probe_quiet(struct mpn_personality *p)
{
	if (get(p)->in_quiet != NULL)
		get(p)->in_quiet(get(p));
	return !get(p)->busy && get(p)->busy_polls == 0;
}

static void
check_frame(struct probe *probe, struct rte_mbuf *m)
{
	uint8_t copy[16384];
	const uint8_t *frame = rte_pktmbuf_read(m, 0, m->pkt_len, copy);
	uint32_t number, len = m->pkt_len;

	probe->frames++;
	probe->bytes += len;
	probe->segmented += m->nb_segs > 1;
	if (frame == NULL || len < PATTERN_OFF)
		return;
	memcpy(&number, frame + RTE_ETHER_HDR_LEN, sizeof(number));
	probe->out_of_order += number != probe->next_number;
	probe->next_number = number + 1;
	for (uint32_t i = PATTERN_OFF; i < len; i++) {
		if (frame[i] != pattern(number, i)) {
			probe->damaged++;
			return;
		}
	}
}

static void
send_back(struct probe *probe, struct rte_mbuf *m)
{
	struct rte_ether_hdr *hdr = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct mpn_nic_info info;

	mpn_nic_get_info(mpn_personality_nic(probe->p), &info);
	hdr->dst_addr = hdr->src_addr;
	memcpy(&hdr->src_addr, info.mac, sizeof(info.mac));
	if (mpn_flow_tx(probe->p, &m, 1) == 0)
		rte_pktmbuf_free(m);
}

static void
probe_rx(struct mpn_personality *p, struct rte_mbuf **mbufs, unsigned n, uint64_t now_ns)
{
	struct probe *probe = get(p);

	assert_in_range(n, 1, MPN_BURST);
	probe->bursts++;
	for (unsigned i = 0; i < n; i++) {
		check_frame(probe, mbufs[i]);
		if (probe->hold)
			probe->held[probe->nb_held++] = mbufs[i];
		else if (probe->echo)
			send_back(probe, mbufs[i]);
		else
			rte_pktmbuf_free(mbufs[i]);
	}
	if (probe->in_rx != NULL)
		probe->in_rx_rc = probe->in_rx(probe);
}

static unsigned
probe_work(struct mpn_personality *p, uint64_t now_ns)
{
	get(p)->polls++;
	if (get(p)->busy_polls > 0)
		get(p)->busy_polls--;
	return 0;
}

static void
probe_event(struct mpn_personality *p, enum mpn_nic_event ev)
{
	get(p)->events[ev]++;
}

static void
probe_error(struct mpn_personality *p, int err, const char *cause)
{
	get(p)->errors++;
	get(p)->last_error = err;
	assert_non_null(cause);
}

static void
probe_print(struct mpn_personality *p, struct mpn_out *o)
{
	mpn_out_u64(o, "frames", get(p)->frames);
}

static const uint16_t default_types[] = {PROBE_TYPE};

static const struct mpn_personality_ops probe_ops = {
	.abi = MPN_ABI_VERSION,
	.name = "probe",
	.kind = MPN_PERS_UNSOLICITED,
	.ethertypes = default_types,
	.nb_ethertypes = 1,
	.priv_size = sizeof(struct priv),
	.load = probe_load,
	.unload = probe_unload,
	.start = probe_begin,
	.stop = probe_stop,
	.quiet = probe_quiet,
	.rx_burst = probe_rx,
	.poll = probe_work,
	.event = probe_event,
	.error = probe_error,
	.print = probe_print,
};
MPN_PERSONALITY_REGISTER(probe_ops)

/* ---- For the tests ---- */

int
probe_eal_start(const char *link, const char *extra)
{
	struct mpn_eal_conf conf = {
		.prog = "test", .link = link, .extra = extra, .lcore = -1, .no_huge = true};

	return mpn_eal_start(&conf);
}

const char *
probe_lcores(char *buf, size_t size)
{
	int cpu[2] = {-1, -1};
	cpu_set_t set;

	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	for (int i = 0; i < CPU_SETSIZE && cpu[1] < 0; i++) {
		if (CPU_ISSET(i, &set))
			cpu[cpu[0] < 0 ? 0 : 1] = i;
	}
	(void)snprintf(buf, size, "--lcores=(0-3)@(%d,%d)", cpu[0], cpu[1] >= 0 ? cpu[1] : cpu[0]);
	return buf;
}

int
probe_eal_stop(void **state)
{
	mpn_eal_stop();
	return 0;
}

struct mpn_nic *
probe_nic(const char *link, bool server, uint16_t mtu)
{
	struct mpn_nic_conf conf = {.link = link, .server = server, .mtu = mtu};

	return mpn_nic_create(&conf);
}

void
probe_start(struct mpn_nic *nic, struct probe *probe)
{
	struct mpn_personality *p;

	assert_int_equal(mpn_personality_define(nic, "probe", NULL, &p), 0);
	assert_int_equal(mpn_personality_load(p, &probe), 0);
	assert_int_equal(mpn_personality_start(p), 0);
}

struct mpn_personality *
probe_add(struct mpn_nic *nic, struct probe *probe, const char *name, uint16_t vid, uint16_t outer)
{
	struct mpn_personality *p;

	assert_int_equal(mpn_personality_define(nic, "probe", name, &p), 0);
	assert_int_equal(
		mpn_personality_set_vlan(p, &(struct mpn_vlan){.vid = vid, .outer = outer}), 0);
	assert_int_equal(mpn_personality_load(p, &probe), 0);
	assert_int_equal(mpn_personality_start(p), 0);
	return p;
}

/* Append len bytes of room, in as many segments as it takes. */
static bool
append_room(struct mpn_nic *nic, struct rte_mbuf *m, uint32_t len)
{
	while (len > 0) {
		uint16_t n = (uint16_t)MPN_MIN(rte_pktmbuf_tailroom(rte_pktmbuf_lastseg(m)), len);

		if (n > 0 && rte_pktmbuf_append(m, n) == NULL)
			return false;
		len -= n;
		if (len > 0) {
			struct rte_mbuf *next = rte_pktmbuf_alloc(mpn_nic_rx_pool(nic));

			if (next == NULL || rte_pktmbuf_chain(m, next) < 0)
				return false;
		}
	}
	return true;
}

struct rte_mbuf *
probe_frame(struct mpn_nic *nic, const uint8_t *dst, uint16_t type, uint32_t number, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(mpn_nic_rx_pool(nic));
	struct mpn_nic_info info;
	uint8_t *frame;

	if (m == NULL || !append_room(nic, m, len)) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	assert_int_equal(m->nb_segs, 1);
	frame = rte_pktmbuf_mtod(m, uint8_t *);
	if (len < RTE_ETHER_HDR_LEN) {
		memset(frame, 0xff, len);
		return m;
	}
	mpn_nic_get_info(nic, &info);
	memset(frame, 0xff, 6);
	if (dst != NULL)
		memcpy(frame, dst, 6);
	memcpy(frame + 6, info.mac, 6);
	frame[12] = (uint8_t)(type >> 8);
	frame[13] = (uint8_t)type;
	if (len >= PATTERN_OFF)
		memcpy(frame + RTE_ETHER_HDR_LEN, &number, sizeof(number));
	for (uint32_t i = PATTERN_OFF; i < len; i++)
		frame[i] = pattern(number, i);
	return m;
}

bool
probe_send(struct probe *probe, const uint8_t *dst, uint32_t number, uint32_t len)
{
	struct rte_mbuf *m =
		probe_frame(mpn_personality_nic(probe->p), dst, PROBE_TYPE, number, len);

	if (m == NULL)
		return false;
	if (mpn_flow_tx(probe->p, &m, 1) == 1)
		return true;
	rte_pktmbuf_free(m);
	return false;
}

/* Move what is behind the first bytes of the last segment into a segment of its own. */
static bool
split(struct mpn_nic *nic, struct rte_mbuf *m, uint16_t first)
{
	struct rte_mbuf *rest = rte_pktmbuf_alloc(mpn_nic_rx_pool(nic));
	struct rte_mbuf *last = rte_pktmbuf_lastseg(m);
	uint16_t n = (uint16_t)(last->data_len - first);
	char *to;

	if (rest == NULL)
		return false;
	to = rte_pktmbuf_append(rest, n);
	assert_non_null(to);
	memcpy(to, rte_pktmbuf_mtod_offset(last, char *, first), n);
	assert_int_equal(rte_pktmbuf_trim(m, n), 0);
	return rte_pktmbuf_chain(m, rest) == 0;
}

bool
probe_send_segments(struct probe *probe, const uint8_t *dst, uint32_t number, uint32_t len)
{
	struct mpn_nic *nic = mpn_personality_nic(probe->p);
	struct rte_mbuf *m = probe_frame(nic, dst, PROBE_TYPE, number, len);

	if (m == NULL)
		return false;
	if (split(nic, m, RTE_ETHER_HDR_LEN) && split(nic, m, (uint16_t)(len / 3)) &&
		mpn_flow_tx(probe->p, &m, 1) == 1)
		return true;
	rte_pktmbuf_free(m);
	return false;
}

bool
probe_poll_until(struct mpn_nic **nics, unsigned n, bool (*cond)(void *arg), void *arg, unsigned ms)
{
	uint64_t deadline = mpn_now_ns() + ms * 1000000ull;

	while (!cond(arg)) {
		unsigned work = 0;

		if (mpn_now_ns() > deadline)
			return false;
		for (unsigned i = 0; i < n; i++)
			work += mpn_nic_poll(nics[i]);
		if (work == 0)
			(void)sched_yield();
	}
	return true;
}

void
probe_poll(struct mpn_nic **nics, unsigned n, unsigned rounds)
{
	while (rounds-- > 0) {
		for (unsigned i = 0; i < n; i++)
			(void)mpn_nic_poll(nics[i]);
	}
}

/* ---- Log ---- */

static char last_line[512];
static unsigned nb_lines;

static void
catch_line(enum mpn_log_level level, const char *topic, const char *line)
{
	if (strcmp(topic, "dpdk") == 0)
		return;
	nb_lines++;
	(void)snprintf(last_line, sizeof(last_line), "%s", line);
}

void
probe_catch_log(void)
{
	nb_lines = 0;
	last_line[0] = '\0';
	mpn_log_set_sink(catch_line);
}

const char *
probe_release_log(void)
{
	mpn_log_set_sink(NULL);
	return last_line;
}

unsigned
probe_log_lines(void)
{
	return nb_lines;
}
