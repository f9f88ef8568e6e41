/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * EBD, the Ethernet Block Device: the client library.
 *
 * A client is one end of a link. It discovers targets and opens queues; a queue is one session to one
 * volume. Requests are prepared in the caller's memory, submitted in bursts, and completed inside
 * ebd_poll(). Everything of one client belongs to one thread at a time: threads that
 * hand it over, or take turns by a lock, are the caller's to order.
 *
 *	struct ebd_client *c = ebd_client_create(&(struct ebd_client_conf){.link = "virtio:ebd0.sock"});
 *	struct ebd_queue *q = ebd_queue_open(c, &(struct ebd_queue_conf){.volume = "disk0"});
 *	ssize_t n = ebd_pread(q, buf, 4096, 0);
 *
 * The contract of a request, the same for every operation:
 *  - taken by ebd_submit_burst(): its callback runs exactly once, on this thread, only inside
 *    ebd_poll() (or a synchronous call, or ebd_queue_close()), never inside submit;
 *  - not taken: the callback never runs;
 *  - the io, its iovec array and its buffers stay valid and untouched until the callback;
 *  - the callback may submit again, the same io too;
 *  - writes of one queue that overlap take effect in the order of submission; other requests in
 *    flight have no order.
 */

#ifndef EBD_H
#define EBD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EBD_NAME_LEN 64 /**< volume name with its terminating zero */
#define EBD_IOV_MAX 16 /**< pieces of memory in one request */
#define EBD_LOAN_PIECES 64 /**< pieces of memory in one loan, at most */
#define EBD_DEPTH_MAX 256 /**< requests of a queue in flight at the target */

struct ebd_client;
struct ebd_queue;
struct ebd_io;

/** Version of the library, "0.1.0". */
const char *ebd_version(void);
/** Monotonic time in ns, without a system call once a client or a server exists. */
uint64_t ebd_now_ns(void);

/* ---- Client ---- */

/** What a thread does when nothing arrives. */
enum ebd_idle {
	EBD_IDLE_AUTO, /**< SPIN, or YIELD when the process has one core */
	EBD_IDLE_SPIN, /**< lowest latency, a whole core */
	EBD_IDLE_YIELD, /**< give the core to others that want it */
	/** sleep in steps of 50 us after 1 ms of nothing, of 1 ms after a second; earlier where others want the
	 * core and answers take long */
	EBD_IDLE_SLEEP,
};

/** A VLAN (IEEE 802.1Q). Zeroes: none, frames without a tag. */
struct ebd_vlan {
	uint16_t vid; /**< 1 to 4094 */
	uint16_t outer; /**< 0: frames have one tag; 1 to 4094: two, this in the outer one (QinQ) */
};

/** How to make a client; zeroes are the defaults. */
struct ebd_client_conf {
	const char *link; /**< "virtio:PATH", "memif:PATH", "tap:NAME", ...; see ebd_link_help() */
	const char *eal; /**< raw EAL flags, or NULL */
	bool no_huge; /**< do not use hugepages */
	uint16_t mtu; /**< bytes, 0: the largest of 9000, 1500 the link takes */
	/**
	 * The host uses the link as an ordinary network interface of this name, too (needs root); its frames
	 * are carried while this library is polled. NULL: it does not.
	 */
	const char *net;
	struct ebd_vlan vlan; /**< sessions are in this VLAN: that of the server */
	struct ebd_vlan net_vlan; /**< and the host's interface, which sees no tags, in this one */
	uint8_t client_uuid
		[16]; /**< identity; all zero: random. A second client with the same UUID fences
				     the first */
	enum ebd_idle idle; /**< for the synchronous calls */
	uint32_t loan_frames; /**< received frames that may be on loan at a time, 0: 512 */
	/** For the server of the link, ebd_queue_open(), ebd_discover() each; 0: 5000. */
	uint64_t connect_timeout_ms;
	int lcore; /**< core to run on when the library starts the EAL; 0: leave as is, N: N-1 */
	/**
	 * Called in every round of a call that waits (ebd_client_create() while nobody serves the link,
	 * ebd_discover(), ebd_queue_open(), the synchronous twins, ebd_queue_close()), for what else lives
	 * on this thread: a server on a ring link, a look at a flag a signal has set. Gives the work it
	 * found, or -errno: the call gives up with it, except ebd_queue_close(), which goes on. NULL:
	 * nothing.
	 */
	int (*background)(void *arg);
	void *background_arg;
};

