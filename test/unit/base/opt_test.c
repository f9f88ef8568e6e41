/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "test_util.h"

#include "mpn_opt.h"
#include "mpn_parse.h"

struct conf {
	uint64_t size;
	bool json;
	bool verbose;
	char links[64];
};

static int
set_size(void *cfg, const char *arg)
{
	return mpn_parse_size(arg, 512, 1 << 20, &((struct conf *)cfg)->size);
}

static int
set_json(void *cfg, const char *arg)
{
	assert_null(arg);
	((struct conf *)cfg)->json = true;
	return 0;
}

static int
set_verbose(void *cfg, const char *arg)
{
	struct conf *c = cfg;

	if (c->verbose)
		return -EEXIST;
	c->verbose = true;
	return 0;
}

static int
add_link(void *cfg, const char *arg)
{
	struct conf *c = cfg;
	size_t used = strlen(c->links);

	return mpn_copy_str(c->links + used, sizeof(c->links) - used, arg);
}

static const struct mpn_opt opts[] = {
	{"size", 's', "SIZE", "a size from 512 to 1M", "bytes of it (4k)", set_size},
	{"json", 'j', NULL, NULL, "print JSON", set_json},
	{"verbose", 'v', NULL, "it once", "say more", set_verbose},
	{"link", 0, "LINK", NULL, "a link; may be given several times", add_link},
};

#define MAX_ARGS 16

struct outcome {
	int rc;
	struct conf conf;
	const char *operands[MAX_ARGS];
	char line[256]; /* what was said on stderr */
	char words[256];
};

/* Parse the words of a command line that are separated by blanks ("''" is an empty one). */
static unsigned
split_words(char *words, char **argv)
{
	unsigned argc = 0;
	char *w;

	while ((w = strsep(&words, " ")) != NULL && argc < MAX_ARGS - 1)
		argv[argc++] = strcmp(w, "''") == 0 ? w + 2 : w;
	argv[argc] = NULL;
	return argc;
}

static void
parse_line(struct outcome *o, const char *line)
{
	char *argv[MAX_ARGS];
	struct catcher c;
	unsigned argc;

	memset(o, 0, sizeof(*o));
	assert_int_equal(mpn_copy_str(o->words, sizeof(o->words), line), 0);
	argc = split_words(o->words, argv);
	catch_stderr(&c);
	o->rc = mpn_opt_parse(
		"prog", opts, MPN_ARRAY_SIZE(opts), (int)argc, argv, &o->conf, o->operands);
	release_stderr(&c);
	assert_int_equal(mpn_copy_str(o->line, sizeof(o->line), c.text), 0);
	free(c.text);
}

static void
options_have_five_forms(void **state)
{
	static const char *const lines[] = {"prog --size 4k", "prog --size=4k", "prog -s 4k",
		"prog -s4k", "prog -jvs4k", "prog -js 4k"};
	struct outcome o;
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(lines); i++) {
		parse_line(&o, lines[i]);
		assert_int_equal(o.rc, 0);
		assert_string_equal(o.line, "");
		assert_int_equal(o.conf.size, 4096);
		assert_int_equal(o.conf.json, i >= 4);
		assert_int_equal(o.conf.verbose, i == 4);
	}
}

static void
operands_mix_with_options(void **state)
{
	struct outcome o;

	parse_line(&o, "prog a --link x b -j - --link=y -- --size -v");
	assert_int_equal(o.rc, 5);
	assert_string_equal(o.operands[0], "a");
	assert_string_equal(o.operands[1], "b");
	assert_string_equal(o.operands[2], "-");
	assert_string_equal(o.operands[3], "--size");
	assert_string_equal(o.operands[4], "-v");
	assert_string_equal(o.conf.links, "xy");
	assert_true(o.conf.json);
	assert_false(o.conf.verbose);
	assert_int_equal(o.conf.size, 0);

	parse_line(&o, "prog");
	assert_int_equal(o.rc, 0);
}

static void
a_value_may_look_like_an_option(void **state)
{
	struct outcome o;

	parse_line(&o, "prog --link -- --link= --link ''");
	assert_int_equal(o.rc, 0);
	assert_string_equal(o.conf.links, "--");
}

