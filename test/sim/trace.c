/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <inttypes.h>

#include "fault.h"
#include "placing.h"
#include "trace.h"
#include "wire_ebd.h"
#include "xfer.h"

static const char *const kind_names[] = {
#define X(name, text) #name,
	SIM_TRACE_LIST(X)
#undef X
};

static const char *const event_names[] = {"OPENED", "LOST", "REFUSED", "CLOSED", "CHANGED"};

static const char *
node_name(uint8_t node)
{
	static const char *const names[] = {
		"tgt", "ini1", "ini2", "ini3", "ini4", "ini5", "ini6", "ini7"};

	return node < MPN_ARRAY_SIZE(names) ? names[node] : "all";
}

static void
print_frame(FILE *f, const struct sim_record *r)
{
	struct wire_ebd h = {0};
	uint8_t kind;

	fprintf(f, "%-4s -> %-4s ", node_name(r->from), node_name(r->to));
	if (r->len < WIRE_EBD_HDR_LEN) {
		fprintf(f, "%u bytes\n", r->len);
		return;
	}
	wire_ebd_load(&h, r->hdr);
	kind = wire_ebd_kind(&h);
	fprintf(f,
		"%s %s sid=%08x tag=%04x.%04x cseq=%08x addr=%" PRIx64
		" off=%u plen=%u flags=%x ack=%08x limit=%08x len=%u",
		wire_kind_name(kind), wire_op_name(kind, h.op), h.sid, h.tag >> 16, h.tag & 0xffff,
		h.cseq, h.addr, h.off, h.plen, h.flags, h.ack, h.limit, r->len);
	if (r->kind == TR_LOST)
		fprintf(f, " (%s)", r->a < SIM_F_COUNT ? sim_fault_names[r->a] : "down");
	fputc('\n', f);
}

static void
print_event(FILE *f, const struct sim_record *r)
{
	fprintf(f, "%-12s ", node_name(r->from));
	switch (r->kind) {
	case TR_FAULT:
		fprintf(f, "%s %" PRIu64 " %" PRIu64 "\n",
			r->a < SIM_F_COUNT ? sim_fault_names[r->a] : "?", r->b, r->c);
		break;
	case TR_SUBMIT:
	case TR_EXEC:
		fprintf(f, "#%" PRIu64 " %s sectors %" PRIu64 " + %" PRIu64 "\n", r->a,
			wire_op_name(WIRE_CMD, (uint8_t)r->b), r->c >> 32, r->c & UINT32_MAX);
		break;
	case TR_DONE:
	case TR_EXECUTED:
		fprintf(f, "#%" PRIu64 " status %" PRId64 "\n", r->a, (int64_t)r->b);
		break;
	case TR_SESSION:
		fprintf(f, "%s status %" PRId64 " sid=%08" PRIx64 "\n",
			r->a < MPN_ARRAY_SIZE(event_names) ? event_names[r->a] : "?", (int64_t)r->b,
			r->c);
		break;
	case TR_MODE:
		fprintf(f, "%s, ring of %" PRIu64 "\n",
			r->a < SIM_MODES ? sim_mode_names[r->a] : "?", r->b);
		break;
	default:
		fprintf(f, "%" PRIu64 "\n", r->a);
	}
}

static void
print_record(FILE *f, const struct sim_record *r)
{
	fprintf(f, "%14.3f us %-8s ", (double)r->at / 1000, kind_names[r->kind]);
	if (r->kind == TR_SEND || r->kind == TR_ARRIVE || r->kind == TR_LOST)
		print_frame(f, r);
	else
		print_event(f, r);
}

void
trace_keep(struct sim_trace *t, const struct sim_record *r)
{
	t->ring[(t->count - 1) % t->ring_size] = *r;
	if (t->live)
		print_record(stdout, r);
}

void
trace_print(const struct sim_trace *t, FILE *f, uint32_t n)
{
	uint64_t i;

	if (t->ring == NULL)
		return;
	if (n > t->ring_size)
		n = t->ring_size;
	for (i = t->count > n ? t->count - n : 0; i < t->count; i++)
		print_record(f, &t->ring[i % t->ring_size]);
}
