/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "test_util.h"

#include "mpn_log.h"

static char last_line[1024];
static unsigned nb_lines;

static void
keep_line(enum mpn_log_level level, const char *topic, const char *line)
{
	nb_lines++;
	(void)snprintf(last_line, sizeof(last_line), "%d %s %s", (int)level, topic, line);
}

static int
use_sink(void **state)
{
	mpn_log_set_sink(keep_line);
	mpn_log_set_level(MPN_LOG_WARN);
	nb_lines = 0;
	last_line[0] = '\0';
	return 0;
}

static int
use_stderr(void **state)
{
	mpn_log_set_sink(NULL);
	mpn_log_set_level(MPN_LOG_WARN);
	return 0;
}

static void
level_drops_the_rest(void **state)
{
	mpn_log(MPN_LOG_INFO, "nic", "no");
	assert_int_equal(nb_lines, 0);
	mpn_log(MPN_LOG_WARN, "nic", "port %u is down", 3u);
	assert_string_equal(last_line, "1 nic port 3 is down");
	mpn_log_set_level(MPN_LOG_DEBUG);
	mpn_log(MPN_LOG_DEBUG, "volume", "x");
	assert_string_equal(last_line, "3 volume x");
	mpn_log_set_level(MPN_LOG_ERR);
	mpn_log(MPN_LOG_WARN, "nic", "no");
	assert_int_equal(nb_lines, 2);
}

static void
error_line_gives_errno(void **state)
{
	errno = 0;
	assert_int_equal(mpn_log_err(ENOSPC, "volume", "%s: full", "a.img"), -ENOSPC);
	assert_int_equal(errno, ENOSPC);
	assert_string_equal(last_line, "0 volume a.img: full");
}

static void
long_lines_are_cut(void **state)
{
	char text[700];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	mpn_log(MPN_LOG_ERR, "t", "%s", text);
	assert_int_equal(strlen(last_line), strlen("0 t ") + 511);
}

static void
stderr_is_the_default(void **state)
{
	struct catcher c;

	catch_stderr(&c);
	mpn_log_set_sink(NULL);
	mpn_log(MPN_LOG_ERR, "volume", "a.img: no such file");
	release_stderr(&c);
	assert_string_equal(c.text, "mpnic: volume: error: a.img: no such file\n");
	free(c.text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(level_drops_the_rest, use_sink, use_stderr),
		cmocka_unit_test_setup_teardown(error_line_gives_errno, use_sink, use_stderr),
		cmocka_unit_test_setup_teardown(long_lines_are_cut, use_sink, use_stderr),
		cmocka_unit_test(stderr_is_the_default),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
