/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The nbd back end against nbdkit, which is killed, stopped and replaced under it. */

#include "nbd.h"
#include "nbd_server.h"

#define MIB (1u << 20)

static struct volume *
open_nbd(const char *options)
{
	return must_open("nbd:nbd+unix:///?socket=%s%s", nbd_server_socket(), options);
}

static uint64_t
printed(const struct volume *v, const char *key)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	struct mpn_out o;
	char pattern[64];
	uint64_t value;
	char *pos;

	mpn_out_begin(&o, f, true);
	vol_print(v, &o);
	assert_int_equal(mpn_out_end(&o), 0);
	fclose(f);
	(void)snprintf(pattern, sizeof(pattern), "\"%s\": ", key);
	pos = strstr(text, pattern);
	assert_non_null(pos);
	value = strtoull(pos + strlen(pattern), NULL, 10);
	free(text);
	return value;
}

static void
bad_arguments_say_why(void **state)
{
	must_refuse(EINVAL, "a URI such as nbd://", "nbd:");
	must_refuse(EINVAL, "a URI such as nbd://", "nbd:http://example.org/");
	must_refuse(EINVAL, "connections: '17': expected a number from 1 to 16",
		"nbd:nbd://localhost,connections=17");
	must_refuse(EINVAL, "fail-after: '0': expected a time", "nbd:nbd://localhost,fail-after=0");
	must_refuse(EINVAL, "speed: '1': expected connections=", "nbd:nbd://localhost,speed=1");
	must_refuse(ENOENT, "cannot connect:", "nbd:nbd+unix:///?socket=%s", test_path("none"));
}

static void
the_handshake_tells_what_it_is_like(void **state)
{
	struct volume *v;
	uint8_t uuid[16];

	nbd_server_start("memory 3M");
	v = open_nbd("");
	assert_int_equal(vol_get_info(v)->size, 3 * MIB);
	assert_int_equal(vol_get_info(v)->block_size, 512);
	assert_int_equal(vol_get_info(v)->caps,
		VOL_CAP_FLUSH | VOL_CAP_FUA | VOL_CAP_DISCARD | VOL_CAP_WRITE_ZEROES);
	assert_int_equal(printed(v, "connections"), 4);
	memcpy(uuid, vol_get_info(v)->uuid, 16);
	vol_close(v);
	v = open_nbd(",connections=2");
	assert_int_equal(printed(v, "connections"), 2);
	assert_memory_equal(vol_get_info(v)->uuid, uuid, 16);
	vol_close(v);
	nbd_server_stop();

	nbd_server_start("-r --filter=blocksize-policy memory 1M blocksize-minimum=4096 "
			 "blocksize-preferred=64K blocksize-maximum=1M");
	v = open_nbd("");
	assert_int_equal(vol_get_info(v)->block_size, 4096);
	assert_int_equal(vol_get_info(v)->phys_block, 65536);
	assert_int_equal(vol_get_info(v)->caps, VOL_CAP_READONLY);
	vol_close(v);
	nbd_server_stop();
}

/* Nothing of the server's promise, nothing of the volume's. */
static void
one_connection_without_multi_conn(void **state)
{
	struct volume *v;

	nbd_server_start("--filter=multi-conn memory 1M multi-conn-mode=disable");
	v = open_nbd(",connections=3");
	assert_non_null(strstr(log_line(), "does not promise multi-conn"));
	assert_int_equal(printed(v, "connections"), 1);
	must_write(v, VOL_FUA, 4096, 8192, 'a');
	must_read(v, 4096, 8192, 'a');
	vol_close(v);
	nbd_server_stop();
}

/* A server that takes 64 KiB at a time gets pieces; memory in pieces goes through a buffer. */
static void
requests_are_cut_as_the_server_likes(void **state)
{
	uint8_t *out = malloc(MIB), *in = malloc(MIB);
	struct volume *v;
	unsigned i;

	nbd_server_start(
		"--filter=blocksize-policy memory 2M blocksize-minimum=512 "
		"blocksize-preferred=4096 blocksize-maximum=64K blocksize-error-policy=error");
	v = open_nbd("");
	for (i = 0; i < MIB; i++)
		out[i] = (uint8_t)(i * 7 + (i >> 12));
	assert_int_equal(run_io(v, VOL_WRITE, 0, 4096, out, MIB), 0);
	assert_int_equal(run_io(v, VOL_READ, 0, 4096, in, MIB), 0);
	assert_memory_equal(in, out, MIB);
	assert_int_equal(vol_get_stats(v)->bounced_bytes, 0);
	assert_int_equal(run_io(v, VOL_WRITE_ZEROES, 0, 0, NULL, 2 * MIB), 0);
	must_read(v, 0, 2 * MIB, 0);
	vol_close(v);
	nbd_server_stop();
	free(out);
	free(in);
}

