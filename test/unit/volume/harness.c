/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "mpn_log.h"

#define STUCK_NS 5000000000ull

static char folder[64];
static char last_line[1024];
static unsigned nb_lines;

static void
keep_line(enum mpn_log_level level, const char *topic, const char *line)
{
	nb_lines++;
	(void)snprintf(last_line, sizeof(last_line), "%s", line);
}

const char *
log_line(void)
{
	return last_line;
}

unsigned
log_count(void)
{
	return nb_lines;
}

void
log_clear(void)
{
	last_line[0] = '\0';
	nb_lines = 0;
}

int
harness_setup(void **state)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/mpnic-volume-XXXXXX");
	mpn_log_set_sink(keep_line);
	return mkdtemp(folder) != NULL ? 0 : -1;
}

int
harness_teardown(void **state)
{
	DIR *d = opendir(folder);
	struct dirent *e;

	mpn_log_set_sink(NULL);
	while (d != NULL && (e = readdir(d)) != NULL) {
		if (e->d_name[0] != '.' && unlinkat(dirfd(d), e->d_name, 0) != 0)
			(void)unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
	}
	if (d != NULL)
		closedir(d);
	return rmdir(folder);
}

const char *
test_path(const char *name)
{
	static char paths[4][256];
	static unsigned next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

const char *
make_file(const char *name, uint64_t size, int fill)
{
	const char *path = test_path(name);
	FILE *f = fopen(path, "w");
	uint64_t i;

	assert_non_null(f);
	for (i = 0; i < size; i++)
		putc(fill, f);
	assert_int_equal(fclose(f), 0);
	return path;
}

bool
has_direct(void)
{
	int fd = open(make_file("direct", 4096, 0), O_RDONLY | O_DIRECT);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

struct volume *
must_open(const char *fmt, ...)
{
	struct volume *v;
	char spec[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(spec, sizeof(spec), fmt, ap);
	va_end(ap);
	log_clear();
	if (vol_open_spec(spec, &v) != 0)
		fail_msg("cannot open '%s': %s", spec, last_line);
	assert_string_equal(vol_spec(v), spec);
	return v;
}

void
must_refuse(int err, const char *part, const char *fmt, ...)
{
	struct volume *v;
	char spec[512];
	va_list ap;
	int rc;

	va_start(ap, fmt);
	(void)vsnprintf(spec, sizeof(spec), fmt, ap);
	va_end(ap);
	log_clear();
	errno = 0;
	rc = vol_open_spec(spec, &v);
	if (rc != -err || errno != err || nb_lines != 1 || strstr(last_line, part) == NULL)
		fail_msg("'%s' gave %d and %u lines, the last '%s'; not %d and '%s'", spec, rc,
			nb_lines, last_line, -err, part);
	assert_null(v);
}

void
wait_and_poll(struct volume *v)
{
	struct pollfd pfd = {.fd = vol_fd(v), .events = POLLIN};
	uint64_t wait_ns = vol_next_ns(v);

	if (wait_ns > 0) {
		uint64_t ns = MPN_MIN(wait_ns, STUCK_NS);
		struct timespec ts = {
			.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
		int n = ppoll(&pfd, pfd.fd >= 0, &ts, NULL);

		if (n == 0 && wait_ns > STUCK_NS)
			fail_msg("%s: %u requests in flight and nothing happens", vol_spec(v),
				vol_get_stats(v)->in_flight);
	}
	(void)vol_poll(v);
}

struct one_io {
	struct vol_io io;
	bool done;
	int status;
};

static void
note_done(struct vol_io *io, int status)
{
	struct one_io *one = io->user;

	assert_false(one->done);
	one->done = true;
	one->status = status;
}

int
run_io(struct volume *v, enum vol_op op, unsigned flags, uint64_t off, void *buf, uint64_t len)
{
	struct iovec iov = {buf, len};
	bool moves = op == VOL_READ || op == VOL_WRITE;
	struct one_io one = {
		.io =
			{
				.op = op,
				.flags = flags,
				.off = off,
				.len = len,
				.iov = moves ? &iov : NULL,
				.iovcnt = moves,
				.done = note_done,
			},
	};
	int rc;

	one.io.user = &one;
	rc = vol_submit(v, &one.io);
	assert_false(one.done);
	if (rc != 0) {
		assert_int_equal(errno, -rc);
		return rc;
	}
	while (!one.done)
		wait_and_poll(v);
	return one.status;
}

void
must_read(struct volume *v, uint64_t off, uint64_t len, int fill)
{
	uint8_t *buf = malloc(len);
	uint64_t i;

	memset(buf, ~fill, len);
	assert_int_equal(run_io(v, VOL_READ, 0, off, buf, len), 0);
	for (i = 0; i < len; i++) {
		if (buf[i] != (uint8_t)fill)
			fail_msg("%s: byte %llu is %02x, not %02x", vol_spec(v),
				(unsigned long long)(off + i), buf[i], (unsigned)fill);
	}
	free(buf);
}

void
must_write(struct volume *v, unsigned flags, uint64_t off, uint64_t len, int fill)
{
	uint8_t *buf = malloc(len);

	memset(buf, fill, len);
	assert_int_equal(run_io(v, VOL_WRITE, flags, off, buf, len), 0);
	free(buf);
}
