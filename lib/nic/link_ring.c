/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * ring:NAME. The two NICs of a process that give the same NAME are the ends of a cable made of two
 * rings. A cable exists as long as one end is plugged in.
 */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "link.h"
#include "mpn_list.h"
#include "mpn_log.h"

struct cable {
	struct mpn_list node;
	char name[LINK_ARG_LEN];
	unsigned id;
	struct rte_ring *to[2]; /* frames towards that end */
	struct link *end[2];
	atomic_bool both; /* both ends are plugged in */
};

/* NICs of different threads may be opened at the same time. */
static pthread_mutex_t cables_lock = PTHREAD_MUTEX_INITIALIZER;
static struct mpn_list cables = {&cables, &cables};

static struct cable *
find_cable(const char *name)
{
	struct mpn_list *pos;

	mpn_list_for_each(pos, &cables) {
		struct cable *c = mpn_list_entry(pos, struct cable, node);

		if (strcmp(c->name, name) == 0)
			return c;
	}
	return NULL;
}

static void
drain_ring(struct rte_ring *r)
{
	void *m;

	while (rte_ring_dequeue(r, &m) == 0)
		rte_pktmbuf_free(m);
}

static void
free_cable(struct cable *c)
{
	for (unsigned i = 0; i < 2; i++) {
		if (c->to[i] == NULL)
			continue;
		drain_ring(c->to[i]);
		rte_ring_free(c->to[i]);
	}
	mpn_list_del(&c->node);
	free(c);
}

static struct cable *
make_cable(const char *name, unsigned len)
{
	static unsigned next_id;
	struct cable *c = calloc(1, sizeof(*c));
	char ring_name[RTE_RING_NAMESIZE];

	if (c == NULL)
		return NULL;
	mpn_list_init(&c->node);
	memcpy(c->name, name, strlen(name) + 1);
	c->id = next_id++;
	for (unsigned i = 0; i < 2; i++) {
		(void)snprintf(ring_name, sizeof(ring_name), "mpn_cable%u_%u", c->id, i);
		c->to[i] = rte_ring_create(ring_name, len, SOCKET_ID_ANY,
			RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
		if (c->to[i] == NULL) {
			free_cable(c);
			return NULL;
		}
	}
	mpn_list_add_tail(&cables, &c->node);
	return c;
}

static int
plug_end(struct link *l, struct cable *c, unsigned end)
{
	char name[RTE_RING_NAMESIZE];
	int port;

	/* What was sent to a NIC that has gone is not for the one that comes. */
	drain_ring(c->to[end]);
	(void)snprintf(name, sizeof(name), "mpn%u_%u", c->id, end);
	(void)snprintf(l->dev_name, sizeof(l->dev_name), "net_ring_%s", name);
	port = rte_eth_from_rings(name, &c->to[end], 1, &c->to[!end], 1, 0);
	if (port < 0)
		return mpn_log_err(ENOMEM, "nic", "link '%s': cannot make the port: %s",
			l->spec.text, rte_strerror(rte_errno));
	l->port_id = (uint16_t)port;
	l->plugged = true;
	l->priv = c;
	c->end[end] = l;
	return 0;
}

/* Both ends learn at once that the cable is whole, or no longer. */
static void
tell_ends(struct cable *c)
{
	atomic_store_explicit(
		&c->both, c->end[0] != NULL && c->end[1] != NULL, memory_order_release);
	for (unsigned i = 0; i < 2; i++) {
		if (c->end[i] != NULL)
			atomic_store_explicit(c->end[i]->dirty, true, memory_order_release);
	}
}

int
ring_open(struct link *l)
{
	struct cable *c;
	int rc;

	pthread_mutex_lock(&cables_lock);
	c = find_cable(l->spec.arg);
	if (c == NULL)
		c = make_cable(l->spec.arg, l->want.nb_txd);
	if (c == NULL)
		rc = mpn_log_err(ENOMEM, "nic", "link '%s': no memory for rings", l->spec.text);
	else if (c->end[0] != NULL && c->end[1] != NULL)
		rc = mpn_log_err(
			EBUSY, "nic", "link '%s': both ends of the ring are in use", l->spec.text);
	else {
		rc = plug_end(l, c, c->end[0] != NULL);
		if (rc == 0)
			tell_ends(c);
		else if (c->end[0] == NULL && c->end[1] == NULL)
			free_cable(c);
	}
	pthread_mutex_unlock(&cables_lock);
	return rc;
}

void
ring_close(struct link *l)
{
	struct cable *c = l->priv;

	pthread_mutex_lock(&cables_lock);
	c->end[c->end[1] == l] = NULL;
	tell_ends(c);
	if (c->end[0] == NULL && c->end[1] == NULL)
		free_cable(c);
	pthread_mutex_unlock(&cables_lock);
}

bool
ring_is_up(struct link *l)
{
	struct cable *c = l->priv;

	return atomic_load_explicit(&c->both, memory_order_acquire);
}

unsigned
ring_unsent(struct link *l, uint64_t now_ns)
{
	const struct cable *c = l->priv;

	return rte_ring_count(c->to[c->end[0] == l]);
}
