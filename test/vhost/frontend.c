/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include "frontend.h"

#define VERSION 1u
#define REPLY 4u
#define NEED_REPLY 8u
#define F_PROTOCOL (1ull << 30)
#define P_MQ (1ull << 0)
#define P_REPLY_ACK (1ull << 3)
#define P_BACKEND_REQ (1ull << 5)
#define P_CONFIG (1ull << 9)
#define P_INFLIGHT (1ull << 12)
#define PAYLOAD_MAX 320

/* The memory: a part for each queue's ring, headers and tables, data. */
#define RING_PART 0x10000u
#define AVAIL_AT 0x4000u
#define USED_AT 0x8000u
#define CONTROL_AT ((size_t)FE_QUEUES * RING_PART)
#define CONTROL_BYTES 128u /* of a slot: header, status, table */
#define STATUS_OFF 16u
#define TABLE_OFF 64u
#define NB_SLOTS (FE_QUEUES * FE_SLOTS)
#define DATA_AT (CONTROL_AT + NB_SLOTS * CONTROL_BYTES)
#define MEM_SIZE (DATA_AT + (size_t)NB_SLOTS * FE_SLOT_BYTES)
/* The second region begins in the middle of the second slot's data. */
#define SEAM (DATA_AT + FE_SLOT_BYTES + 4096)

struct message {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
	uint8_t payload[PAYLOAD_MAX];
} __attribute__((packed));

static void
check(bool ok)
{
	if (!ok)
		abort();
}

uint64_t
fe_now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void
fe_init(struct frontend *f, const char *path, unsigned nb_queues, uint64_t features)
{
	unsigned i;

	memset(f, 0, sizeof(*f));
	f->path = path;
	f->sock = -1;
	f->backend_fd = -1;
	f->inflight_fd = -1;
	f->nb_queues = nb_queues;
	f->features = features;
	f->memfd = memfd_create("guest", MFD_CLOEXEC);
	check(f->memfd >= 0 && ftruncate(f->memfd, (off_t)MEM_SIZE) == 0);
	f->mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, f->memfd, 0);
	check(f->mem != MAP_FAILED);
	for (i = 0; i < nb_queues; i++) {
		uint8_t *ring = f->mem + i * RING_PART;

		f->queues[i].desc = (struct vring_desc *)ring;
		f->queues[i].avail = (struct vring_avail *)(ring + AVAIL_AT);
		f->queues[i].used = (struct vring_used *)(ring + USED_AT);
		f->queues[i].kick_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		f->queues[i].call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	}
}

void
fe_fini(struct frontend *f)
{
	unsigned i;

	fe_disconnect(f);
	for (i = 0; i < f->nb_queues; i++) {
		close(f->queues[i].kick_fd);
		close(f->queues[i].call_fd);
	}
	if (f->inflight_fd >= 0)
		close(f->inflight_fd);
	(void)munmap(f->mem, MEM_SIZE);
	close(f->memfd);
}

/* ---- Messages ---- */

static bool
send_message(struct frontend *f, const struct message *m, const int *fds, unsigned nb_fds)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int) * 8)];
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t)m, offsetof(struct message, payload) + m->size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;

	if (nb_fds > 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nb_fds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nb_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nb_fds);
	}
	return f->sock >= 0 && sendmsg(f->sock, &msg, MSG_NOSIGNAL) == (ssize_t)iov.iov_len;
}

bool
fe_send(struct frontend *f, uint32_t request, const void *payload, uint32_t size, const int *fds,
	unsigned nb_fds)
{
	struct message m = {.request = request, .flags = VERSION, .size = size};

	memcpy(m.payload, payload, size);
	return send_message(f, &m, fds, nb_fds);
}

/* The answer, and a descriptor that may come with it. */
static bool
receive(struct frontend *f, struct message *m, int *fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {m, offsetof(struct message, payload)};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf)};
	struct cmsghdr *c;

	if (recvmsg(f->sock, &msg, MSG_WAITALL | MSG_CMSG_CLOEXEC) != (ssize_t)iov.iov_len)
		return false;
	c = CMSG_FIRSTHDR(&msg);
	if (c != NULL && c->cmsg_type == SCM_RIGHTS && fd != NULL)
		memcpy(fd, CMSG_DATA(c), sizeof(int));
	return m->size <= PAYLOAD_MAX &&
	       recv(f->sock, m->payload, m->size, MSG_WAITALL) == (ssize_t)m->size;
}