/**
 * Bring up the link. Starts the EAL when the program has not. One link, one thread.
 * @return NULL with errno EINVAL (link, MTU), ENODEV, EACCES, ENOMEM, ETIMEDOUT, or what background()
 *   gave; ebd_last_error() says it in a sentence
 */
struct ebd_client *ebd_client_create(const struct ebd_client_conf *conf);
/** Close all queues and the link. NULL is allowed. */
void ebd_client_destroy(struct ebd_client *c);

/** The last error of the control path on this thread as one line, "" when there was none. */
const char *ebd_last_error(void);

/** Print the kinds of links, one a line. */
void ebd_link_help(FILE *f);

/** One volume somebody offers. */
struct ebd_advert {
	char name[EBD_NAME_LEN];
	uint64_t size; /**< bytes */
	uint32_t block_size; /**< bytes */
	bool read_only;
	uint8_t target_mac[6];
	uint8_t target_uuid[16];
};

/**
 * Ask who is there and collect the answers.
 * @param adverts  room for max
 * @param timeout_ms  0: the client's connect_timeout_ms; returns early, 200 ms after the last answer
 * @return number of volumes found (may exceed max), or -errno: -ETIMEDOUT when nobody answered
 */
int
ebd_discover(struct ebd_client *c, struct ebd_advert *adverts, unsigned max, uint32_t timeout_ms);

/* ---- Queues ---- */

/**
 * How the data of reads gets into the memory it was asked for in: copied, or received there by the link
 * itself. The second needs a link with a data queue (`virtio:PATH,place=PAIRS`) and memory of
 * ebd_arena_alloc(). Reads on loan (ebd_prep_read_loan()) do neither.
 */
enum ebd_placement {
	EBD_PLACE_AUTO, /**< in place where the link can, while most of it is; else copied */
	EBD_PLACE_COPY, /**< copied */
	EBD_PLACE_IN_PLACE, /**< in place whatever can be, copied what cannot */
};

/** How to open a queue; zeroes are the defaults. */
struct ebd_queue_conf {
	const char *volume;
	uint8_t target_mac[6]; /**< all zero: whoever has the volume */
	uint16_t depth; /**< requests in flight at the target, 0: 32, at most EBD_DEPTH_MAX */
	uint32_t max_queued; /**< requests the queue takes, 0: 1024 */
	/** Fail requests when the target has been gone for so long; 0: 30 s; EBD_FOREVER: never. */
	uint64_t fail_after_ms;
	/** 1: checksums on, 0: as the link needs, -1: off. */
	int crc;
	enum ebd_placement placement; /**< of reads */
	/**
	 * Called inside ebd_poll() when the volume has another size or became read-only: see
	 * ebd_queue_info(). It may submit, not close. NULL: nobody is told.
	 */
	void (*changed)(struct ebd_queue *q, void *arg);
	void *changed_arg;
};
#define EBD_FOREVER UINT64_MAX /**< for fail_after_ms */

/**
 * Open a session and wait until it is open.
 * @return NULL with errno ENOENT (no such volume), ETIMEDOUT (nobody answered), EBUSY, EINVAL, ENOMEM,
 *   EOPNOTSUPP (EBD_PLACE_IN_PLACE on a link without a data queue)
 */
struct ebd_queue *ebd_queue_open(struct ebd_client *c, const struct ebd_queue_conf *conf);
/** Requests still in flight end with -ECANCELED, their callbacks run. NULL is allowed. */
void ebd_queue_close(struct ebd_queue *q);