static void
errors_say_what_would_be_right(void **state)
{
	static const struct {
		const char *line, *error;
	} cases[] = {
		{"prog --size huge", "prog: --size: 'huge': expected a size from 512 to 1M\n"},
		{"prog --size=2M", "prog: --size: '2M': expected a size from 512 to 1M\n"},
		{"prog -s=4k", "prog: -s: '=4k': expected a size from 512 to 1M\n"},
		{"prog -s ''", "prog: -s: '': expected a size from 512 to 1M\n"},
		{"prog a --size", "prog: --size: needs SIZE: expected a size from 512 to 1M\n"},
		{"prog -s", "prog: -s: needs SIZE: expected a size from 512 to 1M\n"},
		{"prog --link", "prog: --link: needs LINK: expected a value\n"},
		{"prog --json=yes", "prog: --json: 'yes': expected no value\n"},
		{"prog -v -v", "prog: -v: not possible here: expected it once\n"},
		{"prog --szie 4k", "prog: --szie: no such option, did you mean --size?\n"},
		{"prog --lin=4k", "prog: --lin: no such option, did you mean --link?\n"},
		{"prog --frobnicate", "prog: --frobnicate: no such option, see prog --help\n"},
		{"prog --=x", "prog: --: no such option, see prog --help\n"},
		{"prog -jx", "prog: -x: no such option, see prog --help\n"},
	};
	struct outcome o;
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(cases); i++) {
		parse_line(&o, cases[i].line);
		assert_int_equal(o.rc, -EINVAL);
		assert_string_equal(o.line, cases[i].error);
	}
}

static void
a_long_unknown_option_is_cut(void **state)
{
	struct outcome o;
	char line[200] = "prog --";

	memset(line + 7, 'z', 150);
	parse_line(&o, line);
	assert_int_equal(o.rc, -EINVAL);
	assert_true(strlen(o.line) < 120);
}

static void
help_is_aligned(void **state)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	mpn_opt_help(f, opts, MPN_ARRAY_SIZE(opts));
	fclose(f);
	assert_string_equal(text, "  -s, --size SIZE  bytes of it (4k)\n"
				  "  -j, --json       print JSON\n"
				  "  -v, --verbose    say more\n"
				  "      --link LINK  a link; may be given several times\n");
	free(text);
}

static char ran[128];

static int
note_run(int argc, char **argv)
{
	int i;

	ran[0] = '\0';
	for (i = 0; i < argc; i++) {
		size_t used = strlen(ran);

		(void)snprintf(ran + used, sizeof(ran) - used, "%s ", argv[i]);
	}
	assert_null(argv[argc]);
	return 42;
}

static const struct mpn_cmd cmds[] = {
	{"serve", "--link LINK", "serve volumes", note_run},
	{"discover", "--link LINK", "find volumes", note_run},
};

/* Run a command line with stdout or stderr caught. */
static int
run_line(const char *line, FILE **stream, char **text)
{
	char words[128];
	char *argv[MAX_ARGS];
	FILE *old = *stream;
	size_t len = 0;
	unsigned argc;
	int rc;

	ran[0] = '\0';
	assert_int_equal(mpn_copy_str(words, sizeof(words), line), 0);
	argc = split_words(words, argv);
	*stream = open_memstream(text, &len);
	rc = mpn_cmd_main("ebd", "block device", cmds, MPN_ARRAY_SIZE(cmds), (int)argc, argv);
	fclose(*stream);
	*stream = old;
	return rc;
}

static void
commands_run_with_their_arguments(void **state)
{
	char *text;

	assert_int_equal(run_line("ebd serve --link x", &stderr, &text), 42);
	assert_string_equal(ran, "serve --link x ");
	assert_string_equal(text, "");
	free(text);
	assert_int_equal(run_line("ebd help discover", &stderr, &text), 42);
	assert_string_equal(ran, "discover --help ");
	free(text);
}

static void
unknown_commands_exit_2(void **state)
{
	char *text;

	assert_int_equal(run_line("ebd srve", &stderr, &text), 2);
	assert_string_equal(text, "ebd: 'srve': no such command, did you mean serve?\n");
	free(text);
	assert_int_equal(run_line("ebd help xyzzy", &stderr, &text), 2);
	assert_string_equal(text, "ebd: 'xyzzy': no such command, see ebd --help\n");
	free(text);
	assert_int_equal(run_line("ebd", &stderr, &text), 2);
	assert_non_null(strstr(text, "\n  serve     serve volumes\n  discover  find volumes\n"));
	free(text);
	assert_string_equal(ran, "");
}

static void
help_lists_the_commands(void **state)
{
	static const char *const lines[] = {"ebd --help", "ebd -h", "ebd help"};
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(lines); i++) {
		char *text;

		assert_int_equal(run_line(lines[i], &stdout, &text), 0);
		assert_non_null(strstr(text, "ebd: block device"));
		assert_non_null(strstr(text, "\n  serve     serve volumes\n"));
		free(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_have_five_forms),
		cmocka_unit_test(operands_mix_with_options),
		cmocka_unit_test(a_value_may_look_like_an_option),
		cmocka_unit_test(errors_say_what_would_be_right),
		cmocka_unit_test(a_long_unknown_option_is_cut),
		cmocka_unit_test(help_is_aligned),
		cmocka_unit_test(commands_run_with_their_arguments),
		cmocka_unit_test(unknown_commands_exit_2),
		cmocka_unit_test(help_lists_the_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