static void
errors_are_those_of_the_server(void **state)
{
	struct volume *v;
	char buf[4096];

	nbd_server_start("--filter=error memory 1M error-pread=EIO error-pread-rate=100% "
			 "error-pwrite=ENOSPC error-pwrite-rate=100%");
	v = open_nbd("");
	assert_int_equal(run_io(v, VOL_READ, 0, 0, buf, 4096), -EIO);
	assert_int_equal(run_io(v, VOL_WRITE, 0, 0, buf, 4096), -ENOSPC);
	assert_int_equal(run_io(v, VOL_FLUSH, 0, 0, NULL, 0), 0);
	assert_int_equal(printed(v, "reconnects"), 0);
	vol_close(v);
	nbd_server_stop();
}

static void
a_server_may_come_back(void **state)
{
	const char *image = make_file("image", MIB, 'o');
	struct volume *v;
	char args[300];

	(void)snprintf(args, sizeof(args), "file %s", image);
	nbd_server_start(args);
	v = open_nbd("");
	must_write(v, 0, 0, 65536, 'n');
	nbd_server_stop();
	nbd_server_start(args);
	must_read(v, 0, 65536, 'n');
	must_read(v, 65536, 65536, 'o');
	assert_in_range(printed(v, "reconnects"), 1, 4);
	vol_close(v);
	nbd_server_stop();
}

/* Requests that are under way when the server dies, and none is lost. */
struct flood {
	struct vol_io io;
	struct iovec iov;
	uint8_t data[4096];
};

static unsigned nb_done, nb_failed;

static void
count_done(struct vol_io *io, int status)
{
	nb_done++;
	nb_failed += status != 0;
}

static struct flood floods[64];

static void
submit_flood(struct volume *v, enum vol_op op)
{
	unsigned i;

	nb_done = 0;
	nb_failed = 0;
	for (i = 0; i < MPN_ARRAY_SIZE(floods); i++) {
		struct flood *f = &floods[i];

		memset(f->data, op == VOL_WRITE ? (int)i : 0xee, sizeof(f->data));
		f->iov = (struct iovec){f->data, sizeof(f->data)};
		f->io = (struct vol_io){.op = op,
			.off = 4096ull * i,
			.len = 4096,
			.iov = &f->iov,
			.iovcnt = 1,
			.done = count_done};
		assert_int_equal(vol_submit(v, &f->io), 0);
	}
}

static void
nothing_is_lost_with_a_connection(void **state)
{
	const char *image = make_file("image", MIB, 'o');
	struct volume *v;
	char args[300];
	unsigned i;

	(void)snprintf(args, sizeof(args), "--filter=delay file %s wdelay=30ms rdelay=30ms", image);
	nbd_server_start(args);
	v = open_nbd("");
	submit_flood(v, VOL_WRITE);
	(void)vol_poll(v);
	nbd_server_stop();
	(void)vol_poll(v);
	nbd_server_start(args);
	while (nb_done < MPN_ARRAY_SIZE(floods))
		wait_and_poll(v);
	assert_int_equal(nb_failed, 0);
	assert_true(printed(v, "resent") > 0);
	submit_flood(v, VOL_READ);
	while (nb_done < MPN_ARRAY_SIZE(floods))
		wait_and_poll(v);
	assert_int_equal(nb_failed, 0);
	for (i = 0; i < MPN_ARRAY_SIZE(floods); i++)
		assert_int_equal(floods[i].data[77], i);
	vol_close(v);
	nbd_server_stop();
}

static void
end_flood(struct volume *v)
{
	while (nb_done < MPN_ARRAY_SIZE(floods))
		wait_and_poll(v);
	assert_int_equal(nb_failed, 0);
}

