/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * remote:PATH. A port that is the place of a process at a personality of the kind "remote" in the process that
 * has the true NIC: two rings of mbufs, as of a cable, and a pump that copies between them and the memory
 * shared with the other process. When that one goes the link is down, until it is back.
 */

#include <string.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "link.h"
#include "mpn_log.h"
#include "mpn_parse.h"
#include "remote_ring.h"
#include "remote_sock.h"
#include "sock.h"

#define WAIT_STEP_NS 1000000
#define MAX_WAIT_MS 3600000ull

struct remote_port {
	struct remote_map map; /* no base: we are not there */
	int fd; /* -1: not connected */
	bool broken; /* what is written there makes no sense */
	bool said_stale;
	unsigned up; /* as the NIC's end said at the last look */
	struct rte_ring *in; /* towards our personalities */
	struct rte_ring *out;
	struct remote_welcome welcome; /* the first one */
};

/* ---- Joining ---- */

static void
hang_up(struct remote_port *rp)
{
	if (rp->fd >= 0)
		(void)close(rp->fd);
	rp->fd = -1;
	remote_map_drop(&rp->map);
	rp->broken = false;
	rp->up = 0;
}

static int
call(struct remote_port *rp, const char *path)
{
	int rc;

	rp->fd = sock_connect_path(path, SOCK_SEQPACKET);
	if (rp->fd < 0) {
		rc = rp->fd;
		rp->fd = -1;
		return rc;
	}
	rc = remote_say_hello(rp->fd);
	if (rc < 0)
		hang_up(rp);
	return rc;
}

/* One attempt to get further. 0: we are there; -EAGAIN and others: not yet, or never */
static int
join(struct remote_port *rp, const char *path, struct remote_welcome *w)
{
	int mem_fd, rc = rp->fd < 0 ? call(rp, path) : 0;

	if (rc < 0)
		return rc;
	rc = remote_read_welcome(rp->fd, w, &mem_fd);
	if (rc == 0)
		rc = w->status < 0 ? w->status
				   : remote_map_take(&rp->map, mem_fd, w->nb_cells, w->room);
	if (rc < 0 && rc != -EAGAIN)
		hang_up(rp);
	return rc;
}

/* Whether it may still come: those who are not there yet, or just about to go. */
static bool
may_come(int rc)
{
	return rc == -EAGAIN || rc == -ENOENT || rc == -ECONNREFUSED || rc == -EPIPE;
}

static int
wait_and_join(struct link *l, uint64_t wait_ms)
{
	struct remote_port *rp = l->priv;
	uint64_t until_ns = mpn_now_ns() + wait_ms * 1000000;
	static const struct timespec step = {.tv_nsec = WAIT_STEP_NS};
	int rc;

	for (;;) {
		rc = join(rp, l->spec.arg, &rp->welcome);
		if (rc == 0 || !may_come(rc))
			return rc;
		if (l->want.background != NULL && l->want.background(l->want.background_arg) < 0)
			return -EINTR;
		if (mpn_now_ns() >= until_ns)
			return rc == -EAGAIN ? -ETIMEDOUT : rc;
		(void)nanosleep(&step, NULL);
	}
}

static int
say_why(const struct link *l, int rc)
{
	const struct remote_port *rp = l->priv;
	const char *link = l->spec.text;

	switch (rc) {
	case -EINTR:
		return mpn_err(EINTR);
	case -EBUSY:
		return mpn_log_err(EBUSY, "nic", "link '%s': process %d is there already", link,
			rp->welcome.pid);
	case -EPROTONOSUPPORT:
		return mpn_log_err(EPROTONOSUPPORT, "nic",
			"link '%s': it has another ABI, expected %d: both must be of the same "
			"version",
			link, REMOTE_ABI);
	case -EPROTO:
		return mpn_log_err(EPROTO, "nic",
			"link '%s': who listens there is no personality of the kind remote", link);
	case -ETIMEDOUT:
		return mpn_log_err(ETIMEDOUT, "nic",
			"link '%s': its personality does not answer: is it started?", link);
	case -ENOENT:
	case -ECONNREFUSED:
		return mpn_log_err(-rc, "nic",
			"link '%s': no personality of the kind remote is loaded there: %s", link,
			strerror(-rc));
	default:
		return mpn_log_err(-rc, "nic", "link '%s': %s", link, strerror(-rc));
	}
}

