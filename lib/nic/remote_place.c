/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The place of a process at a remote personality: who comes, who goes, who hangs. One at a time.
 */

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "mpn_log.h"
#include "nic_internal.h"
#include "remote.h"
#include "sock.h"

#define HELLO_NS 1000000000ull /* who comes has so long to say hello */
#define MAX_LOOK_NS 50000000ull /* what one look can tell of the time before it */

static const uint8_t next_state[MPN_REMOTE_STATES][REMOTE_STEPS] = {
	[MPN_REMOTE_WAITING] = {[REMOTE_CAME] = MPN_REMOTE_ATTACHED,
		[REMOTE_LEFT] = MPN_REMOTE_WAITING,
		[REMOTE_FAILS] = MPN_REMOTE_WAITING},
	[MPN_REMOTE_ATTACHED] = {[REMOTE_CAME] = MPN_REMOTE_ATTACHED,
		[REMOTE_LEFT] = MPN_REMOTE_WAITING,
		[REMOTE_FAILS] = MPN_REMOTE_FAILED},
	[MPN_REMOTE_FAILED] = {[REMOTE_CAME] = MPN_REMOTE_ATTACHED,
		[REMOTE_LEFT] = MPN_REMOTE_FAILED,
		[REMOTE_FAILS] = MPN_REMOTE_FAILED},
};

const char *
mpn_remote_state_name(enum mpn_remote_state state)
{
	static const char *const names[MPN_REMOTE_STATES] = {
		[MPN_REMOTE_WAITING] = "waiting",
		[MPN_REMOTE_ATTACHED] = "attached",
		[MPN_REMOTE_FAILED] = "failed",
	};

	return (unsigned)state < MPN_REMOTE_STATES ? names[state] : "unknown";
}

static const enum mpn_nic_event step_events[REMOTE_STEPS] = {
	[REMOTE_CAME] = MPN_NIC_PROCESS_CAME,
	[REMOTE_LEFT] = MPN_NIC_PROCESS_LEFT,
	[REMOTE_FAILS] = MPN_NIC_PROCESS_FAILED,
};