/* The next connection is for what the first one has no room for; when all are full they share. */
static void
connections_are_filled_in_turn(void **state)
{
	static const unsigned two[] = {2 * NBD_FILL, 2 * NBD_FILL},
			      four[] = {NBD_FILL, NBD_FILL, NBD_FILL};
	struct volume *v;
	struct nbd_priv *p;
	unsigned i;

	nbd_server_start("memory 1M");
	v = open_nbd(",connections=2");
	p = vol_priv(v);
	nbd_server_signal(SIGSTOP);
	submit_flood(v, VOL_READ);
	for (i = 0; i < MPN_ARRAY_SIZE(two); i++)
		assert_int_equal(p->conns[i].in_flight, two[i]);
	nbd_server_signal(SIGCONT);
	end_flood(v);
	vol_close(v);
	v = open_nbd(",connections=5");
	p = vol_priv(v);
	nbd_server_signal(SIGSTOP);
	submit_flood(v, VOL_READ);
	for (i = 0; i < MPN_ARRAY_SIZE(four); i++)
		assert_int_equal(p->conns[i].in_flight, four[i]);
	assert_int_equal(p->conns[4].in_flight, 0);
	nbd_server_signal(SIGCONT);
	end_flood(v);
	vol_close(v);
	nbd_server_stop();
}

/* Many answers at once, with and without data, well or not, in a socket that holds only some of them. */
static void
answers_that_come_at_once_are_all_read(void **state)
{
	struct volume *v;
	unsigned round, i;

	nbd_server_start("--filter=error memory 1M error-pwrite=EIO error-pwrite-rate=30%");
	v = open_nbd(",connections=1");
	for (round = 0; round < 8; round++) {
		struct flood *f = &floods[round * 8 + 3];

		submit_flood(v, VOL_WRITE);
		while (nb_done < MPN_ARRAY_SIZE(floods))
			wait_and_poll(v);
		while (run_io(v, VOL_WRITE, 0, f->io.off, f->data, sizeof(f->data)) != 0)
			;
		memset(f->data, 0, sizeof(f->data));
		nbd_server_signal(SIGSTOP);
		submit_flood(v, VOL_READ);
		nbd_server_signal(SIGCONT);
		end_flood(v);
		assert_int_equal(f->data[77], f - floods);
	}
	for (i = 0; i < MPN_ARRAY_SIZE(floods); i++)
		assert_int_not_equal(floods[i].data[77], 0xee);
	assert_int_equal(printed(v, "reconnects"), 0);
	vol_close(v);
	nbd_server_stop();
}

static void
requests_fail_after_the_bound(void **state)
{
	struct volume *v;
	uint64_t start;
	char buf[4096];

	nbd_server_start("memory 1M");
	v = open_nbd(",fail-after=300ms");
	must_read(v, 0, 4096, 0);
	/* It says nothing any more, its connections stand. */
	nbd_server_signal(SIGSTOP);
	start = vol_now_ns();
	assert_int_equal(run_io(v, VOL_READ, 0, 0, buf, 4096), -ETIMEDOUT);
	assert_in_range(vol_now_ns() - start, 300000000, 20000000000);
	/* It is gone. */
	nbd_server_stop();
	start = vol_now_ns();
	assert_int_equal(run_io(v, VOL_WRITE, 0, 0, buf, 4096), -ETIMEDOUT);
	assert_in_range(vol_now_ns() - start, 300000000, 20000000000);
	/* It is back. */
	nbd_server_start("memory 1M");
	while (run_io(v, VOL_READ, 0, 0, buf, 4096) != 0)
		;
	vol_close(v);
	nbd_server_stop();
}

static void
a_shrunk_export_fails_behind_its_end(void **state)
{
	struct volume *v;
	char buf[4096];

	nbd_server_start("memory 1M");
	v = open_nbd(",connections=1");
	nbd_server_stop();
	nbd_server_start("memory 512K");
	must_read(v, 0, 4096, 0);
	assert_non_null(strstr(log_line(), "has shrunk to 524288 bytes"));
	assert_int_equal(run_io(v, VOL_READ, 0, 524288, buf, 4096), -EIO);
	assert_int_equal(run_io(v, VOL_READ, 0, 524288 - 2048, buf, 4096), -EIO);
	must_read(v, 524288 - 4096, 4096, 0);
	vol_close(v);
	nbd_server_stop();
}

struct asked {
	struct vol_io io;
	struct iovec iov;
	char buf[4096];
	int status; /* 1: not yet */
};

static void
note_status(struct vol_io *io, int status)
{
	((struct asked *)io->user)->status = status;
}

