/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The note of how far a copy has come: what is believed of it, and when it is written. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "copy.h"

#define SIZE (1ull << 30)
#define PERIOD_NS 5000000000ull

static uint64_t now_ns;
static char folder[] = "/tmp/copy_resume_test.XXXXXX";
static char path[64];
static struct copy_resume resume;
static unsigned nb_flushes;
static int flush_status;
static uint64_t noted_at_flush;

uint64_t
ebd_now_ns(void)
{
	return now_ns;
}

static int
load(const char *src, const char *dst, uint64_t size, uint64_t *off)
{
	static struct copy_resume other;

	return copy_resume_load(&other, path, src, dst, size, off);
}

/* What a copy that begins now would be told; 1 for a note it would not take. */
static uint64_t
noted(void)
{
	uint64_t off;

	return load("a", "b", SIZE, &off) == 0 ? off : 1;
}

static int
flush(struct copy_end *e)
{
	nb_flushes++;
	noted_at_flush = noted();
	return flush_status;
}

static const struct copy_end_ops ops = {.flush = flush};
static struct copy_end dst = {.ops = &ops, .can_flush = true};

static int
set_up(void **state)
{
	uint64_t off;

	nb_flushes = 0;
	flush_status = 0;
	dst.can_flush = true;
	(void)unlink(path);
	assert_int_equal(copy_resume_load(&resume, path, "a", "b", SIZE, &off), 0);
	assert_int_equal(off, 0);
	return 0;
}

static void
write_note(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void
what_is_noted_is_found(void **state)
{
	assert_int_equal(copy_resume_note(&resume, &dst, 4096, true), 0);
	assert_int_equal(noted(), 4096);
	assert_int_equal(copy_resume_note(&resume, &dst, SIZE, true), 0);
	assert_int_equal(noted(), SIZE);
	copy_resume_forget(&resume);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(noted(), 0);
	copy_resume_forget(&resume);
}

/* What is noted must be there after a crash: first the data, then the note. */
static void
the_data_is_durable_first(void **state)
{
	assert_int_equal(copy_resume_note(&resume, &dst, 4096, true), 0);
	assert_int_equal(nb_flushes, 1);
	assert_int_equal(noted_at_flush, 0);
	assert_int_equal(copy_resume_note(&resume, &dst, 8192, true), 0);
	assert_int_equal(noted_at_flush, 4096);
	/* Without it nothing is noted. */
	flush_status = -EIO;
	assert_int_equal(copy_resume_note(&resume, &dst, 16384, true), -EIO);
	assert_int_equal(noted(), 8192);
	/* A destination that has no cache needs none. */
	dst.can_flush = false;
	assert_int_equal(copy_resume_note(&resume, &dst, 16384, true), 0);
	assert_int_equal(nb_flushes, 3);
	assert_int_equal(noted(), 16384);
}

static void
not_too_often(void **state)
{
	assert_int_equal(copy_resume_note(&resume, &dst, 4096, false), 0);
	assert_int_equal(nb_flushes, 0);
	assert_int_equal(noted(), 0);
	now_ns += PERIOD_NS;
	assert_int_equal(copy_resume_note(&resume, &dst, 8192, false), 0);
	assert_int_equal(noted(), 8192);
	now_ns += PERIOD_NS - 1;
	assert_int_equal(copy_resume_note(&resume, &dst, 16384, false), 0);
	assert_int_equal(nb_flushes, 1);
	assert_int_equal(copy_resume_note(&resume, &dst, 16384, true), 0);
	assert_int_equal(noted(), 16384);
}

static void
notes_of_other_copies_are_refused(void **state)
{
	uint64_t off;

	assert_int_equal(copy_resume_note(&resume, &dst, 4096, true), 0);
	assert_int_equal(load("x", "b", SIZE, &off), -ESTALE);
	assert_int_equal(load("a", "x", SIZE, &off), -ESTALE);
	assert_int_equal(load("a", "b", SIZE + 1, &off), -ESTALE);
	assert_int_equal(load("a\nb", "", SIZE, &off), -ESTALE);
	assert_int_equal(load("a", "b", SIZE, &off), 0);
}

static void
damaged_notes_are_refused(void **state)
{
	static const char *const ends[] = {
		"",
		"\n",
		"4096",
		"-1\n",
		"4096 \n",

		"1073741825\n",
		"99999999999999999999\n",
		"4096\n8192\n",
	};
	char text[128];
	uint64_t off;
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(ends); i++) {
		(void)snprintf(text, sizeof(text), "ebd copy, to be resumed\na\nb\n1073741824\n%s",
			ends[i]);
		write_note(text);
		if (load("a", "b", SIZE, &off) != -ESTALE)
			fail_msg("a note that ends in '%s' was taken", ends[i]);
	}
	write_note("");
	assert_int_equal(load("a", "b", SIZE, &off), -ESTALE);
	write_note("root:x:0:0:root:/root:/bin/bash\n");
	assert_int_equal(load("a", "b", SIZE, &off), -ESTALE);
	write_note("ebd copy, to be resumed\na\nb\n1073741824\n1073741824\n");
	assert_int_equal(load("a", "b", SIZE, &off), 0);
	assert_int_equal(off, SIZE);
}

static void
what_cannot_be_written_is_said(void **state)
{
	static struct copy_resume r;
	char *name = malloc(9000);
	char nowhere[96];
	uint64_t off;

	(void)snprintf(nowhere, sizeof(nowhere), "%s/none/note", folder);
	assert_int_equal(copy_resume_load(&r, nowhere, "a", "b", SIZE, &off), 0);
	assert_int_equal(copy_resume_note(&r, &dst, 4096, true), -ENOENT);
	/* In the place of the note is a folder: nothing of the try is left. */
	assert_int_equal(copy_resume_load(&r, folder, "a", "b", SIZE, &off), -EISDIR);
	assert_int_equal(copy_resume_note(&r, &dst, 4096, true), -EISDIR);
	(void)snprintf(nowhere, sizeof(nowhere), "%s.new", folder);
	assert_int_equal(access(nowhere, F_OK), -1);
	memset(name, 'n', 8999);
	name[8999] = '\0';
	assert_int_equal(copy_resume_load(&r, path, name, "b", SIZE, &off), -ENAMETOOLONG);
	free(name);
}

static int
make_folder(void **state)
{
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/note", folder);
	return 0;
}

static int
remove_folder(void **state)
{
	(void)unlink(path);
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_is_noted_is_found, set_up),
		cmocka_unit_test_setup(the_data_is_durable_first, set_up),
		cmocka_unit_test_setup(not_too_often, set_up),
		cmocka_unit_test_setup(notes_of_other_copies_are_refused, set_up),
		cmocka_unit_test_setup(damaged_notes_are_refused, set_up),
		cmocka_unit_test_setup(what_cannot_be_written_is_said, set_up),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