/** What the volume is like. */
struct ebd_info {
	char name[EBD_NAME_LEN];
	uint8_t uuid[16];
	uint64_t size; /**< bytes */
	uint32_t block_size; /**< offsets and lengths are multiples of it */
	uint32_t phys_block; /**< best write size, bytes */
	uint32_t discard_gran; /**< bytes */
	uint32_t max_transfer; /**< bytes moved by one command; larger requests are split */
	uint32_t payload_unit; /**< bytes of payload in a frame */
	uint32_t depth; /**< commands in flight at most */
	bool read_only;
	bool can_flush; /**< answered writes may be volatile until ebd_prep_flush() */
	bool can_fua;
	bool can_discard;
	bool can_write_zeroes;
	bool rotational;
	bool crc; /**< frames of this session carry checksums */
	uint8_t target_mac[6];
};
/** Say what the volume of a queue is like. */
void ebd_queue_info(const struct ebd_queue *q, struct ebd_info *info);

/* ---- Requests ---- */

/** Runs once per request: status is 0 or -errno. */
typedef void (*ebd_cb)(struct ebd_io *io, int status, void *arg);

/** One request, in the caller's memory. Fixed size; embed it in a request of your own. */
struct ebd_io {
	uint64_t opaque[80];
};

/** Flags of a request. */
enum ebd_flag {
	EBD_FUA = 0x1, /**< durable at completion */
	EBD_NOHOLE = 0x2, /**< write_zeroes: keep the blocks allocated */
	EBD_FAST = 0x4, /**< write_zeroes: fail with -EOPNOTSUPP rather than be slow */
};

/**
 * Prepare a request. off and the sum of the lengths are multiples of the block size. Nothing is checked
 * before submit. iov must stay valid until the callback.
 */
void ebd_prep_readv(struct ebd_io *io, const struct iovec *iov, int iovcnt, uint64_t off);
void ebd_prep_writev(
	struct ebd_io *io, const struct iovec *iov, int iovcnt, uint64_t off, unsigned flags);
/** The same for one piece of memory; no iovec has to stay valid. */
void ebd_prep_read(struct ebd_io *io, void *buf, size_t len, uint64_t off);
void ebd_prep_write(struct ebd_io *io, const void *buf, size_t len, uint64_t off, unsigned flags);
/** Every write answered before this request is submitted is durable when it completes. */
void ebd_prep_flush(struct ebd_io *io);
void ebd_prep_discard(struct ebd_io *io, uint64_t off, uint64_t len);
void ebd_prep_write_zeroes(struct ebd_io *io, uint64_t off, uint64_t len, unsigned flags);
/**
 * Read without a copy: the data stays in the frames it came in, which are lent to the caller. len is
 * at most ebd_info.max_transfer. When the callback has run with status 0, ebd_loan_iov() tells where
 * the data is; the io is not to be used for anything else before ebd_loan_put(). How many frames a
 * client may have on loan is bounded (ebd_client_conf.loan_frames): a caller who keeps what he
 * borrowed gets -ENOBUFS for new loans, and everything else goes on.
 */
void ebd_prep_read_loan(struct ebd_io *io, size_t len, uint64_t off);
/**
 * Where the data of a loan is, in order: each piece starts at a multiple of 64 bytes, all but the last
 * have ebd_info.payload_unit bytes. They stay readable and unchanged until ebd_loan_put(),
 * also when the queue and the client are closed meanwhile. Not to be written to.
 *
 * @param iov  room for max pieces; EBD_LOAN_PIECES is always enough
 * @return pieces there are (those beyond max are not filled in); 0: the io has no loan
 */
int ebd_loan_iov(const struct ebd_io *io, struct iovec *iov, int max);
/** Give a loan back, on the client's thread. Nothing happens when the io has none. */
void ebd_loan_put(struct ebd_io *io);
/** Set the callback and its argument; after prep, before submit. */
void ebd_io_set_callback(struct ebd_io *io, ebd_cb cb, void *arg);

/**
 * Submit ios in order.
 * @return how many were taken. Fewer than n: errno says why ios[returned] was not: EAGAIN (full: poll,
 *   then try again), EINVAL (range, alignment, flags, iovcnt), EROFS, EOPNOTSUPP, ENODEV, ENOBUFS (too
 *   much is on loan: give something back, then try again)
 */
unsigned ebd_submit_burst(struct ebd_queue *q, struct ebd_io **ios, unsigned n);

