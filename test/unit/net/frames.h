/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Frames of TCP and UDP for tests, and a judge of them that shares no line with what is tested. */

#ifndef FRAMES_H
#define FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

struct frame_spec {
	bool v6;
	bool udp;
	bool tagged;
	uint8_t options; /* bytes of TCP options, a multiple of 4 */
	uint8_t flags; /* of TCP; 0: ACK */
	uint32_t seq;
	uint32_t bytes; /* behind the headers: a pattern that follows from seq and the place */
	bool partial; /* the checksum is the pseudo header's, else it is complete */
	uint8_t dst[6], src[6];
};

/* Bytes of headers. */
uint32_t frame_head_len(const struct frame_spec *s);
/* Write it, at most size bytes. @return its length */
uint32_t frame_write(const struct frame_spec *s, uint8_t *to, uint32_t size);
/* The same in segments of at most room bytes. NULL: no memory */
struct rte_mbuf *frame_make(const struct frame_spec *s, struct rte_mempool *pool, uint32_t room);

/*
 * Is it complete: lengths, IPv4's checksum, TCP's or UDP's, the pattern? What it has of the stream goes to
 * *seq, *bytes, *flags. False: why is in frame_fault.
 */
bool
frame_is_right(const uint8_t *frame, uint32_t len, uint32_t *seq, uint32_t *bytes, uint8_t *flags);
extern const char *frame_fault;

#endif
