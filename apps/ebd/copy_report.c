/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "copy.h"
#include "format.h"
#include "mpn_out.h"
#include "mpn_parse.h"

static void
add_queue(struct copy_result *r, struct ebd_queue *q)
{
	struct ebd_stats st;
	unsigned i;

	ebd_queue_stats(q, &st);
	r->stats.tx_frames += st.tx_frames;
	r->stats.rx_frames += st.rx_frames;
	r->stats.retransmits += st.retransmits;
	r->stats.reconnects += st.reconnects;
	r->stats.payload_bytes += st.payload_bytes;
	r->stats.copied_bytes += st.copied_bytes;
	r->stats.bounced_bytes += st.bounced_bytes;
	r->stats.in_place_bytes += st.in_place_bytes;
	r->stats.loaned_bytes += st.loaned_bytes;
	for (i = 0; i < EBD_COPY_SITES; i++)
		r->stats.site_bytes[i] += st.site_bytes[i];
}

void
copy_result_add(struct copy_result *r, const struct copy_end *e)
{
	unsigned i;

	if (e->q != NULL)
		add_queue(r, e->q);
	for (i = 0; i < e->nb_more; i++)
		add_queue(r, e->more[i]);
}

static double
per_second(uint64_t bytes, uint64_t ns)
{
	return ns > 0 ? (double)bytes * 1e3 / (double)ns : 0.0; /* MB/s */
}

static double
copies_per_byte(const struct ebd_stats *st)
{
	return st->payload_bytes > 0 ? (double)st->copied_bytes / (double)st->payload_bytes : 0.0;
}

static int
print_json(const struct copy_result *r, const char *src, const char *dst)
{
	struct mpn_out o;

	mpn_out_begin(&o, stdout, true);
	mpn_out_str(&o, "source", src);
	mpn_out_str(&o, "destination", dst);
	mpn_out_u64(&o, "bytes", r->bytes);
	mpn_out_u64(&o, "zero_bytes", r->zero_bytes);
	mpn_out_f64(&o, "seconds", (double)r->copy_ns / 1e9, 6);
	mpn_out_f64(&o, "mb_per_s", per_second(r->bytes, r->copy_ns), 1);
	mpn_out_u64(&o, "frames", r->stats.tx_frames + r->stats.rx_frames);
	mpn_out_u64(&o, "retransmits", r->stats.retransmits);
	mpn_out_u64(&o, "reconnects", r->stats.reconnects);
	format_payload(&o, &r->stats);
	mpn_out_f64(&o, "copies_per_byte", copies_per_byte(&r->stats), 3);
	mpn_out_bool(&o, "verified", r->verified);
	if (r->verified)
		mpn_out_f64(&o, "verify_seconds", (double)r->verify_ns / 1e9, 6);
	return mpn_out_end(&o);
}

static int
print_text(const struct copy_result *r)
{
	char size[32], zero[32];

	printf("copied %" PRIu64 " bytes (%s, %s of it zeroes) in %.3f s, %.1f MB/s\n", r->bytes,
		mpn_format_size(size, sizeof(size), r->bytes),
		mpn_format_size(zero, sizeof(zero), r->zero_bytes), (double)r->copy_ns / 1e9,
		per_second(r->bytes, r->copy_ns));
	printf("frames %" PRIu64 ", retransmits %" PRIu64 ", reconnects %" PRIu64
	       ", copies per byte %.2f\n",
		r->stats.tx_frames + r->stats.rx_frames, r->stats.retransmits, r->stats.reconnects,
		copies_per_byte(&r->stats));
	if (r->verified)
		printf("verified: both are equal (%.3f s, %.1f MB/s)\n", (double)r->verify_ns / 1e9,
			per_second(r->bytes, r->verify_ns));
	return fflush(stdout) != 0 ? -EIO : 0;
}

int
copy_result_print(const struct copy_result *r, bool json, const char *src, const char *dst)
{
	return json ? print_json(r, src, dst) : print_text(r);
}