bool
fe_ask(struct frontend *f, uint32_t request, void *payload, uint32_t size)
{
	struct message m = {.request = request, .flags = VERSION, .size = size};
	int fd = -1;

	memcpy(m.payload, payload, size);
	/* What only asks has nothing to say. */
	if (request != FE_GET_CONFIG && request != FE_GET_INFLIGHT_FD &&
		request != FE_GET_VRING_BASE)
		m.size = 0;
	if (!send_message(f, &m, NULL, 0) || !receive(f, &m, &fd) || m.request != request ||
		!(m.flags & REPLY) || m.size != size)
		return false;
	memcpy(payload, m.payload, size);
	if (request == FE_GET_INFLIGHT_FD)
		f->inflight_fd = fd;
	return true;
}

/* A message that is acknowledged. */
static bool
send_and_wait(struct frontend *f, uint32_t request, const void *payload, uint32_t size,
	const int *fds, unsigned nb_fds)
{
	struct message m = {.request = request, .flags = VERSION | NEED_REPLY, .size = size};
	uint64_t status;

	memcpy(m.payload, payload, size);
	if (!send_message(f, &m, fds, nb_fds) || !receive(f, &m, NULL) || m.size != sizeof(status))
		return false;
	memcpy(&status, m.payload, sizeof(status));
	return status == 0;
}

bool
fe_sync(struct frontend *f)
{
	uint64_t features;

	return fe_ask(f, FE_GET_FEATURES, &features, sizeof(features));
}

/* ---- Memory and rings ---- */

bool
fe_set_memory(struct frontend *f)
{
	struct {
		uint32_t nb, padding;
		struct fe_region regions[2];
	} table = {.nb = f->unplugged ? 1 : 2};
	const int fds[] = {f->memfd, f->memfd};
	uint64_t user = (uint64_t)(uintptr_t)f->mem + f->user_shift;

	/* The two touch in the guest; where the target maps them is its business. */
	table.regions[0] = (struct fe_region){FE_GPA, SEAM, user, 0};
	table.regions[1] = (struct fe_region){FE_GPA + SEAM, MEM_SIZE - SEAM, user + SEAM, SEAM};
	return send_and_wait(f, FE_SET_MEM_TABLE, &table,
		8 + table.nb * (uint32_t)sizeof(table.regions[0]), fds, table.nb);
}

static bool
send_state(struct frontend *f, uint32_t request, uint32_t index, uint32_t num)
{
	const uint32_t state[2] = {index, num};

	return fe_send(f, request, state, sizeof(state), NULL, 0);
}

static bool
send_fd(struct frontend *f, uint32_t request, uint64_t index, int fd)
{
	return fe_send(f, request, &index, sizeof(index), &fd, 1);
}

bool
fe_set_up_ring(struct frontend *f, unsigned queue)
{
	const struct fe_queue *q = &f->queues[queue];
	struct {
		uint32_t index, flags;
		uint64_t desc, used, avail, log;
	} addr = {.index = queue};

	addr.desc = (uint64_t)(uintptr_t)q->desc + f->user_shift;
	addr.avail = (uint64_t)(uintptr_t)q->avail + f->user_shift;
	addr.used = (uint64_t)(uintptr_t)q->used + f->user_shift;
	return send_state(f, FE_SET_VRING_NUM, queue, FE_RING) &&
	       send_state(f, FE_SET_VRING_BASE, queue, le16toh(q->used->idx)) &&
	       fe_send(f, FE_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0) &&
	       send_fd(f, FE_SET_VRING_KICK, queue, q->kick_fd) &&
	       send_fd(f, FE_SET_VRING_CALL, queue, q->call_fd) &&
	       send_state(f, FE_SET_VRING_ENABLE, queue, 1);
}

int
fe_stop_ring(struct frontend *f, unsigned queue)
{
	uint32_t state[2] = {queue, 0};

	return fe_ask(f, FE_GET_VRING_BASE, state, sizeof(state)) ? (int)state[1] : -1;
}

