/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The counters of a server as OpenMetrics 1.0 text, over as much of HTTP/1.0 as that takes. */

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "mpn_err.h"

static const struct {
	const char *name;
	const char *help;
	bool counter;
	size_t offset;
} metrics[] = {
#define M(field, name, help, counter) \
	{ \
		name, help, counter, offsetof(struct ebd_server_stats, field) \
	}
	M(sessions, "ebd_sessions", "Sessions that are open.", false),
	M(commands, "ebd_commands", "Commands completed.", true),
	M(read_bytes, "ebd_read_bytes", "Bytes read by clients.", true),
	M(write_bytes, "ebd_written_bytes", "Bytes written by clients.", true),
	M(errors, "ebd_errors", "Commands that failed.", true),
	M(rx_frames, "ebd_received_frames", "Frames received.", true),
	M(tx_frames, "ebd_sent_frames", "Frames sent.", true),
	M(retransmits, "ebd_retransmitted_frames", "Frames sent again.", true),
	M(drops, "ebd_dropped_frames", "Frames dropped.", true),
	M(copied_bytes, "ebd_copied_bytes", "Bytes of payload copied.", true),
	M(buffers, "ebd_staging_bytes", "Bytes of staging buffers in use.", false),
	M(closing, "ebd_volumes_closing", "Volumes that were removed and are not closed yet.",
		false),
	M(memory, "ebd_memory_bytes", "Bytes taken for sessions, commands and buffers.", false),
#undef M
};

static void
print_metrics(const struct ebd_server *s, FILE *f)
{
	struct ebd_export_info info;
	struct ebd_server_stats st;
	unsigned n;
	size_t i;

	ebd_server_get_stats(s, &st);
	for (i = 0; i < MPN_ARRAY_SIZE(metrics); i++) {
		uint64_t value;

		memcpy(&value, (const char *)&st + metrics[i].offset, sizeof(value));
		fprintf(f, "# TYPE %s %s\n# HELP %s %s\n%s%s %" PRIu64 "\n", metrics[i].name,
			metrics[i].counter ? "counter" : "gauge", metrics[i].name, metrics[i].help,
			metrics[i].name, metrics[i].counter ? "_total" : "", value);
	}
	fprintf(f, "# TYPE ebd_volume_size_bytes gauge\n"
		   "# HELP ebd_volume_size_bytes Size of a volume.\n");
	for (n = 0; ebd_export_get(s, n, &info) == 0; n++) {
		const char *c;

		fputs("ebd_volume_size_bytes{volume=\"", f);
		for (c = info.name; *c != '\0'; c++) {
			if (*c == '"' || *c == '\\')
				fputc('\\', f);
			fputc(*c, f);
		}
		fprintf(f, "\"} %" PRIu64 "\n", info.size);
	}
	fputs("# EOF\n", f);
}

void
metrics_answer(void *ctx, const char *text, FILE *out)
{
	if (strncmp(text, "GET ", 4) != 0) {
		fputs("HTTP/1.0 405 Method Not Allowed\r\nAllow: GET\r\nConnection: close\r\n\r\n",
			out);
		return;
	}
	if (strncmp(text + 4, "/metrics ", 9) != 0) {
		fputs("HTTP/1.0 404 Not Found\r\nConnection: close\r\n\r\n", out);
		return;
	}
	fputs("HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Type: "
	      "application/openmetrics-text; version=1.0.0; charset=utf-8\r\n\r\n",
		out);
	print_metrics(ctx, out);
}