/* ---- The port ---- */

static struct rte_ring *
make_ring(const char *name, const char *dir, unsigned len)
{
	char ring_name[RTE_RING_NAMESIZE];

	(void)snprintf(ring_name, sizeof(ring_name), "%s_%s", name, dir);
	return rte_ring_create(
		ring_name, len, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
}

static int
make_port(struct link *l)
{
	static atomic_uint next;
	struct remote_port *rp = l->priv;
	char name[RTE_RING_NAMESIZE / 2];
	int port;

	(void)snprintf(name, sizeof(name), "mpn_r%u", atomic_fetch_add(&next, 1));
	rp->in = make_ring(name, "in", rp->welcome.nb_cells);
	rp->out = make_ring(name, "out", l->want.nb_txd);
	if (rp->in == NULL || rp->out == NULL)
		return mpn_log_err(ENOMEM, "nic", "link '%s': no memory for rings", l->spec.text);
	(void)snprintf(l->dev_name, sizeof(l->dev_name), "net_ring_%s", name);
	port = rte_eth_from_rings(name, &rp->in, 1, &rp->out, 1, 0);
	if (port < 0)
		return mpn_log_err(ENOMEM, "nic", "link '%s': cannot make the port: %s",
			l->spec.text, rte_strerror(rte_errno));
	l->port_id = (uint16_t)port;
	l->plugged = true;
	l->mtu = rp->welcome.mtu;
	l->max_mtu = rp->welcome.mtu;
	memcpy(l->mac, rp->welcome.mac, sizeof(l->mac));
	return 0;
}

static void
drain_ring(struct rte_ring *r)
{
	void *m;

	while (r != NULL && rte_ring_dequeue(r, &m) == 0)
		rte_pktmbuf_free(m);
}

void
remote_link_close(struct link *l)
{
	struct remote_port *rp = l->priv;

	if (rp->map.base != NULL)
		remote_say_bye(rp->fd);
	hang_up(rp);
	drain_ring(rp->in);
	drain_ring(rp->out);
	rte_ring_free(rp->in);
	rte_ring_free(rp->out);
	free(rp);
	l->priv = NULL;
}

int
remote_link_open(struct link *l)
{
	const char *wait = link_opt(&l->spec, "wait", NULL);
	uint64_t wait_ns = l->want.wait_ms * 1000000;
	struct remote_port *rp;
	int rc;

	if (wait != NULL && mpn_parse_time_ns(wait, 0, MAX_WAIT_MS * 1000000, &wait_ns) < 0)
		return mpn_log_err(EINVAL, "nic",
			"link '%s': wait '%s': expected a time such as 5s", l->spec.text, wait);
	rp = calloc(1, sizeof(*rp));
	if (rp == NULL)
		return mpn_err(ENOMEM);
	l->priv = rp;
	rp->fd = rp->map.fd = -1;
	rc = wait_and_join(l, wait_ns / 1000000);
	rc = rc < 0 ? say_why(l, rc) : make_port(l);
	if (rc < 0)
		remote_link_close(l);
	return rc;
}

/* ---- While it runs ---- */

/* A NIC that has been made again may have another address, and our personalities have told theirs to others. */
static int
check_same(struct link *l, const struct remote_welcome *w)
{
	struct remote_port *rp = l->priv;

	if (memcmp(w->mac, rp->welcome.mac, sizeof(w->mac)) == 0 && w->mtu == rp->welcome.mtu)
		return 0;
	remote_say_bye(rp->fd);
	hang_up(rp);
	if (!rp->said_stale)
		mpn_log(MPN_LOG_ERR, "nic",
			"link '%s': the NIC there has another address or MTU now: this one must be "
			"made again",
			l->spec.text);
	rp->said_stale = true;
	return -ESTALE;
}

/* While the NIC is held: on another lcore the scheduler looks at the memory. */
static void
leave(struct link *l, const char *why)
{
	mpn_log(MPN_LOG_WARN, "nic", "link '%s': %s", l->spec.text, why);
	hang_up(l->priv);
	atomic_store_explicit(l->dirty, true, memory_order_relaxed);
}

static void
try_again(struct link *l)
{
	struct remote_port *rp = l->priv;
	struct remote_welcome w;

	if (join(rp, l->spec.arg, &w) == 0 && check_same(l, &w) == 0)
		mpn_log(MPN_LOG_INFO, "nic", "link '%s': there again", l->spec.text);
}

bool
remote_link_is_up(struct link *l)
{
	struct remote_port *rp = l->priv;

	if (rp->broken)
		leave(l, "what is written there makes no sense");
	else if (rp->map.base != NULL && remote_look(rp->fd) != REMOTE_NOTHING)
		leave(l, "the process of the NIC has ended, or has given us up");
	else if (rp->map.base == NULL)
		try_again(l);
	return rp->map.base != NULL &&
	       atomic_load_explicit(&rp->map.theirs->up, memory_order_acquire) != 0;
}

/* In the ring, and in the shared memory. */
unsigned
remote_link_unsent(struct link *l, uint64_t now_ns)
{
	const struct remote_port *rp = l->priv;
	int room = rp->map.base != NULL ? remote_ring_room(&rp->map.out) : -1;
	unsigned shared = room >= 0 ? rp->map.out.nb_cells - (unsigned)room : 0;

	return rte_ring_count(rp->out) + shared;
}

static int
pump_out(struct remote_port *rp)
{
	struct rte_mbuf *mbufs[MPN_BURST];
	int room = remote_ring_room(&rp->map.out);
	unsigned n;

	if (room <= 0)
		return room;
	n = rte_ring_sc_dequeue_burst(
		rp->out, (void **)mbufs, MPN_MIN((unsigned)room, MPN_BURST), NULL);
	if (n == 0)
		return 0;
	for (unsigned i = 0; i < n; i++) {
		/* What it has no room for is no frame of this MTU. */
		if (mpn_likely(mbufs[i]->pkt_len <= rp->map.out.room))
			remote_ring_put(&rp->map.out, mbufs[i]);
	}
	remote_ring_publish(&rp->map.out);
	rte_pktmbuf_free_bulk(mbufs, n);
	return (int)n;
}

static int
pump_in(struct remote_port *rp, struct rte_mempool *pool)
{
	struct rte_mbuf *mbufs[MPN_BURST];
	unsigned room = rte_ring_free_count(rp->in);
	int n = remote_ring_waiting(&rp->map.in), rc = 0;

	n = MPN_MIN(n, (int)MPN_MIN(room, MPN_BURST));
	if (n <= 0)
		return n;
	if (rte_pktmbuf_alloc_bulk(pool, mbufs, (unsigned)n) < 0)
		return 0;
	for (int i = 0; i < n && rc == 0; i++)
		rc = remote_ring_get(&rp->map.in, mbufs[i]);
	if (rc < 0) {
		rte_pktmbuf_free_bulk(mbufs, (unsigned)n);
		return rc;
	}
	remote_ring_publish(&rp->map.in);
	(void)rte_ring_sp_enqueue_burst(rp->in, (void **)mbufs, (unsigned)n, NULL);
	return n;
}

unsigned
remote_link_pump(struct link *l, struct rte_mempool *pool, bool alive, MPN_UNUSED uint64_t now_ns)
{
	struct remote_port *rp = l->priv;
	unsigned up;
	int out, in;

	if (mpn_unlikely(rp->map.base == NULL || rp->broken))
		return 0;
	/* Nobody else writes it. */
	if (mpn_likely(alive))
		atomic_store_explicit(&rp->map.mine->beats,
			atomic_load_explicit(&rp->map.mine->beats, memory_order_relaxed) + 1,
			memory_order_relaxed);
	up = atomic_load_explicit(&rp->map.theirs->up, memory_order_relaxed);
	if (mpn_unlikely(up != rp->up)) {
		rp->up = up;
		atomic_store_explicit(l->dirty, true, memory_order_relaxed);
	}
	out = pump_out(rp);
	in = pump_in(rp, pool);
	if (mpn_unlikely(out < 0 || in < 0)) {
		rp->broken = true;
		atomic_store_explicit(l->dirty, true, memory_order_relaxed);
		return 0;
	}
	return (unsigned)(out + in);
}
