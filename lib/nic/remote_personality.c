/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The kind "remote": to the NIC a personality like any other, which moves frames between its flow and the
 * memory it shares with a process. What the process sends is copied before it is looked at.
 */

#include <string.h>

#include <rte_errno.h>
#include <rte_mbuf.h>

#include "mpn_log.h"
#include "mpn_parse.h"
#include "nic_internal.h"
#include "remote.h"

#define KIND_NAME "remote"
#define POOL_CACHE 64
#define MIN_HANG_NS 10000000ull
#define MAX_HANG_NS 3600000000000ull
/* Rounds of the process in which it has had everything before it counts as quiet. */
#define QUIET_BEATS 3
#define EXPECTED \
	"socket=PATH and type=0xNNNN (up to four, or none: all that is left), ring=FRAMES, " \
	"hang=TIME|never"

/* ---- Life cycle ---- */

static int
make_pool(struct remote *r)
{
	static atomic_uint next;
	char name[RTE_MEMPOOL_NAMESIZE];
	uint32_t room = RTE_PKTMBUF_HEADROOM +
			RTE_ALIGN_CEIL(r->nic.max_frame + REMOTE_TAGS, RTE_CACHE_LINE_SIZE);

	(void)snprintf(name, sizeof(name), "mpn_remote%u", atomic_fetch_add(&next, 1));
	/* In descriptors, which some drivers keep until they need them, and on their way there. */
	r->pool = rte_pktmbuf_pool_create(name,
		r->nic.nb_txd + r->conf.ring_len + 2 * POOL_CACHE + nic_pool_spare(2), POOL_CACHE,
		0, (uint16_t)room, r->nic.socket_id);
	return r->pool != NULL ? 0
			       : mpn_log_err(ENOMEM, "nic", "'%s': no memory for its frames: %s",
					 r->socket, rte_strerror(rte_errno));
}

static int
check_conf(struct mpn_remote_conf *conf)
{
	if (conf->ring_len == 0)
		conf->ring_len = MPN_REMOTE_RING;
	if (conf->hang_ns == 0)
		conf->hang_ns = MPN_REMOTE_HANG_NS;
	if (conf->socket == NULL || conf->socket[0] == '\0')
		return mpn_log_err(EINVAL, "nic", "socket: missing: expected " EXPECTED);
	if (strlen(conf->socket) >= sizeof(((struct remote *)0)->socket))
		return mpn_log_err(ENAMETOOLONG, "nic",
			"socket '%s': expected a path of at most %zu characters", conf->socket,
			sizeof(((struct remote *)0)->socket) - 1);
	if (!rte_is_power_of_2(conf->ring_len) || conf->ring_len < REMOTE_MIN_CELLS ||
		conf->ring_len > REMOTE_MAX_CELLS)
		return mpn_log_err(EINVAL, "nic", "ring=%u: expected a power of two from %d to %d",
			conf->ring_len, REMOTE_MIN_CELLS, REMOTE_MAX_CELLS);
	return 0;
}

static int
load_conf(struct mpn_personality *p, const struct mpn_remote_conf *given)
{
	struct remote *r = mpn_personality_priv(p);
	int rc;

	r->p = p;
	r->conf = *given;
	rc = check_conf(&r->conf);
	if (rc < 0)
		return rc;
	(void)snprintf(r->socket, sizeof(r->socket), "%s", r->conf.socket);
	r->conf.socket = r->socket;
	mpn_nic_get_info(mpn_personality_nic(p), &r->nic);
	rc = given->nb_types == 0
		     ? mpn_personality_take_rest(p)
		     : mpn_personality_set_ethertypes(p, given->types, given->nb_types);
	if (rc == 0)
		rc = make_pool(r);
	if (rc < 0)
		return rc;
	rc = remote_open(r);
	if (rc < 0)
		mpn_nic_pool_retire(r->pool);
	return rc;
}

static int
load(struct mpn_personality *p, const void *args)
{
	static const struct mpn_remote_conf none;

	return load_conf(p, args != NULL ? args : &none);
}

static int
read_type(struct mpn_remote_conf *conf, const char *value)
{
	uint64_t n;

	if (conf->nb_types == MPN_ARRAY_SIZE(conf->types) ||
		mpn_parse_u64(value, NIC_ETHERTYPE_MIN, UINT16_MAX, &n) < 0)
		return -EINVAL;
	conf->types[conf->nb_types++] = (uint16_t)n;
	return 0;
}

static int
read_option(
	struct mpn_remote_conf *conf, const char *key, const char *value, char *path, size_t size)
{
	uint64_t n;

