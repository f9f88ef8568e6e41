/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * What DPDK's vhost library tells, on its own thread, about the guest's memory and rings.
 *
 * The library maps and unmaps by itself, between the two handlers of a message. So the first one takes
 * the rings away from the loop whenever a message may change what they are made of, and the second one
 * gives those back that are complete. Rings are served as soon as they are enabled, one by one: firmware
 * uses the first of many only, and the library's new_device() waits for all.
 */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_version.h>
#include <rte_vhost.h>

#include "mpn_log.h"
#include "target_vhost.h"

/* The messages that matter here, and how they look: the vhost-user protocol, "Message Specification". */
enum message {
	SET_FEATURES = 2,
	RESET_OWNER = 4,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	SET_PROTOCOL_FEATURES = 16,
	GET_QUEUE_NUM = 17,
	SET_VRING_ENABLE = 18,
	GET_CONFIG = 24,
	SET_CONFIG = 25,
	GET_INFLIGHT_FD = 31,
	SET_INFLIGHT_FD = 32,
};

#define PROTOCOL_BACKEND_REQ 5

/* The name has changed. */
#if RTE_VERSION >= RTE_VERSION_NUM(23, 7, 0, 0)
#define config_change rte_vhost_backend_config_change
#else
#define config_change rte_vhost_slave_config_change
#endif

#define LOG_ALIGN 64
#define CONFIG_MAX 256
#define INDEX_MASK 0xff

struct user_message {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* of what follows */
	union {
		uint64_t u64;
		struct {
			uint32_t index;
			uint32_t num;
		} state;
		struct {
			uint32_t index;
			uint32_t flags;
			uint64_t desc, used, avail, log;
		} addr;
		struct {
			uint64_t size, offset;
			uint16_t queues, ring;
		} inflight;
		struct {
			uint32_t nb, padding;
			struct {
				uint64_t gpa, size, user, offset;
			} regions[GUEST_REGIONS];
		} memory;
		struct {
			uint32_t offset;
			uint32_t size;
			uint32_t flags;
			uint8_t bytes[CONFIG_MAX];
		} config;
	} payload;
} __attribute__((packed));

/* The library's callbacks know numbers only. */
static struct target *target;

/* ---- Messages ---- */

static enum rte_vhost_msg_result
get_config(struct target *t, struct user_message *m)
{
	struct virtio_blk_config config;
	uint8_t bytes[CONFIG_MAX] = {0};
	uint32_t offset = m->payload.config.offset, size = m->payload.config.size;

	if (size > CONFIG_MAX || offset > CONFIG_MAX - size)
		return RTE_VHOST_MSG_RESULT_ERR;
	blk_config(&config, &device_limits(t->device)->info, t->conf.queues, t->wce);
	memcpy(bytes, &config, sizeof(config));
	memcpy(m->payload.config.bytes, bytes + offset, size);
	return RTE_VHOST_MSG_RESULT_REPLY;
}

/* The cache mode is the one thing a guest may set. */
static enum rte_vhost_msg_result
set_config(struct target *t, const struct user_message *m)
{
	const uint32_t wce = offsetof(struct virtio_blk_config, wce);
	uint32_t offset = m->payload.config.offset, size = m->payload.config.size;
	uint64_t features;

	if (size > CONFIG_MAX || offset > CONFIG_MAX - size)
		return RTE_VHOST_MSG_RESULT_ERR;
	if (offset > wce || wce - offset >= size)
		return RTE_VHOST_MSG_RESULT_OK;
	t->wce = m->payload.config.bytes[wce - offset] & 1;
	if (rte_vhost_get_negotiated_features(t->vid, &features) == 0)
		target_set_cache_mode(t, features);
	return RTE_VHOST_MSG_RESULT_OK;
}

static enum rte_vhost_msg_result
get_queue_num(struct target *t, struct user_message *m)
{
	m->payload.u64 = t->conf.queues;
	m->size = sizeof(m->payload.u64);
	return RTE_VHOST_MSG_RESULT_REPLY;
}

/* Which ring a message is about; DEVICE_QUEUES: one that is not served. */
static unsigned
ring_of(const struct target *t, const struct user_message *m)
{
	uint32_t i = m->payload.state.index;

	if (m->request == SET_VRING_KICK || m->request == SET_VRING_CALL)
		i = m->payload.u64 & INDEX_MASK;
	return i < t->conf.queues ? i : DEVICE_QUEUES;
}

