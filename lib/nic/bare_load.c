/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The requester of the ceiling.
 *
 *   STARTING -> RUNNING -> DRAINING -> STOPPING -> OVER
 *
 * A request is cut into commands as the protocol would cut it. What was lost is asked for again after
 * a while, under another tag; nothing else of a protocol is here.
 */

#include <stdlib.h>

#include "bare_port.h"
#include "mpn_log.h"

#define COMMANDS 256 /* in flight at most, a power of two */
#define ROUNDS 256
#define ASK_AGAIN_NS (50 * 1000000ull)
#define LOST_NS (200 * 1000000ull) /* nothing has come for so long */
#define DEAD_NS (5000 * 1000000ull)
#define STOP_NS (1000 * 1000000ull)
#define SPARE_MS 5000 /* the answerer waits so much longer than the run takes */

enum load_state { LOAD_STARTING, LOAD_RUNNING, LOAD_DRAINING, LOAD_STOPPING, LOAD_OVER };

struct request {
	uint64_t start_ns;
	uint64_t addr;
	uint32_t left; /* commands */
	bool write;
};

struct command {
	uint64_t addr;
	uint32_t tag; /* index, and above it a generation */
	uint32_t len;
	uint32_t off; /* in the request */
	uint32_t sent; /* bytes of a write that was granted */
	uint16_t frames; /* still to come */
	uint16_t request;
	bool busy;
};

/* Indices of commands, first in, first out; each is in it once at most. */
struct line {
	unsigned head, tail;
	uint8_t index[COMMANDS];
};
static_assert(COMMANDS - 1 <= UINT8_MAX, "an index fits");

struct bare_load {
	struct nic_bypass bypass;
	struct bare_load_conf conf;
	struct bare_port port;
	struct bare_load_result result;
	enum load_state state;
	int status;
	uint32_t id; /* of the run: the tag of START and STOP */
	uint8_t target[6];
	char volume[BARE_NAME_LEN];
	uint64_t rng;
	uint64_t next_block, nb_blocks;
	uint64_t begin_ns; /* of the state */
	uint64_t ask_ns; /* when START or STOP is sent again */
	uint64_t progress_ns; /* when something came that was asked for */
	int32_t room; /* frames that may be asked for */
	uint32_t command_max;
	unsigned nb_commands; /* commands[] is used up to here */
	unsigned nb_busy;
	unsigned nb_free_requests;
	uint16_t current; /* request being cut into commands */
	uint32_t current_off; /* bs: none */
	struct line free;
	struct line ask; /* whose command is to be sent */
	struct line give; /* whose data is to be sent */
	struct command commands[COMMANDS];
	struct request requests[BARE_DEPTH_MAX];
	uint16_t free_requests[BARE_DEPTH_MAX];
};

/* ---- Lines ---- */

static inline bool
line_is_empty(const struct line *l)
{
	return l->head == l->tail;
}

static inline void
line_put(struct line *l, unsigned i)
{
	l->index[l->tail++ % COMMANDS] = (uint8_t)i;
}

static inline unsigned
line_first(const struct line *l)
{
	return l->index[l->head % COMMANDS];
}

/* ---- States ---- */

static void
enter(struct bare_load *l, enum load_state state, uint64_t now_ns)
{
	if (l->state == LOAD_RUNNING)
		l->result.ns = now_ns - l->begin_ns;
	l->state = state;
	l->begin_ns = now_ns;
	l->ask_ns = 0;
	l->progress_ns = now_ns;
}

static void
give_up(struct bare_load *l, int status, uint64_t now_ns)
{
	l->status = status;
	enter(l, LOAD_OVER, now_ns);
}

static void
take_started(struct bare_load *l, const struct bare_frame *f, uint64_t now_ns)
{
	uint64_t size = l->conf.size;

	if (f->status != 0) {
		give_up(l, f->status < 0 && f->status > -4096 ? f->status : -EPROTO, now_ns);
		return;
	}
	l->result.bytes = f->bytes;
	/* What stands for a volume may be smaller. */
	if (l->conf.off > f->bytes || size > f->bytes - l->conf.off) {
		l->conf.off = 0;
		size = MPN_MIN(size, f->bytes);
	}
	if (size == 0)
		size = f->bytes - l->conf.off;
	l->nb_blocks = size / l->conf.bs;
	if (l->nb_blocks == 0) {
		give_up(l, -EINVAL, now_ns);
		return;
	}
	memcpy(l->target, f->src, sizeof(l->target));
	memcpy(l->port.hello.dst, f->src, sizeof(l->port.hello.dst));
	enter(l, LOAD_RUNNING, now_ns);
}

