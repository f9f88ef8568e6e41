/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* How far a copy has come: a small file that another copy goes on from. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "copy.h"
#include "mpn_parse.h"

#define NOTE_NS \
	(5ull * 1000000000ull) /* how much is done twice at most, and how often it flushes */

int
copy_resume_load(struct copy_resume *r, const char *path, const char *src, const char *dst,
	uint64_t size, uint64_t *off)
{
	char text[sizeof(r->head) + 64];
	size_t head, n;
	FILE *f;
	int rc;

	r->path = path;
	r->next_ns = ebd_now_ns() + NOTE_NS;
	*off = 0;
	head = (size_t)snprintf(r->head, sizeof(r->head),
		"ebd copy, to be resumed\n%s\n%s\n%" PRIu64 "\n", src, dst, size);
	if (head >= sizeof(r->head))
		return -ENAMETOOLONG;
	f = fopen(path, "re");
	if (f == NULL)
		return errno == ENOENT ? 0 : -errno;
	errno = 0;
	n = fread(text, 1, sizeof(text) - 1, f);
	rc = ferror(f) ? -errno : 0;
	fclose(f);
	if (rc != 0)
		return rc;
	text[n] = '\0';
	if (n <= head || memcmp(text, r->head, head) != 0 || text[n - 1] != '\n')
		return -ESTALE;
	text[n - 1] = '\0';
	return mpn_parse_u64(text + head, 0, size, off) == 0 ? 0 : -ESTALE;
}

/* All of it or nothing: a file of its own, then the name. */
static int
save(const struct copy_resume *r, uint64_t off)
{
	char path[4096];
	FILE *f;
	int bad;

	if (snprintf(path, sizeof(path), "%s.new", r->path) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	f = fopen(path, "we");
	if (f == NULL)
		return -errno;
	bad = fprintf(f, "%s%" PRIu64 "\n", r->head, off) < 0;
	bad |= fflush(f) != 0 || fsync(fileno(f)) != 0;
	bad |= fclose(f) != 0;
	if (!bad && rename(path, r->path) == 0)
		return 0;
	bad = errno;
	(void)unlink(path);
	return -bad;
}

int
copy_resume_note(struct copy_resume *r, struct copy_end *dst, uint64_t off, bool now)
{
	int rc;

	if (!now && ebd_now_ns() < r->next_ns)
		return 0;
	rc = dst->can_flush ? dst->ops->flush(dst) : 0;
	if (rc == 0)
		rc = save(r, off);
	r->next_ns = ebd_now_ns() + NOTE_NS;
	return rc;
}

void
copy_resume_forget(struct copy_resume *r)
{
	(void)unlink(r->path);
}