	if (strcmp(key, "socket") == 0) {
		conf->socket = path;
		return mpn_copy_str(path, size, value);
	}
	if (strcmp(key, "type") == 0)
		return read_type(conf, value);
	if (strcmp(key, "ring") == 0 &&
		mpn_parse_u64(value, REMOTE_MIN_CELLS, REMOTE_MAX_CELLS, &n) == 0) {
		conf->ring_len = (uint32_t)n;
		return 0;
	}
	if (strcmp(key, "hang") == 0 && strcmp(value, "never") == 0) {
		conf->hang_ns = UINT64_MAX;
		return 0;
	}
	if (strcmp(key, "hang") == 0)
		return mpn_parse_time_ns(value, MIN_HANG_NS, MAX_HANG_NS, &conf->hang_ns);
	return -EINVAL;
}

static int
load_text(struct mpn_personality *p, const char *text)
{
	struct mpn_remote_conf conf = {0};
	char key[8], value[108], path[108];
	int rc;

	while ((rc = mpn_parse_kv(&text, key, sizeof(key), value, sizeof(value))) > 0) {
		if (read_option(&conf, key, value, path, sizeof(path)) < 0)
			return mpn_log_err(
				EINVAL, "nic", "'%s=%s': expected " EXPECTED, key, value);
	}
	if (rc < 0)
		return mpn_log_err(EINVAL, "nic", "'%s': expected " EXPECTED, text);
	return load_conf(p, &conf);
}

static void
unload(struct mpn_personality *p)
{
	struct remote *r = mpn_personality_priv(p);

	remote_close(r);
	mpn_nic_pool_retire(r->pool);
}

static int
start(struct mpn_personality *p)
{
	struct remote *r = mpn_personality_priv(p);

	mpn_nic_get_info(mpn_personality_nic(p), &r->nic);
	r->still_ns = 0;
	r->next_look_ns = 0;
	r->started = true;
	/* What it has sent to the one that was stopped is no more than what waits in a flow then. */
	if (remote_is_attached(r))
		remote_ring_skip(&r->map.in);
	remote_set_link(r, r->nic.link_up);
	return 0;
}

/* The process goes on until what it has been handed is done, then its link goes down. */
static void
stop(struct mpn_personality *p)
{
	struct remote *r = mpn_personality_priv(p);

	r->started = false;
	if (remote_is_attached(r))
		r->stop_beats = atomic_load_explicit(&r->map.theirs->beats, memory_order_relaxed);
}

/* It has taken all frames, and had its rounds to answer them. One that has never polled has begun nothing. */
static bool
has_done_its_part(struct remote *r)
{
	uint32_t beats = atomic_load_explicit(&r->map.theirs->beats, memory_order_relaxed);

	return beats == 0 || (remote_ring_room(&r->map.out) == (int)r->map.out.nb_cells &&
				     beats - r->stop_beats >= QUIET_BEATS);
}

static bool
quiet(struct mpn_personality *p)
{
	struct remote *r = mpn_personality_priv(p);

	if (!remote_is_attached(r))
		return true;
	if (!has_done_its_part(r))
		return false;
	/* Without a link it sends nothing more: a flood ends, too. */
	remote_set_link(r, false);
	return remote_ring_waiting(&r->map.in) <= 0;
}

static void
hear_event(struct mpn_personality *p, enum mpn_nic_event ev)
{
	struct remote *r = mpn_personality_priv(p);

	if (ev == MPN_NIC_LINK_UP || ev == MPN_NIC_LINK_DOWN)
		r->nic.link_up = ev == MPN_NIC_LINK_UP;
	if (r->started)
		remote_set_link(r, r->nic.link_up);
}

/* A process that does not get quiet is given up: frames of the past must not come out at the next start. */
static void
hear_error(struct mpn_personality *p, int err, const char *cause)
{
	struct remote *r = mpn_personality_priv(p);

	if (err == -ETIMEDOUT && !r->started)
		remote_lose(r, err);
}

/* ---- Frames ---- */

/* To the process. */
static void
rx_burst(struct mpn_personality *p, struct rte_mbuf **mbufs, unsigned n, uint64_t now_ns)
{
	struct remote *r = mpn_personality_priv(p);
	int room = remote_is_attached(r) ? remote_ring_room(&r->map.out) : 0;
	unsigned i, taken;

	if (mpn_unlikely(room < 0)) {
		remote_lose(r, room);
		room = 0;
	}
	taken = MPN_MIN(n, (unsigned)room);
	for (i = 0; i < taken; i++) {
		remote_ring_put(&r->map.out, mbufs[i]);
		r->stats.to_bytes += mbufs[i]->pkt_len;
	}
	if (taken > 0)
		remote_ring_publish(&r->map.out);
	r->stats.to_frames += taken;
	*(remote_is_attached(r) ? &r->stats.to_full : &r->stats.no_process) += n - taken;
	rte_pktmbuf_free_bulk(mbufs, n);
}