bool
fe_read_config(struct frontend *f)
{
	struct {
		uint32_t offset, size, flags;
		uint8_t bytes[sizeof(struct virtio_blk_config)];
	} c = {.size = sizeof(f->config)};

	if (!fe_ask(f, FE_GET_CONFIG, &c, sizeof(c)))
		return false;
	memcpy(&f->config, c.bytes, sizeof(f->config));
	return true;
}

/* ---- The connection ---- */

static bool
negotiate(struct frontend *f)
{
	uint64_t protocol, queues = 0;

	if (!fe_ask(f, FE_GET_FEATURES, &f->offered, sizeof(f->offered)) ||
		!(f->offered & F_PROTOCOL) ||
		!fe_ask(f, FE_GET_PROTOCOL_FEATURES, &protocol, sizeof(protocol)))
		return false;
	if (f->forgetful)
		protocol &= ~P_INFLIGHT;
	protocol &= P_MQ | P_REPLY_ACK | P_BACKEND_REQ | P_CONFIG | P_INFLIGHT;
	f->features = (f->features & f->offered) | 1ull << VIRTIO_F_VERSION_1 | F_PROTOCOL;
	return fe_send(f, FE_SET_PROTOCOL_FEATURES, &protocol, sizeof(protocol), NULL, 0) &&
	       fe_ask(f, FE_GET_QUEUE_NUM, &queues, sizeof(queues)) && queues >= f->nb_queues &&
	       fe_send(f, FE_SET_OWNER, NULL, 0, NULL, 0) && fe_read_config(f) &&
	       fe_send(f, FE_SET_FEATURES, &f->features, sizeof(f->features), NULL, 0);
}

static bool
set_backend_channel(struct frontend *f)
{
	int pair[2];
	bool ok;

	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	ok = fe_send(f, FE_SET_BACKEND_REQ_FD, NULL, 0, &pair[1], 1);
	close(pair[1]);
	f->backend_fd = pair[0];
	return ok;
}

static bool
set_inflight(struct frontend *f)
{
	struct {
		uint64_t size, offset;
		uint16_t queues, ring;
		uint32_t padding;
	} in = {.queues = (uint16_t)f->nb_queues, .ring = FE_RING};
	_Static_assert(sizeof(in) == sizeof(f->inflight), "as on the wire");

	if (f->inflight_fd < 0) {
		if (!fe_ask(f, FE_GET_INFLIGHT_FD, &in, sizeof(in)) || f->inflight_fd < 0)
			return false;
		memcpy(f->inflight, &in, sizeof(in));
	}
	return fe_send(f, FE_SET_INFLIGHT_FD, f->inflight, sizeof(in), &f->inflight_fd, 1);
}

bool
fe_connect(struct frontend *f)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	unsigned i;
	bool ok;

	check(strlen(f->path) < sizeof(sun.sun_path));
	memcpy(sun.sun_path, f->path, strlen(f->path));
	f->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check(f->sock >= 0);
	ok = connect(f->sock, (struct sockaddr *)&sun, sizeof(sun)) == 0 && negotiate(f) &&
	     set_backend_channel(f) && (f->forgetful || set_inflight(f)) && fe_set_memory(f);
	for (i = 0; ok && i < f->nb_queues; i++)
		ok = fe_set_up_ring(f, i);
	ok = ok && fe_sync(f);
	if (!ok)
		fe_disconnect(f);
	return ok;
}

void
fe_disconnect(struct frontend *f)
{
	if (f->sock >= 0)
		close(f->sock);
	if (f->backend_fd >= 0)
		close(f->backend_fd);
	f->sock = -1;
	f->backend_fd = -1;
}

bool
fe_is_connected(struct frontend *f)
{
	ssize_t n;
	char c;

	if (f->sock < 0)
		return false;
	n = recv(f->sock, &c, 1, MSG_PEEK | MSG_DONTWAIT);
	return n > 0 || (n < 0 && errno == EAGAIN);
}

/* ---- Requests ---- */

static size_t
control_at(unsigned queue, unsigned slot)
{
	return CONTROL_AT + (queue * FE_SLOTS + slot) * CONTROL_BYTES;
}

