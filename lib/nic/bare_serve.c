/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The answerer of the ceiling, as a personality. While a requester has it, the receive stage of the
 * NIC is the loop below; everything else of the poll has a turn every few dozen rounds.
 */

#include "bare_port.h"
#include "mpn_log.h"

#define KIND_NAME "bare"
#define JOBS 2048 /* commands whose answer waits for the port, a power of two */
#define ROUNDS 256 /* before the rest of the poll has its turn */

struct job {
	uint64_t addr;
	uint32_t tag;
	uint32_t len;
	uint32_t off; /* answered so far */
	uint8_t kind;
};

struct server {
	struct nic_bypass bypass;
	struct bare_serve_conf conf;
	struct bare_port port;
	bool has_port;
	uint32_t unit;
	uint64_t end_ns; /* when the requester is given up */
	uint8_t peer[6];
	struct bare_memory memory;
	unsigned head, tail; /* of jobs */
	struct job jobs[JOBS];
	uint64_t starts, commands, frames, bad, expired;
};

/* ---- Beginning and end ---- */

static void
end_run(struct server *s)
{
	if (!s->has_port)
		return;
	bare_port_give(&s->port, &s->bypass);
	bare_port_fini(&s->port);
	s->has_port = false;
	s->head = s->tail = 0;
}

static bool
is_taken(const struct server *s, const struct bare_frame *f)
{
	return s->has_port && memcmp(s->peer, f->src, sizeof(s->peer)) != 0;
}

/* The port as the unit wants it; what the same requester had before will do. */
static int
get_port(struct server *s, struct mpn_nic *nic, uint32_t unit)
{
	int rc;

	if (s->has_port && s->unit == unit)
		return 0;
	end_run(s);
	rc = bare_port_init(&s->port, nic, unit);
	if (rc < 0)
		return rc;
	s->has_port = true;
	s->unit = unit;
	return bare_port_take(&s->port, &s->bypass);
}

/* A START: 0, or why not. */
static int
begin_run(struct server *s, struct mpn_nic *nic, const struct rte_mbuf *m, uint64_t now_ns)
{
	const struct bare_frame *f = bare_header(m);
	char volume[BARE_NAME_LEN], buf[BARE_NAME_LEN];
	const char *at;
	int rc;

	/* The frame may have come in segments. */
	at = rte_pktmbuf_read(m, BARE_HDR_LEN, BARE_NAME_LEN, buf);
	if (at == NULL || f->ms == 0 || f->ms > BARE_RUN_MAX_MS)
		return -EINVAL;
	memcpy(volume, at, sizeof(volume));
	volume[sizeof(volume) - 1] = '\0';
	rc = s->conf.map(s->conf.user, volume, &s->memory);
	if (rc == 0)
		rc = get_port(s, nic, f->unit);
	if (rc < 0) {
		end_run(s);
		return rc;
	}
	s->head = s->tail = 0;
	memcpy(s->peer, f->src, sizeof(s->peer));
	memcpy(s->port.hello.dst, f->src, sizeof(s->port.hello.dst));
	s->end_ns = now_ns + f->ms * 1000000ull;
	s->starts++;
	return 0;
}

static void
answer_control(struct server *s, struct mpn_nic *nic, const struct bare_frame *f,
	enum bare_kind kind, int status)
{
	struct bare_frame a = {.kind = kind, .tag = f->tag, .status = status};

	if (kind == BARE_STARTED && status == 0)
		a.bytes = s->memory.bytes;
	bare_send_control(nic, f->src, &a, NULL);
}

static void
handle_control(struct server *s, struct mpn_nic *nic, const struct rte_mbuf *m, uint64_t now_ns)
{
	const struct bare_frame *f = bare_header(m);
	int rc;

	if (f->kind == BARE_START) {
		rc = is_taken(s, f) ? -EBUSY : begin_run(s, nic, m, now_ns);
		/* Somebody else may have the volume. */
		if (rc != -ENOENT)
			answer_control(s, nic, f, BARE_STARTED, rc);
	} else if (f->kind == BARE_STOP && !is_taken(s, f)) {
		end_run(s);
		answer_control(s, nic, f, BARE_STOPPED, 0);
	} else {
		s->bad++;
	}
}

/* ---- The loop ---- */

static inline unsigned
nb_jobs(const struct server *s)
{
	return s->tail - s->head;
}

/* Where it would be put by the protocol: a write is not over before its data is in the memory. */
static void
put_payload(struct server *s, const struct rte_mbuf *m, const struct bare_frame *f)
{
	uint8_t *to = s->memory.base + f->addr + f->off;
	uint32_t skip = BARE_HDR_LEN;

	if (s->memory.read_only || f->off > f->len || m->pkt_len - BARE_HDR_LEN > f->len - f->off)
		return;
	for (; m != NULL; m = m->next, skip = 0) {
		memcpy(to, rte_pktmbuf_mtod_offset(m, const uint8_t *, skip), m->data_len - skip);
		to += m->data_len - skip;
	}
}

/* A command with its answer still to be made. @return false: it is none, or makes no sense */
static inline bool
take_command(struct server *s, const struct rte_mbuf *m)
{
	const struct bare_frame *f = bare_header(m);

	if (mpn_unlikely(f->len == 0 || f->len > bare_command_max(s->unit) ||
			 f->addr > s->memory.bytes || f->len > s->memory.bytes - f->addr))
		return false;
	switch (f->kind) {
	case BARE_DATA:
		put_payload(s, m, f);
		if (!f->last)
			return true;
		break;
	case BARE_WRITE:
		put_payload(s, m, f);
		break;
	case BARE_READ:
	case BARE_WRITE_CMD:
		break;
	default:
		return false;
	}
	s->jobs[s->tail++ % JOBS] = (struct job){f->addr, f->tag, f->len, 0, f->kind};
	s->commands += f->kind != BARE_DATA;
	return true;
}