/* The only place where the state changes. */
static void
take_step(struct remote *r, enum remote_step step, int error)
{
	r->state = (enum mpn_remote_state)next_state[r->state][step];
	r->error = error;
	personality_raise(r->p, step_events[step]);
	if (r->conf.changed != NULL)
		r->conf.changed(r->p, r->state, r->conf.changed_arg);
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* ---- Going ---- */

/* How it is counted and called. */
static uint64_t *
describe(struct remote *r, int err, const char **what)
{
	switch (err) {
	case -ETIMEDOUT:
		*what = "does not poll any more";
		return &r->stats.hung;
	case -EPROTO:
		*what = "wrote what makes no sense";
		return &r->stats.broken;
	default:
		*what = "has died";
		return &r->stats.died;
	}
}

static void
count_lost(struct remote *r)
{
	int room = remote_ring_room(&r->map.out);

	if (room >= 0)
		r->stats.lost += r->map.out.nb_cells - (uint32_t)room;
}

void
remote_lose(struct remote *r, int err)
{
	char cause[64];
	const char *what;

	if (!remote_is_attached(r))
		return;
	count_lost(r);
	remote_map_drop(&r->map);
	close_fd(&r->fd);
	take_step(r, err == 0 ? REMOTE_LEFT : REMOTE_FAILS, err);
	if (err == 0) {
		r->stats.detached++;
		mpn_log(MPN_LOG_INFO, "nic", "%s: '%s': process %d (%s) has left", r->nic.name,
			r->socket, r->pid, r->program);
		return;
	}
	++*describe(r, err, &what);
	(void)snprintf(cause, sizeof(cause), "process %d (%s) %s", r->pid, r->program, what);
	mpn_personality_error(r->p, err, cause);
}

/* It counts its rounds. Before the first one it may take its time. */
static bool
hangs(struct remote *r, uint64_t now_ns)
{
	uint32_t beats = atomic_load_explicit(&r->map.theirs->beats, memory_order_relaxed);

	/* When we have not looked for long it may be that nobody ran: a machine that was suspended. */
	uint64_t since_ns = MPN_MIN(now_ns - r->look_ns, MAX_LOOK_NS);

	r->look_ns = now_ns;
	r->still_ns = beats != r->beats ? 0 : r->still_ns + since_ns;
	r->beats = beats;
	return beats != 0 && r->still_ns > r->conf.hang_ns;
}

static bool
check_process(struct remote *r, uint64_t now_ns)
{
	enum remote_news news = remote_look(r->fd);

	if (news != REMOTE_NOTHING)
		remote_lose(r, news == REMOTE_SAID_BYE ? 0 : -EPIPE);
	else if (hangs(r, now_ns))
		remote_lose(r, -ETIMEDOUT);
	return !remote_is_attached(r);
}

/* ---- Coming ---- */

static void
fill_welcome(const struct remote *r, struct remote_welcome *w)
{
	struct mpn_personality_info info;

	mpn_personality_get_info(r->p, &info);
	*w = (struct remote_welcome){
		.nb_cells = r->conf.ring_len, .room = r->map.out.room, .mtu = r->nic.mtu};
	memcpy(w->mac, r->nic.mac, sizeof(w->mac));
	memcpy(w->nic, r->nic.name, sizeof(w->nic));
	memcpy(w->personality, info.name, sizeof(w->personality));
}

static void
turn_away(struct remote *r, int err)
{
	struct remote_welcome w = {.status = err, .pid = r->pid};

	(void)remote_say_welcome(r->new_fd, &w, -1);
	close_fd(&r->new_fd);
	r->stats.turned_away++;
}

/* Each process gets memory of its own: what the last one may still do harms nobody. */
static void
attach(struct remote *r, const struct remote_hello *hello)
{
	uint32_t room = r->nic.max_frame + REMOTE_TAGS;
	struct remote_welcome w;
	int rc = remote_map_make(&r->map, r->conf.ring_len, room);

	if (rc < 0) {
		turn_away(r, rc);
		return;
	}
	fill_welcome(r, &w);
	remote_set_link(r, r->nic.link_up);
	rc = remote_say_welcome(r->new_fd, &w, r->map.fd);
	close_fd(&r->map.fd);
	if (rc < 0) {
		remote_map_drop(&r->map);
		close_fd(&r->new_fd);
		return;
	}
	r->fd = r->new_fd;
	r->new_fd = -1;
	r->pid = sock_peer(r->fd);
	memcpy(r->program, hello->program, sizeof(r->program));
	r->beats = 0;
	r->still_ns = 0;
	r->stats.attached++;
	mpn_log(MPN_LOG_INFO, "nic", "%s: '%s': process %d (%s) has come", r->nic.name, r->socket,
		r->pid, r->program);
	take_step(r, REMOTE_CAME, 0);
}

static bool
check_new(struct remote *r, uint64_t now_ns)
{
	struct remote_hello hello;
	int rc = remote_read_hello(r->new_fd, &hello);

	if (rc == -EAGAIN && now_ns < r->new_until_ns)
		return false;
	if (rc == -EPROTONOSUPPORT)
		turn_away(r, rc);
	else if (rc == 0 && remote_is_attached(r))
		turn_away(r, -EBUSY);
	else if (rc == 0)
		attach(r, &hello);
	else
		close_fd(&r->new_fd);
	return true;
}

bool
remote_check(struct remote *r, uint64_t now_ns)
{
	bool changed = remote_is_attached(r) && check_process(r, now_ns);

	if (r->new_fd < 0) {
		r->new_fd = sock_accept(r->listen_fd);
		r->new_until_ns = now_ns + HELLO_NS;
	}
	return (r->new_fd >= 0 && check_new(r, now_ns)) || changed;
}

void
remote_set_link(struct remote *r, bool up)
{
	if (r->map.base != NULL)
		atomic_store_explicit(&r->map.mine->up, up, memory_order_release);
}

/* ---- The socket ---- */

int
remote_open(struct remote *r)
{
	r->fd = r->new_fd = r->map.fd = -1;
	r->listen_fd = remote_listen(r->socket, &r->lock_fd);
	if (r->listen_fd >= 0)
		return 0;
	return mpn_log_err(-r->listen_fd, "nic", "socket '%s': %s%s", r->socket,
		strerror(-r->listen_fd),
		r->listen_fd == -EEXIST ? ", and it is no socket: expected a path of its own" : "");
}

void
remote_close(struct remote *r)
{
	close_fd(&r->new_fd);
	remote_lose(r, 0);
	remote_unlisten(r->socket, r->listen_fd, r->lock_fd);
}