/* Frames that are its to send stay. @return how many, the first ones */
static unsigned
check_frames(struct remote *r, struct rte_mbuf **mbufs, unsigned n)
{
	unsigned good = 0;

	for (unsigned i = 0; i < n; i++) {
		if (mpn_likely(mpn_personality_has_frame(r->p, mbufs[i]))) {
			r->stats.from_bytes += mbufs[i]->pkt_len;
			mbufs[good++] = mbufs[i];
			continue;
		}
		rte_pktmbuf_free(mbufs[i]);
		r->stats.refused++;
	}
	return good;
}

/* Take n frames out of the ring; without memory they stay where they are. -EPROTO */
static int
take_frames(struct remote *r, struct rte_mbuf **mbufs, unsigned n)
{
	int rc = 0;

	if (n > 0 && rte_pktmbuf_alloc_bulk(r->pool, mbufs, n) < 0) {
		r->stats.no_frames++;
		return 0;
	}
	for (unsigned i = 0; i < n && rc == 0; i++)
		rc = remote_ring_get(&r->map.in, mbufs[i]);
	if (rc < 0)
		rte_pktmbuf_free_bulk(mbufs, n);
	else if (n > 0)
		remote_ring_publish(&r->map.in);
	return rc < 0 ? rc : (int)n;
}

/* From the process. */
static unsigned
collect(struct remote *r)
{
	struct rte_mbuf *mbufs[MPN_BURST];
	unsigned room = MPN_MIN(mpn_flow_tx_room(r->p), MPN_BURST), good, sent;
	int n = remote_ring_waiting(&r->map.in);

	if (n > 0)
		n = take_frames(r, mbufs, MPN_MIN((unsigned)n, room));
	if (mpn_unlikely(n < 0)) {
		remote_lose(r, n);
		return 1;
	}
	if (n == 0)
		return 0;
	good = check_frames(r, mbufs, (unsigned)n);
	sent = mpn_flow_tx(r->p, mbufs, good);
	/* There was room. */
	if (mpn_unlikely(sent < good))
		rte_pktmbuf_free_bulk(&mbufs[sent], good - sent);
	r->stats.from_frames += good;
	return (unsigned)n;
}

static unsigned
poll(struct mpn_personality *p, uint64_t now_ns)
{
	struct remote *r = mpn_personality_priv(p);
	unsigned work = 0;

	if (now_ns >= r->next_look_ns) {
		r->next_look_ns = now_ns + REMOTE_LOOK_NS;
		work = remote_check(r, now_ns);
	}
	return remote_is_attached(r) ? work + collect(r) : work;
}

/* ---- Looking ---- */

int
mpn_remote_get_info(struct mpn_personality *p, struct mpn_remote_info *info)
{
	const struct remote *r = mpn_personality_priv(p);

	if (strcmp(p->ops->name, KIND_NAME) != 0 || r == NULL)
		return mpn_err(ENODEV);
	*info = (struct mpn_remote_info){
		.state = r->state,
		.pid = r->pid,
		.ring_len = r->conf.ring_len,
		.hang_ns = r->conf.hang_ns,
		.error = r->error,
		.stats = r->stats,
	};
	memcpy(info->program, r->program, sizeof(info->program));
	memcpy(info->socket, r->socket, sizeof(info->socket));
	return 0;
}

static void
print(struct mpn_personality *p, struct mpn_out *o)
{
	const struct remote *r = mpn_personality_priv(p);

	mpn_out_str(o, "process", mpn_remote_state_name(r->state));
	mpn_out_i64(o, "pid", r->pid);
	mpn_out_str(o, "program", r->program);
	mpn_out_str(o, "socket", r->socket);
#define X(name, text) mpn_out_u64(o, #name, r->stats.name);
	MPN_REMOTE_COUNTER_LIST(X)
#undef X
}

static const struct mpn_personality_ops remote_ops = {
	.abi = MPN_ABI_VERSION,
	.name = KIND_NAME,
	.kind = MPN_PERS_UNSOLICITED,
	.priv_size = sizeof(struct remote),
	.load = load,
	.load_text = load_text,
	.unload = unload,
	.start = start,
	.stop = stop,
	.quiet = quiet,
	.rx_burst = rx_burst,
	.poll = poll,
	.event = hear_event,
	.error = hear_error,
	.print = print,
};

MPN_PERSONALITY_REGISTER(remote_ops)