/* @return false: a control frame has ended the run */
static bool
take_burst(struct server *s, struct rte_mbuf **mbufs, unsigned n, uint64_t now_ns)
{
	struct mpn_nic *nic = s->port.nic;
	unsigned i;

	for (i = 0; i < n && s->has_port; i++) {
		const struct bare_frame *f = bare_header(mbufs[i]);

		if (mpn_unlikely(f->kind == BARE_START || f->kind == BARE_STOP))
			handle_control(s, nic, mbufs[i], now_ns);
		else if (mpn_unlikely(!take_command(s, mbufs[i])))
			s->bad++;
	}
	rte_pktmbuf_free_bulk(mbufs, n);
	return s->has_port;
}

/* The next frame of an answer. @return false: out of frames */
static inline bool
answer_one(struct server *s, struct job *j)
{
	uint32_t step = s->unit;
	struct bare_frame *f;

	if (j->kind == BARE_READ) {
		f = bare_make_data(&s->port, BARE_DATA, &s->memory, j->addr + j->off,
			MPN_MIN(step, j->len - j->off));
	} else {
		f = bare_make(&s->port, j->kind == BARE_WRITE_CMD ? BARE_GRANT : BARE_DONE);
		step = j->kind == BARE_WRITE_CMD ? BARE_GRANT_FRAMES * s->unit : j->len;
	}
	if (mpn_unlikely(f == NULL))
		return false;
	f->tag = j->tag;
	f->addr = j->addr;
	f->len = j->len;
	f->off = j->off;
	j->off += step;
	if (j->off >= j->len)
		s->head++;
	s->frames++;
	return true;
}

static unsigned
run(struct nic_bypass *bypass, uint64_t now_ns)
{
	struct server *s = mpn_container_of(bypass, struct server, bypass);
	struct rte_mbuf *mbufs[MPN_BURST];
	unsigned empty = 0, all = 0, round, n;

	if (mpn_unlikely(now_ns >= s->end_ns)) {
		s->expired++;
		end_run(s);
		return 1;
	}
	s->port.strangers = false;
	for (round = 0; round < ROUNDS && empty < s->port.patience; round++) {
		n = 0;
		if (nb_jobs(s) + BARE_RX_BURST <= JOBS) {
			n = bare_receive(&s->port, mbufs);
			if (n > 0 && !take_burst(s, mbufs, n, now_ns))
				return all + n;
		}
		while (nb_jobs(s) > 0 && bare_has_room(&s->port)) {
			if (!answer_one(s, &s->jobs[s->head % JOBS]))
				break;
		}
		n += bare_send(&s->port);
		empty = n > 0 ? 0 : empty + 1;
		all += n;
		if (mpn_unlikely(s->port.strangers))
			break;
	}
	return all;
}

/* ---- The personality ---- */

static int
load(struct mpn_personality *p, const void *args)
{
	struct server *s = mpn_personality_priv(p);

	if (args == NULL)
		return mpn_log_err(EINVAL, "nic",
			"personality '%s': expected to be loaded by a server that has memory to "
			"answer from",
			KIND_NAME);
	s->conf = *(const struct bare_serve_conf *)args;
	s->bypass.run = run;
	return 0;
}

static void
unload(struct mpn_personality *p)
{
	end_run(mpn_personality_priv(p));
}

static int
start(struct mpn_personality *p)
{
	return 0;
}

static void
stop(struct mpn_personality *p)
{
	end_run(mpn_personality_priv(p));
}

/* Frames that come through the pipeline: nobody has the port. */
static void
rx_burst(struct mpn_personality *p, struct rte_mbuf **mbufs, unsigned n, uint64_t now_ns)
{
	struct server *s = mpn_personality_priv(p);
	unsigned i;

	for (i = 0; i < n; i++) {
		if (mbufs[i]->data_len >= BARE_HDR_LEN)
			handle_control(s, mpn_personality_nic(p), mbufs[i], now_ns);
	}
	rte_pktmbuf_free_bulk(mbufs, n);
}

static unsigned
poll(MPN_UNUSED struct mpn_personality *p, MPN_UNUSED uint64_t now_ns)
{
	return 0;
}

static void
event(struct mpn_personality *p, enum mpn_nic_event ev)
{
	if (ev == MPN_NIC_LINK_DOWN || ev == MPN_NIC_REMOVED)
		end_run(mpn_personality_priv(p));
}

static void
print(struct mpn_personality *p, struct mpn_out *o)
{
	const struct server *s = mpn_personality_priv(p);

	mpn_out_bool(o, "active", s->has_port);
	mpn_out_u64(o, "starts", s->starts);
	mpn_out_u64(o, "commands", s->commands);
	mpn_out_u64(o, "answers", s->frames);
	mpn_out_u64(o, "bad", s->bad);
	mpn_out_u64(o, "expired", s->expired);
}

static const uint16_t ethertypes[] = {BARE_ETHERTYPE};

static const struct mpn_personality_ops bare_ops = {
	.abi = MPN_ABI_VERSION,
	.name = KIND_NAME,
	.kind = MPN_PERS_SOLICITED,
	.ethertypes = ethertypes,
	.nb_ethertypes = MPN_ARRAY_SIZE(ethertypes),
	.priv_size = sizeof(struct server),
	.load = load,
	.unload = unload,
	.start = start,
	.stop = stop,
	.rx_burst = rx_burst,
	.poll = poll,
	.event = event,
	.print = print,
};

MPN_PERSONALITY_REGISTER(bare_ops)