static void
send_start(const struct bare_load *l)
{
	struct bare_frame f = {
		.kind = BARE_START,
		.tag = l->id,
		.unit = l->conf.unit,
		.ms = (uint32_t)(l->conf.time_ns / 1000000) + SPARE_MS,
	};

	bare_send_control(l->port.nic, l->target, &f, l->volume);
}

static void
send_stop(const struct bare_load *l)
{
	struct bare_frame f = {.kind = BARE_STOP, .tag = l->id};

	bare_send_control(l->port.nic, l->target, &f, NULL);
}

/* A round of waiting for STARTED or STOPPED. */
static unsigned
ask_control(struct bare_load *l, uint64_t now_ns)
{
	struct rte_mbuf *mbufs[MPN_BURST];
	unsigned n, i;

	if (now_ns >= l->ask_ns && l->port.nic->link_up) {
		if (l->state == LOAD_STARTING)
			send_start(l);
		else
			send_stop(l);
		l->ask_ns = now_ns + ASK_AGAIN_NS;
	}
	n = bare_receive(&l->port, mbufs);
	for (i = 0; i < n; i++) {
		const struct bare_frame *f = bare_header(mbufs[i]);

		if (l->state == LOAD_STARTING && f->kind == BARE_STARTED && f->tag == l->id)
			take_started(l, f, now_ns);
		else if (l->state == LOAD_STOPPING && f->kind == BARE_STOPPED && f->tag == l->id)
			enter(l, LOAD_OVER, now_ns);
	}
	rte_pktmbuf_free_bulk(mbufs, n);
	if (l->state == LOAD_STARTING && now_ns - l->begin_ns >= l->conf.connect_ns)
		give_up(l, -ETIMEDOUT, now_ns);
	/* It ends by itself then. */
	if (l->state == LOAD_STOPPING && now_ns - l->begin_ns >= STOP_NS)
		enter(l, LOAD_OVER, now_ns);
	return n;
}

/* ---- What comes ---- */

static void
end_command(struct bare_load *l, struct command *c, uint64_t now_ns)
{
	struct request *r = &l->requests[c->request];

	c->busy = false;
	c->tag += COMMANDS;
	l->nb_busy--;
	line_put(&l->free, (unsigned)(c - l->commands));
	if (--r->left > 0)
		return;
	l->free_requests[l->nb_free_requests++] = c->request;
	if (l->state != LOAD_RUNNING)
		return;
	l->result.reads += !r->write;
	l->result.writes += r->write;
	if (l->conf.done != NULL)
		l->conf.done(r->write, now_ns - r->start_ns, l->conf.arg);
}

static inline void
take_answer(struct bare_load *l, const struct bare_frame *f, uint64_t now_ns)
{
	unsigned i = f->tag % COMMANDS;
	struct command *c = &l->commands[i];
	bool write = l->requests[c->request].write;

	if (mpn_unlikely(!c->busy || c->tag != f->tag))
		return;
	if (f->kind == BARE_GRANT && write) {
		if (f->off == 0 && c->sent == 0)
			line_put(&l->give, i);
		return;
	}
	if (mpn_unlikely(f->kind != (write ? BARE_DONE : BARE_DATA)))
		return;
	l->room++;
	if (--c->frames == 0)
		end_command(l, c, now_ns);
}

/* What was asked for and has not come is lost: ask again, and know late answers by their tag. */
static void
repeat_all(struct bare_load *l)
{
	unsigned i;

	l->ask.head = l->ask.tail;
	l->give.head = l->give.tail;
	for (i = 0; i < l->nb_commands; i++) {
		struct command *c = &l->commands[i];
		bool write = l->requests[c->request].write;
		uint16_t frames =
			write ? 1 : (uint16_t)((c->len + l->conf.unit - 1) / l->conf.unit);

		if (!c->busy)
			continue;
		c->tag += COMMANDS;
		c->sent = 0;
		l->room -= frames - c->frames;
		c->frames = frames;
		line_put(&l->ask, i);
		l->result.lost++;
	}
}

/* ---- What is asked for ---- */