/**
 * One round of the client's link, and the callbacks of completed requests of all its queues. Never
 * blocks. Completions carry 0 or -ETIMEDOUT, -ESTALE (fenced), -EIO, -ENOSPC, -EROFS, -EILSEQ
 * (integrity), -ECANCELED, -EOPNOTSUPP, -EMSGSIZE (a loan larger than what the path takes since the
 * session was opened again), -ENOBUFS (a loan, and frames ran out).
 * @param max  callbacks of this queue wanted in this round, a hint; 0: no limit
 * @return callbacks of this queue that ran, or -ENODEV when the queue is dead
 */
int ebd_poll(struct ebd_queue *q, unsigned max);

/** Requests taken and not completed. */
unsigned ebd_in_flight(const struct ebd_queue *q);

/**
 * A descriptor for poll(), epoll and the like, for threads that wait for other things, too. It becomes
 * readable when ebd_poll() is due, and stays so until the next ebd_queue_arm(). All queues of a client
 * have the same one; it is the client's: do not read, write or close it.
 *
 *	struct epoll_event ev = {.events = EPOLLIN};
 *	epoll_ctl(ep, EPOLL_CTL_ADD, ebd_queue_fd(q), &ev);
 *	for (;;) {
 *		ebd_poll(q, 0);
 *		... submit ...
 *		if (ebd_queue_arm(q) == 0)
 *			epoll_wait(ep, &ev, 1, -1);
 *	}
 *
 * @return the descriptor; -EMFILE, -ENFILE, -ENOMEM after a logged line
 */
int ebd_queue_fd(struct ebd_queue *q);
/**
 * Call it when there is nothing left to do, before each wait: it makes the descriptor unreadable until
 * ebd_poll() is due again. That is 50 us later at first, and at most 1 ms after a second of silence, so
 * that idle loops cost little. One system call.
 * @return 0: wait now; 1: the last round found something, call ebd_poll() again first; -EBADF: there is
 *   no descriptor, ebd_queue_fd() was never called
 */
int ebd_queue_arm(struct ebd_queue *q);

/** Call between rounds that found nothing: spins, yields or sleeps as the client's conf says. */
void ebd_client_idle(struct ebd_client *c, unsigned work);

/* ---- Synchronous twins ---- */

/** @return bytes moved (all of them), or -errno as in submit and completion */
ssize_t ebd_pread(struct ebd_queue *q, void *buf, size_t len, uint64_t off);
ssize_t ebd_pwrite(struct ebd_queue *q, const void *buf, size_t len, uint64_t off, unsigned flags);
/** @return 0 or -errno */
int ebd_flush(struct ebd_queue *q);
int ebd_discard(struct ebd_queue *q, uint64_t off, uint64_t len);
int ebd_write_zeroes(struct ebd_queue *q, uint64_t off, uint64_t len, unsigned flags);

/* ---- The ceiling ---- */

#define EBD_CEILING_MAX_NS 50000000000ull /**< time of one run at most */

/** A load as it would be without a protocol. */
struct ebd_ceiling_conf {
	const char *volume; /**< whose memory is read and, unless it is read-only, written */
	uint8_t target_mac[6]; /**< all zero: whoever has the volume */
	uint64_t off; /**< of the range used, bytes */
	uint64_t size; /**< of the range used, bytes; 0: to the end */
	uint32_t bs; /**< bytes of a request, a multiple of 512 */
	uint32_t depth; /**< requests in flight, 1 to 1024 */
	unsigned read_percent; /**< 100: only reads, 0: only writes */
	bool random; /**< order of the requests */
	uint64_t seed;
	uint64_t time_ns; /**< 1 ms to EBD_CEILING_MAX_NS */
	/** Runs for each request that ended, on this thread; NULL: nobody wants to know. */
	void (*done)(bool write, uint64_t latency_ns, void *arg);
	void *arg; /**< of done */
};

/** What came of it. */
struct ebd_ceiling_result {
	uint64_t reads, writes; /**< requests that ended within the time */
	uint64_t ns; /**< the time */
	uint64_t lost; /**< commands that were lost and sent again */
	uint64_t
		bytes; /**< the memory read from: the volume's own, or as much that stands for it */
};