static size_t
data_at(unsigned queue, unsigned slot)
{
	return DATA_AT + (size_t)(queue * FE_SLOTS + slot) * FE_SLOT_BYTES;
}

uint8_t *
fe_data(const struct frontend *f, unsigned queue, unsigned slot)
{
	return f->mem + data_at(queue, slot);
}

uint64_t
fe_data_gpa(unsigned queue, unsigned slot)
{
	return FE_GPA + data_at(queue, slot);
}

uint8_t
fe_status(const struct frontend *f, unsigned queue, unsigned slot)
{
	return __atomic_load_n(f->mem + control_at(queue, slot) + STATUS_OFF, __ATOMIC_RELAXED);
}

static struct vring_desc
make_desc(uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next)
{
	return (struct vring_desc){htole64(gpa), htole32(len), htole16(flags), htole16(next)};
}

void
fe_write_request(struct frontend *f, unsigned queue, unsigned slot, uint32_t type, uint64_t sector,
	uint32_t len, bool indirect)
{
	size_t control = control_at(queue, slot);
	struct virtio_blk_outhdr h = {.type = htole32(type), .sector = htole64(sector)};
	struct vring_desc *ring = &f->queues[queue].desc[3 * slot], *d = ring;
	uint16_t first = (uint16_t)(indirect ? 0 : 3 * slot), n = 0;
	uint16_t in =
		type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID ? VRING_DESC_F_WRITE : 0;

	memcpy(f->mem + control, &h, sizeof(h));
	f->mem[control + STATUS_OFF] = 0xff;
	if (indirect)
		d = (struct vring_desc *)(f->mem + control + TABLE_OFF);
	d[n] = make_desc(FE_GPA + control, sizeof(h), VRING_DESC_F_NEXT, (uint16_t)(first + n + 1));
	n++;
	if (len > 0) {
		d[n] = make_desc(fe_data_gpa(queue, slot), len, VRING_DESC_F_NEXT | in,
			(uint16_t)(first + n + 1));
		n++;
	}
	d[n++] = make_desc(FE_GPA + control + STATUS_OFF, 1, VRING_DESC_F_WRITE, 0);
	if (indirect)
		ring[0] = make_desc(FE_GPA + control + TABLE_OFF, n * (uint32_t)sizeof(*d),
			VRING_DESC_F_INDIRECT, 0);
}

void
fe_offer(struct frontend *f, unsigned queue, uint16_t head)
{
	struct vring_avail *a = f->queues[queue].avail;
	uint16_t idx = le16toh(a->idx);

	a->ring[idx % FE_RING] = htole16(head);
	__atomic_store_n(&a->idx, htole16((uint16_t)(idx + 1)), __ATOMIC_RELEASE);
}

void
fe_kick(struct frontend *f, unsigned queue)
{
	struct fe_queue *q = &f->queues[queue];

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	/* With event indices the target says which; a kick too many does no harm. */
	if (f->features & 1ull << VIRTIO_RING_F_EVENT_IDX ||
		!(le16toh(__atomic_load_n(&q->used->flags, __ATOMIC_RELAXED)) &
			VRING_USED_F_NO_NOTIFY))
		(void)eventfd_write(q->kick_fd, 1);
}

void
fe_submit(struct frontend *f, unsigned queue, unsigned slot, uint32_t type, uint64_t sector,
	uint32_t len, bool indirect)
{
	fe_write_request(f, queue, slot, type, sector, len, indirect);
	fe_offer(f, queue, (uint16_t)(3 * slot));
}

bool
fe_want_call(struct frontend *f, unsigned queue)
{
	struct fe_queue *q = &f->queues[queue];

	if (f->features & 1ull << VIRTIO_RING_F_EVENT_IDX)
		__atomic_store_n(&q->avail->ring[FE_RING], htole16(q->seen), __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return le16toh(__atomic_load_n(&q->used->idx, __ATOMIC_RELAXED)) != q->seen;
}

int
fe_take_used(struct frontend *f, unsigned queue)
{
	struct fe_queue *q = &f->queues[queue];

	if (le16toh(__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE)) == q->seen)
		return -1;
	return (int)(le32toh(q->used->ring[q->seen++ % FE_RING].id) / 3);
}