/* splitmix64 */
static uint64_t
draw_below(struct bare_load *l, uint64_t limit)
{
	uint64_t z = (l->rng += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	z ^= z >> 31;
	return (uint64_t)(((unsigned __int128)z * limit) >> 64);
}

static bool
draw_write(struct bare_load *l)
{
	if (l->conf.read_percent == 0 || l->conf.read_percent >= 100)
		return l->conf.read_percent == 0;
	return draw_below(l, 100) >= l->conf.read_percent;
}

/* The next request, when there may be one more. */
static bool
begin_request(struct bare_load *l, uint64_t now_ns)
{
	uint64_t block = l->next_block;
	struct request *r;

	if (l->state != LOAD_RUNNING || l->nb_free_requests == 0)
		return false;
	if (l->conf.random)
		block = draw_below(l, l->nb_blocks);
	else
		l->next_block = block + 1 < l->nb_blocks ? block + 1 : 0;
	l->current = l->free_requests[--l->nb_free_requests];
	l->current_off = 0;
	r = &l->requests[l->current];
	r->addr = l->conf.off + block * l->conf.bs;
	r->write = draw_write(l);
	r->left = (l->conf.bs + l->command_max - 1) / l->command_max;
	r->start_ns = now_ns;
	return true;
}

/* The next command of the request being cut, or of the next one. */
static bool
begin_command(struct bare_load *l, uint64_t now_ns)
{
	const struct request *r;
	struct command *c;
	int32_t frames;
	unsigned i;

	if (line_is_empty(&l->free))
		return false;
	if (l->current_off == l->conf.bs && !begin_request(l, now_ns))
		return false;
	i = line_first(&l->free);
	c = &l->commands[i];
	r = &l->requests[l->current];
	c->len = MPN_MIN(l->command_max, l->conf.bs - l->current_off);
	frames = r->write ? 1 : (int32_t)((c->len + l->conf.unit - 1) / l->conf.unit);
	/* Not more than there are descriptors for, but always one. */
	if (frames > l->room && l->nb_busy > 0)
		return false;
	l->room -= frames;
	l->free.head++;
	l->nb_busy++;
	c->busy = true;
	c->addr = r->addr + l->current_off;
	c->off = l->current_off;
	c->sent = 0;
	c->frames = (uint16_t)frames;
	c->request = l->current;
	l->current_off += c->len;
	line_put(&l->ask, i);
	return true;
}

/* Send the command. @return false: out of frames */
static bool
send_command(struct bare_load *l, const struct command *c)
{
	bool write = l->requests[c->request].write;
	struct bare_frame *f;

	if (write && c->len <= l->conf.unit)
		f = bare_make_data(&l->port, BARE_WRITE, &l->conf.memory,
			(uint64_t)c->request * l->conf.bs + c->off, c->len);
	else
		f = bare_make(&l->port, write ? BARE_WRITE_CMD : BARE_READ);
	if (mpn_unlikely(f == NULL))
		return false;
	f->tag = c->tag;
	f->addr = c->addr;
	f->len = c->len;
	l->ask.head++;
	return true;
}

/* Send the next piece of data that was granted. @return false: out of frames */
static bool
send_data(struct bare_load *l, struct command *c)
{
	uint32_t len = MPN_MIN(l->conf.unit, c->len - c->sent);
	struct bare_frame *f = bare_make_data(&l->port, BARE_DATA, &l->conf.memory,
		(uint64_t)c->request * l->conf.bs + c->off + c->sent, len);

	if (mpn_unlikely(f == NULL))
		return false;
	f->tag = c->tag;
	f->addr = c->addr;
	f->len = c->len;
	f->off = c->sent;
	c->sent += len;
	f->last = c->sent == c->len;
	if (f->last)
		l->give.head++;
	return true;
}

static void
ask(struct bare_load *l, uint64_t now_ns)
{
	while (bare_has_room(&l->port)) {
		if (!line_is_empty(&l->give)) {
			if (!send_data(l, &l->commands[line_first(&l->give)]))
				return;
		} else if (!line_is_empty(&l->ask) || begin_command(l, now_ns)) {
			if (!send_command(l, &l->commands[line_first(&l->ask)]))
				return;
		} else {
			return;
		}
	}
}

/* ---- The loop ---- */

static void
look_at_time(struct bare_load *l, uint64_t now_ns)
{
	if (l->state == LOAD_RUNNING && now_ns - l->begin_ns >= l->conf.time_ns)
		enter(l, LOAD_DRAINING, now_ns);
	if (l->state == LOAD_DRAINING && (l->nb_busy == 0 || now_ns - l->begin_ns >= 2 * LOST_NS)) {
		enter(l, LOAD_STOPPING, now_ns);
		return;
	}
	if (l->nb_busy == 0 || now_ns - l->progress_ns < LOST_NS)
		return;
	if (l->state == LOAD_RUNNING &&
		(!l->port.nic->link_up || now_ns - l->progress_ns >= DEAD_NS)) {
		give_up(l, -EPIPE, now_ns);
		return;
	}
	/* Not more often than that. */
	if (l->ask_ns > now_ns)
		return;
	l->ask_ns = now_ns + LOST_NS;
	repeat_all(l);
}

static unsigned
run(struct nic_bypass *bypass, uint64_t now_ns)
{
	struct bare_load *l = mpn_container_of(bypass, struct bare_load, bypass);
	struct rte_mbuf *mbufs[MPN_BURST];
	unsigned empty = 0, all = 0, round, n, i;

	if (mpn_likely(l->state == LOAD_RUNNING || l->state == LOAD_DRAINING))
		look_at_time(l, now_ns);
	l->port.strangers = false;
	if (l->state == LOAD_STARTING || l->state == LOAD_STOPPING)
		return ask_control(l, now_ns);
	if (l->state == LOAD_OVER)
		return 0;
	for (round = 0; round < ROUNDS && empty < l->port.patience; round++) {
		n = bare_receive(&l->port, mbufs);
		if (n > 0) {
			now_ns = mpn_now_ns();
			l->progress_ns = now_ns;
		}
		for (i = 0; i < n; i++)
			take_answer(l, bare_header(mbufs[i]), now_ns);
		rte_pktmbuf_free_bulk(mbufs, n);
		ask(l, now_ns);
		n += bare_send(&l->port);
		empty = n > 0 ? 0 : empty + 1;
		all += n;
		if (mpn_unlikely(l->port.strangers))
			break;
	}
	return all;
}

/* ---- Life ---- */

static int
check_conf(const struct mpn_nic *nic, const struct bare_load_conf *conf)
{
	uint64_t writes = (uint64_t)conf->bs * conf->depth;

	if (conf->volume == NULL || strlen(conf->volume) >= BARE_NAME_LEN)
		return -EINVAL;
	if (conf->bs == 0 || conf->depth == 0 || conf->depth > BARE_DEPTH_MAX ||
		conf->time_ns == 0 || conf->time_ns / 1000000 + SPARE_MS > BARE_RUN_MAX_MS)
		return -EINVAL;
	if (conf->read_percent < 100 && (conf->memory.base == NULL || conf->memory.bytes < writes))
		return -EINVAL;
	return bare_unit_fits(nic, conf->unit) ? 0 : -EINVAL;
}

static void
init_load(struct bare_load *l, struct mpn_nic *nic)
{
	static const uint8_t nobody[6];
	static uint32_t id;
	unsigned i;

	l->id = __atomic_add_fetch(&id, 1, __ATOMIC_RELAXED) ^ (uint32_t)mpn_now_ns();
	memcpy(l->target, l->conf.target, sizeof(l->target));
	if (memcmp(l->target, nobody, sizeof(nobody)) == 0)
		memset(l->target, 0xff, sizeof(l->target));
	memcpy(l->volume, l->conf.volume, strlen(l->conf.volume) + 1);
	l->conf.volume = l->volume;
	l->rng = l->conf.seed;
	l->command_max = bare_command_max(l->conf.unit);
	l->current_off = l->conf.bs;
	l->room = nic->info.nb_rxd > 2u * BARE_RX_BURST ? nic->info.nb_rxd - BARE_RX_BURST : 1;
	l->nb_commands = COMMANDS - 1;
	for (i = 0; i < l->nb_commands; i++) {
		l->commands[i].tag = i;
		line_put(&l->free, i);
	}
	for (i = l->conf.depth; i > 0; i--)
		l->free_requests[l->nb_free_requests++] = (uint16_t)(i - 1);
	l->begin_ns = mpn_now_ns();
	l->bypass.run = run;
}

struct bare_load *
bare_load_create(struct mpn_nic *nic, const struct bare_load_conf *conf)
{
	struct bare_load *l;
	int rc;

	rc = check_conf(nic, conf);
	if (rc < 0)
		return mpn_err_null(-rc);
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return mpn_err_null(ENOMEM);
	l->conf = *conf;
	init_load(l, nic);
	rc = bare_port_init(&l->port, nic, conf->unit);
	if (rc == 0)
		rc = bare_port_take(&l->port, &l->bypass);
	if (rc < 0) {
		bare_load_destroy(l);
		return mpn_err_null(-rc);
	}
	return l;
}

bool
bare_load_over(const struct bare_load *l, int *status)
{
	*status = l->status;
	return l->state == LOAD_OVER;
}

const struct bare_load_result *
bare_load_result(const struct bare_load *l)
{
	return &l->result;
}

void
bare_load_destroy(struct bare_load *l)
{
	if (l == NULL)
		return;
	if (l->port.nic != NULL) {
		/* Broken off: it would end by itself, but later. */
		if (l->state != LOAD_OVER && l->port.nic->link_up)
			send_stop(l);
		bare_port_give(&l->port, &l->bypass);
		bare_port_fini(&l->port);
	}
	free(l);
}
