/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "mpn_parse.h"
#include "shell.h"

/* What the last command was called with. */
static char called[512];

static void
note(const char *name, const struct shell_args *args)
{
	size_t used = (size_t)snprintf(called, sizeof(called), "%s", name);
	unsigned i;

	for (i = 0; i < args->n; i++)
		used += (size_t)snprintf(
			called + used, sizeof(called) - used, " <%s>", args->word[i]);
}

static int
run_show_port(struct shell *sh, const struct shell_args *args)
{
	note("show port", args);
	return 0;
}

static int
run_show_flow(struct shell *sh, const struct shell_args *args)
{
	note("show flow", args);
	return 0;
}

static int
run_define(struct shell *sh, const struct shell_args *args)
{
	note("define", args);
	if (strcmp(args->word[1], "./x.so") == 0)
		return shell_refuse(sh, "./x.so", "'./x.so': cannot be read");
	if (strcmp(args->word[1], "./x.so") == 0)
		return shell_refuse(sh, "./x.so", "'./x.so': cannot be read");
	return strcmp(args->word[0], "nic9") == 0 ? shell_refuse(sh, "nic9", "no such NIC") : 0;
}

static int
run_fail(struct shell *sh, const struct shell_args *args)
{
	note("fail", args);
	return -EBUSY;
}

static const struct shell_cmd show_cmds[] = {
	{"show port NIC|all [json]", "ports", run_show_port, "show port nic0"},
	{"show flow NIC|all [json]", "flows", run_show_flow},
};
static const struct shell_cmd other_cmds[] = {
	{"define NIC KIND [NAME]", "define", run_define},
	{"fail", "fail", run_fail},
};

static void
save_nothing(struct shell *sh)
{
}

static void
save_two(struct shell *sh)
{
	fprintf(sh->out, "define nic0 one\ndefine nic1 \"two\n");
}

static const struct shell_section show = {"show", "showing", show_cmds, 2, save_nothing};
static const struct shell_section other = {"other", "the rest", other_cmds, 2, save_two};
static const struct shell_section *const sections[] = {&show, &other, NULL};

static bool
values(void *ctx, const char *type, unsigned n, char *buf, size_t size)
{
	static const char *const nics[] = {"nic0", "nic1"};

	return strcmp(type, "NIC") == 0 && n < 2 && mpn_copy_str(buf, size, nics[n]) == 0;
}

static struct shell sh = {.sections = sections, .values = values};

static void
expect_call(const char *line, const char *call)
{
	called[0] = '\0';
	assert_int_equal(shell_run(&sh, line), 0);
	assert_string_equal(called, call);
}

static void
expect_refusal(const char *line, const char *error)
{
	char why[1024];

	called[0] = '\0';
	assert_int_equal(shell_run(&sh, line), -EINVAL);
	assert_string_equal(shell_error(&sh, why, sizeof(why)), error);
	assert_string_equal(called, "");
}

static void
test_arguments_and_options_are_handed_over(void **state)
{
	expect_call("show port all", "show port <all>");
	expect_call("show port nic0 json\n", "show port <nic0> <json>");
	expect_call("  show\tflow  nic1 ", "show flow <nic1>");
	expect_call("define nic0 storage", "define <nic0> <storage>");
	expect_call("define nic0 storage st0 # with a name", "define <nic0> <storage> <st0>");
}

static void
test_nothing_to_do(void **state)
{
	expect_call("", "");
	expect_call("   \n", "");
	expect_call("# show port all", "");
}

static void
test_the_word_that_is_wrong_is_named(void **state)
{
	expect_refusal("shw port all", "'shw': expected show, define, fail");
	expect_refusal("show prot all", "'prot': expected port, flow");
	expect_refusal("show port all jsn", "'jsn': expected json, or the end of the line");
	expect_refusal("show port all json more", "'more': expected the end of the line");
	expect_refusal("fail now", "'now': expected the end of the line");
}

static void
test_what_is_missing_is_named(void **state)
{
	expect_refusal("show", "'show': something is missing: expected port, flow after it");
	expect_refusal("show port", "'port': something is missing: expected NIC|all after it");
	expect_refusal("define nic0", "'nic0': something is missing: expected KIND after it");
}

static void
test_limits(void **state)
{
	char line[SHELL_LINE_LEN + 10];
	unsigned i;

	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	assert_int_equal(shell_run(&sh, line), -EINVAL);
	for (i = 0; i + 2 < 100; i += 2)
		memcpy(line + i, "a ", 3);
	assert_int_equal(shell_run(&sh, line), -EINVAL);
}

static void
test_failure_gives_its_reason(void **state)
{
	char why[1024];

	assert_int_equal(shell_run(&sh, "fail"), -EBUSY);
	assert_string_equal(shell_error(&sh, why, sizeof(why)), "'fail': Device or resource busy");
	assert_int_equal(shell_run(&sh, "define nic9 x"), -EINVAL);
	assert_string_equal(shell_error(&sh, why, sizeof(why)), "'nic9': no such NIC");
	/* A reason that begins with the word is the whole line. */
	assert_int_equal(shell_run(&sh, "define nic0 ./x.so"), -EINVAL);
	assert_string_equal(shell_error(&sh, why, sizeof(why)), "'./x.so': cannot be read");
}