/* Under way when the size is asked for: it is answered by the connection it was sent on. */
static void
ask(struct volume *v, struct asked *a)
{
	*a = (struct asked){.status = 1};
	a->iov = (struct iovec){a->buf, sizeof(a->buf)};
	a->io = (struct vol_io){.op = VOL_READ,
		.len = sizeof(a->buf),
		.iov = &a->iov,
		.iovcnt = 1,
		.done = note_status,
		.user = a};
	assert_int_equal(vol_submit(v, &a->io), 0);
}

static void
resize_to(struct volume *v, const char *path, uint64_t bytes)
{
	struct asked a;
	uint64_t size;

	ask(v, &a);
	assert_int_equal(truncate(path, (off_t)bytes), 0);
	assert_int_equal(vol_find_size(v, &size), 0);
	assert_int_equal(size, bytes);
	assert_int_equal(vol_set_size(v, size), 0);
	must_write(v, 0, bytes - 4096, 4096, 'e');
	must_read(v, bytes - 4096, 4096, 'e');
	assert_int_equal(a.status, 0);
}

static void
an_export_that_grows_and_shrinks(void **state)
{
	static const char *const more[] = {",connections=1", ",connections=4"};
	char buf[4096], path[256], server[300];
	uint64_t reconnects, size;
	struct volume *v;
	size_t i;

	(void)snprintf(path, sizeof(path), "%s", make_file("grows", 1 << 20, 'a'));
	(void)snprintf(server, sizeof(server), "file %s", path);
	for (i = 0; i < MPN_ARRAY_SIZE(more); i++) {
		assert_int_equal(truncate(path, 1 << 20), 0);
		nbd_server_start(server);
		v = open_nbd(more[i]);
		assert_int_equal(run_io(v, VOL_READ, 0, 1 << 20, buf, 4096), -EINVAL);
		resize_to(v, path, 3 << 20);
		reconnects = printed(v, "reconnects");
		assert_true(reconnects > 0);
		resize_to(v, path, 1 << 19);
		assert_int_equal(run_io(v, VOL_READ, 0, 1 << 19, buf, 4096), -EINVAL);
		/* The same again is no reason to connect. */
		while (printed(v, "connections") < printed(v, "connections_wanted"))
			must_read(v, 0, 4096, 'a');
		reconnects = printed(v, "reconnects");
		assert_int_equal(vol_find_size(v, &size), 0);
		must_read(v, 0, 4096, 'a');
		assert_int_equal(printed(v, "reconnects"), reconnects);
		nbd_server_stop();
		assert_int_equal(vol_find_size(v, &size), -ENOENT);
		assert_non_null(strstr(log_line(), "cannot get its size"));
		vol_close(v);
	}
}

/* Closing while a connection is in the making must not wait for it. */
static void
closing_ends_a_connection_attempt(void **state)
{
	struct volume *v;
	uint64_t start;
	char buf[4096];

	nbd_server_start("memory 1M");
	v = open_nbd(",fail-after=50ms");
	nbd_server_stop();
	nbd_server_start("memory 1M");
	nbd_server_signal(SIGSTOP);
	(void)run_io(v, VOL_READ, 0, 0, buf, 4096);
	start = vol_now_ns();
	vol_close(v);
	assert_true(vol_now_ns() - start < 5000000000);
	nbd_server_stop();
}

static int
stop_server(void **state)
{
	nbd_server_stop();
	return 0;
}

static int
need_server(void **state)
{
	if (!nbd_server_exists())
		SKIP_BECAUSE("no nbdkit here");
	return 0;
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, need_server, stop_server)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_arguments_say_why),
		WITH_SERVER(the_handshake_tells_what_it_is_like),
		WITH_SERVER(one_connection_without_multi_conn),
		WITH_SERVER(requests_are_cut_as_the_server_likes),
		WITH_SERVER(errors_are_those_of_the_server),
		WITH_SERVER(a_server_may_come_back),
		WITH_SERVER(nothing_is_lost_with_a_connection),
		WITH_SERVER(connections_are_filled_in_turn),
		WITH_SERVER(answers_that_come_at_once_are_all_read),
		WITH_SERVER(requests_fail_after_the_bound),
		WITH_SERVER(a_shrunk_export_fails_behind_its_end),
		WITH_SERVER(an_export_that_grows_and_shrinks),
		WITH_SERVER(closing_ends_a_connection_attempt),
	};

	return cmocka_run_group_tests(tests, harness_setup, harness_teardown);
}