/* The library takes the sizes as they are said to be. */
static bool
log_fits(const struct target *t, const struct user_message *m)
{
	uint64_t entry = sizeof(struct rte_vhost_inflight_desc_split);
	uint64_t one = sizeof(struct rte_vhost_inflight_info_split) +
		       (uint64_t)m->payload.inflight.ring * entry;

	one = (one + LOG_ALIGN - 1) / LOG_ALIGN * LOG_ALIGN;
	return m->payload.inflight.queues <= t->conf.queues &&
	       m->payload.inflight.queues * one <= m->payload.inflight.size;
}

/* How a ring is made. @return false: the library would follow an address that is none */
static bool
note_ring(struct target *t, unsigned i, const struct user_message *m)
{
	struct ring_setup *s = &t->setups[i];

	if (m->request == SET_VRING_NUM)
		s->size = m->payload.state.num;
	if (m->request == SET_VRING_ADDR) {
		s->desc = m->payload.addr.desc;
		s->avail = m->payload.addr.avail;
		s->used = m->payload.addr.used;
	}
	return m->request != SET_VRING_KICK || target_ring_is_there(t, i);
}

static enum rte_vhost_msg_result
before_message(struct target *t, struct user_message *m)
{
	unsigned i = ring_of(t, m);

	switch (m->request) {
	case GET_CONFIG:
		return get_config(t, m);
	case SET_CONFIG:
		return set_config(t, m);
	case GET_QUEUE_NUM:
		return get_queue_num(t, m);
	case SET_PROTOCOL_FEATURES:
		t->protocol = m->payload.u64;
		break;
	case SET_MEM_TABLE:
		target_stop_rings(t, false);
		target_forget_memory(t);
		break;
	case SET_INFLIGHT_FD:
		if (!log_fits(t, m))
			return RTE_VHOST_MSG_RESULT_ERR;
		target_stop_rings(t, false);
		break;
	case SET_FEATURES:
	case RESET_OWNER:
	case GET_INFLIGHT_FD:
		target_stop_rings(t, false);
		break;
	case SET_VRING_NUM:
	case SET_VRING_ADDR:
	case SET_VRING_BASE:
	case SET_VRING_KICK:
		if (i == DEVICE_QUEUES || !note_ring(t, i, m))
			return RTE_VHOST_MSG_RESULT_ERR;
		target_stop_ring(t, i);
		break;
	case GET_VRING_BASE:
		if (i < DEVICE_QUEUES)
			target_end_ring(t, i);
		break;
	case SET_VRING_ENABLE:
		if (i < DEVICE_QUEUES && m->payload.state.num == 0)
			target_stop_ring(t, i);
		break;
	default:
		break;
	}
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static void
load_memory(struct target *t, const struct user_message *m)
{
	uint64_t offsets[GUEST_REGIONS];
	uint32_t i, nb = MPN_MIN(m->payload.memory.nb, (uint32_t)GUEST_REGIONS);

	for (i = 0; i < nb; i++)
		offsets[i] = m->payload.memory.regions[i].offset;
	target_load_memory(t, offsets, nb);
}

static void
after_message(struct target *t, const struct user_message *m)
{
	switch (m->request) {
	case SET_VRING_CALL:
		if (ring_of(t, m) < DEVICE_QUEUES)
			target_replace_call(t, ring_of(t, m));
		break;
	case SET_MEM_TABLE:
		load_memory(t, m);
		target_start_rings(t);
		break;
	case SET_FEATURES:
	case RESET_OWNER:
	case GET_INFLIGHT_FD:
	case SET_INFLIGHT_FD:
	case SET_VRING_NUM:
	case SET_VRING_ADDR:
	case SET_VRING_BASE:
		target_start_rings(t);
		break;
	default:
		break;
	}
}

/* ---- The library's callbacks ---- */

/*
 * The first to say something, while nobody else is there, is the machine that is served. Not the first to
 * connect: the end of the one before may still be waiting to be noticed.
 */
static bool
is_served(struct target *t, int vid)
{
	if (t->vid < 0 && !t->ended) {
		t->vid = vid;
		t->wce = device_limits(t->device)->info.can_flush;
	}
	return vid == t->vid;
}

static enum rte_vhost_msg_result
on_message(int vid, void *msg)
{
	enum rte_vhost_msg_result rc = RTE_VHOST_MSG_RESULT_ERR;
	struct target *t = target;
	bool served;

	target_lock(t);
	served = is_served(t, vid);
	if (served)
		rc = before_message(t, msg);
	target_unlock(t);
	if (!served)
		mpn_log(MPN_LOG_WARN, "vhost", "%s: a second connection was refused",
			t->conf.socket);
	return rc;
}

static enum rte_vhost_msg_result
on_message_done(int vid, void *msg)
{
	struct target *t = target;

	target_lock(t);
	if (vid == t->vid)
		after_message(t, msg);
	target_unlock(t);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static int
on_connection(int vid)
{
	static const struct rte_vhost_user_extern_ops ops = {on_message, on_message_done};

	return rte_vhost_extern_callback_register(vid, &ops, NULL);
}

static void
on_disconnection(int vid)
{
	struct target *t = target;

	target_lock(t);
	if (vid == t->vid) {
		target_stop_rings(t, true);
		memset(t->ready, 0, sizeof(t->ready));
		memset(t->setups, 0, sizeof(t->setups));
		target_forget_memory(t);
		t->logged = false;
		t->protocol = 0;
		t->vid = -1;
	}
	target_unlock(t);
}

static int
on_ring_changed(int vid, uint16_t i, int enable)
{
	struct target *t = target;

	target_lock(t);
	if (vid == t->vid && i < t->conf.queues) {
		t->ready[i] = enable;
		if (enable) {
			target_start_rings(t);
		} else if (device_is_started(t->device, i)) {
			target_stop_ring(t, i);
		}
	}
	target_unlock(t);
	return 0;
}

/* All rings are ready, or one is not any more: that is known already. */
static int
on_device(int vid)
{
	return 0;
}

static void
on_device_gone(int vid)
{
}

/* ---- The socket ---- */

/* Who is connected sees it in the configuration; the next one in the features, too. */
static int
offer_features(struct target *t)
{
	return rte_vhost_driver_set_features(
		t->conf.socket, blk_features(&device_limits(t->device)->info) |
					1ull << VHOST_USER_F_PROTOCOL_FEATURES);
}

void
target_config_changed(struct target *t)
{
	(void)offer_features(t);
	if (t->vid >= 0 && t->protocol & 1ull << PROTOCOL_BACKEND_REQ)
		(void)config_change(t->vid, false);
}

/* One that nobody listens on was left by somebody who was killed. */
static int
remove_stale_socket(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct stat st;
	int fd, rc;

	if (strlen(path) >= sizeof(sun.sun_path))
		return mpn_log_err(ENAMETOOLONG, "vhost",
			"%s: expected a path of at most %zu bytes", path, sizeof(sun.sun_path) - 1);
	memcpy(sun.sun_path, path, strlen(path));
	if (lstat(path, &st) != 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return mpn_log_err(EEXIST, "vhost", "%s: exists and is not a socket", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	rc = connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0 ? 0 : errno;
	close(fd);
	if (rc != ECONNREFUSED)
		return mpn_log_err(EADDRINUSE, "vhost", "%s: somebody else serves it", path);
	return unlink(path) == 0 ? 0 : -errno;
}

int
target_offer(struct target *t)
{
	static const struct rte_vhost_device_ops ops = {
		.new_device = on_device,
		.destroy_device = on_device_gone,
		.vring_state_changed = on_ring_changed,
		.new_connection = on_connection,
		.destroy_connection = on_disconnection,
	};
	const char *path = t->conf.socket;
	int rc = remove_stale_socket(path);

	if (rc != 0)
		return rc;
	target = t;
	if (rte_vhost_driver_register(path, 0) != 0)
		return mpn_log_err(EIO, "vhost", "%s: cannot be registered", path);
	t->offered = true;
	if (offer_features(t) != 0 ||
		rte_vhost_driver_set_protocol_features(path,
			1ull << VHOST_USER_PROTOCOL_F_MQ | 1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK |
				1ull << PROTOCOL_BACKEND_REQ |
				1ull << VHOST_USER_PROTOCOL_F_CONFIG |
				1ull << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD) != 0 ||
		rte_vhost_driver_callback_register(path, &ops) != 0 ||
		rte_vhost_driver_start(path) != 0)
		return mpn_log_err(EIO, "vhost", "%s: cannot be listened on", path);
	return 0;
}

void
target_withdraw(struct target *t)
{
	target_lock(t);
	t->ended = true;
	if (t->vid >= 0)
		target_stop_rings(t, true);
	t->vid = -1;
	target_unlock(t);
	if (t->offered)
		(void)rte_vhost_driver_unregister(t->conf.socket);
	t->offered = false;
}