static void
test_file_stops_at_the_first_error(void **state)
{
	char path[] = "/tmp/shell_test.XXXXXX";
	int fd = mkstemp(path);
	static const char text[] = "show port all\n\n# a comment\nfail\nshow flow all\n";

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_int_equal(shell_run_file(&sh, path), -EBUSY);
	assert_string_equal(called, "fail");
	unlink(path);
	assert_int_equal(shell_run_file(&sh, path), -ENOENT);
}

static void
expect_choices(const char *token, bool argument, const char *expected)
{
	struct shell_token t = {.argument = argument};
	char all[256] = "", one[64];
	size_t used = 0;
	unsigned i;

	assert_int_equal(mpn_copy_str(t.text, sizeof(t.text), token), 0);
	for (i = 0; shell_choice(&sh, &t, i, one, sizeof(one)); i++)
		used += (size_t)snprintf(all + used, sizeof(all) - used, "%s ", one);
	assert_string_equal(all, expected);
}

static void
test_completion(void **state)
{
	struct shell_token tokens[SHELL_MAX_WORDS];

	assert_int_equal(shell_tokens("show port NIC|all [json]", tokens), 4);
	assert_string_equal(tokens[2].text, "NIC|all");
	assert_true(tokens[2].argument);
	assert_false(tokens[2].optional);
	assert_string_equal(tokens[3].text, "json");
	assert_false(tokens[3].argument);
	assert_true(tokens[3].optional);
	expect_choices("show", false, "show ");
	expect_choices("NIC", true, "nic0 nic1 ");
	expect_choices("NIC|all", true, "all nic0 nic1 ");
	expect_choices("SPEC", true, "");
	assert_ptr_equal(shell_cmd_at(&sh, 2), &other_cmds[0]);
	assert_null(shell_cmd_at(&sh, 4));
}

static void
test_help(void **state)
{
	char *text = NULL;
	size_t size;

	sh.out = open_memstream(&text, &size);
	assert_int_equal(shell_help(&sh, "other", false), 0);
	fflush(sh.out);
	assert_non_null(strstr(text, "define NIC KIND [NAME]  define"));
	assert_null(strstr(text, "show port"));
	assert_int_equal(shell_help(&sh, NULL, false), 0);
	fflush(sh.out);
	assert_non_null(strstr(text, "show: showing"));
	assert_int_equal(shell_help(&sh, "nothing", false), -EINVAL);
	assert_string_equal(sh.reason, "expected show, other");
	fclose(sh.out);
	free(text);
}

/* What a command printed; until the next call. */
static const char *
printed(int (*print)(bool json), bool json)
{
	static char text[4096];
	FILE *f = fmemopen(text, sizeof(text), "w");

	assert_non_null(f);
	sh.out = f;
	assert_int_equal(print(json), 0);
	fclose(f);
	sh.out = NULL;
	return text;
}

static int
print_config(bool json)
{
	return shell_show_config(&sh, json);
}

static int
print_values(bool json)
{
	return shell_show_values(&sh, "NIC", json);
}

static int
print_help(bool json)
{
	return shell_help(&sh, "show", json);
}

static void
test_config_is_what_the_sections_save(void **state)
{
	assert_string_equal(printed(print_config, false), "define nic0 one\ndefine nic1 \"two\n");
	assert_non_null(strstr(printed(print_config, true), "\"config\": [\n"));
	assert_non_null(strstr(printed(print_config, true), "    \"define nic0 one\",\n"));
	assert_non_null(
		strstr(printed(print_config, true), "    \"define nic1 \\\"two\"\n  ]\n}\n"));
}

static void
test_values_are_told(void **state)
{
	assert_string_equal(printed(print_values, true),
		"{\n  \"values\": [\n    \"nic0\",\n    \"nic1\"\n  ]\n}\n");
	assert_non_null(strstr(printed(print_values, false), "- nic1\n"));
	assert_int_equal(shell_show_values(&sh, "NI", false), -EINVAL);
	assert_int_equal(shell_show_values(&sh, "show", false), -EINVAL);
}

static void
test_help_as_json_has_the_table(void **state)
{
	const char *text = printed(print_help, true);

	assert_non_null(strstr(text, "\"syntax\": \"show port NIC|all [json]\""));
	assert_non_null(strstr(text, "\"example\": \"show port nic0\""));
	assert_non_null(strstr(text, "\"section\": \"show\""));
	assert_null(strstr(text, "define"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arguments_and_options_are_handed_over),
		cmocka_unit_test(test_nothing_to_do),
		cmocka_unit_test(test_the_word_that_is_wrong_is_named),
		cmocka_unit_test(test_what_is_missing_is_named),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_failure_gives_its_reason),
		cmocka_unit_test(test_file_stops_at_the_first_error),
		cmocka_unit_test(test_completion),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_config_is_what_the_sections_save),
		cmocka_unit_test(test_values_are_told),
		cmocka_unit_test(test_help_as_json_has_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