/**
 * Exchange the frames that a load is made of, of the same shape and number as those of the protocol,
 * between the same two ports, with everything else taken out: what the link itself can do. The server
 * must have been started for it (`ceiling` in struct ebd_server_conf). The client's queues stay open;
 * they have a turn now and then. Not from inside a callback.
 * @return 0; -ETIMEDOUT (nobody answered within the client's connect_timeout_ms), -EBUSY (somebody
 *   else measures), -EINVAL, -ENOMEM, -EPIPE (the link went away), -EDEADLK, or what the client's
 *   background gave
 */
int ebd_ceiling_run(struct ebd_client *c, const struct ebd_ceiling_conf *conf,
	struct ebd_ceiling_result *result);

/* ---- Memory ---- */

/**
 * Memory that is sent and received without an extra copy where the link allows: from the EAL heap, on
 * the NUMA node of the link, 4096-byte aligned. Any other memory works too, with a counted copy.
 * @return NULL with errno ENOMEM
 */
void *ebd_arena_alloc(struct ebd_client *c, size_t bytes);
/**
 * Give such memory back when no request uses it any more. NULL is allowed. Any thread.
 *
 * A request under way that has sent from the memory without a copy, or that receives in place, is noticed:
 * an error line says so, and the memory stays until that request has ended. What cannot be noticed is a
 * request that has not begun, or is copied: it would read or write memory that may be somebody else's by
 * then. So wait for completions first. The same holds for any other memory that is freed, unmapped or used
 * for something else while a request has it: the library sees that for none of it.
 * @return 0, -EBUSY (a request uses it; the memory goes by itself when that has ended), -ENOENT (it is not
 *   from ebd_arena_alloc(), or was given back before)
 */
int ebd_arena_free(void *mem);

/**
 * Lend the library memory that cannot come from an arena: a guest's, a mapped file's. Writes from it leave
 * without a copy on links whose driver reads by CPU (vhost, memif, tap, ring); elsewhere nothing changes.
 * It stays the caller's, and mapped, until ebd_mem_unregister() gives 0. Any thread.
 * @return 0, -EEXIST (some of it is lent already), -EINVAL, -ENOMEM
 */
int ebd_mem_register(void *mem, size_t bytes);
/**
 * Take lent memory back. No request should use it any more; frames may still refer to it, and leave with the
 * rounds of ebd_poll(). A write under way that has sent from it is noticed, logged, and waited for; not noticed
 * are requests that have not begun, reads into it, and memory that is freed or unmapped without this call.
 * Any thread.
 * @param mem  as it was lent
 * @return 0: nobody reads it any more; -EBUSY: not yet, call it again; -ENOENT: it is not lent
 */
int ebd_mem_unregister(void *mem);

/* ---- Counters ---- */

#define EBD_COPY_SITES 12 /**< places where payload is copied, at most: see ebd_copy_site() */

/** Counters of a queue since it was opened. */
struct ebd_stats {
	uint64_t reads, writes, others; /**< requests completed */
	uint64_t read_bytes, write_bytes; /**< of completed requests */
	uint64_t errors; /**< requests completed with an error */
	uint64_t tx_frames, rx_frames; /**< of the session */
	uint64_t retransmits;
	uint64_t drops; /**< received frames that failed a check */
	uint64_t reconnects;
	uint64_t payload_bytes; /**< bytes of payload on the wire */
	uint64_t copied_bytes; /**< bytes moved by this library's code */
	uint64_t bounced_bytes; /**< of copied_bytes: moved more than once */
	uint64_t site_bytes[EBD_COPY_SITES]; /**< copied_bytes by place: ebd_copy_site() */
	uint64_t in_place_bytes;
	uint64_t loaned_bytes;
	uint64_t srtt_ns;
};
/** Read the counters of a queue. */
void ebd_queue_stats(const struct ebd_queue *q, struct ebd_stats *stats);
/** The name of the n-th place where payload is copied, such as "rx_place"; NULL at the end. */
const char *ebd_copy_site(unsigned n);

#ifdef __cplusplus
}
#endif

#endif
