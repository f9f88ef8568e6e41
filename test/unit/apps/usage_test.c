/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What the programs answer to command lines, without DPDK being started. argv: ebd, mpnic, vhost-ebd. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "mpn_err.h"

#define MAX_WORDS 16

static const char *ebd_path, *mpnic_path, *vhost_path;

struct answer {
	int status;
	char out[16384];
	char err[16384];
};

static void
read_all(FILE *f, char *buf, size_t size)
{
	rewind(f);
	buf[fread(buf, 1, size - 1, f)] = '\0';
	fclose(f);
}

/* Run the program with the words of line. */
static void
ask(const char *program, const char *line, struct answer *a)
{
	char *copy = strdup(line), *save = copy, *word;
	char *argv[MAX_WORDS + 2] = {strdup(program)};
	FILE *out = tmpfile(), *err = tmpfile();
	int n = 1, wstatus;
	pid_t pid;

	while ((word = strsep(&copy, " ")) != NULL && n <= MAX_WORDS) {
		if (word[0] != '\0')
			argv[n++] = word;
	}
	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fileno(out), STDOUT_FILENO);
		dup2(fileno(err), STDERR_FILENO);
		execv(program, argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &wstatus, 0), pid);
	assert_true(WIFEXITED(wstatus));
	a->status = WEXITSTATUS(wstatus);
	read_all(out, a->out, sizeof(a->out));
	read_all(err, a->err, sizeof(a->err));
	free(argv[0]);
	free(save);
}

struct mistake {
	const char *line;
	const char *error; /* the whole answer, or the beginning of it */
};

/* One line on stderr, nothing on stdout, exit status 2. */
static void
check_mistakes(const char *program, const struct mistake *m, size_t n)
{
	struct answer a;
	size_t i;

	for (i = 0; i < n; i++) {
		ask(program, m[i].line, &a);
		if (a.status != 2 || strncmp(a.err, m[i].error, strlen(m[i].error)) != 0 ||
			strchr(a.err, '\n') != a.err + strlen(a.err) - 1 || a.out[0] != '\0')
			fail_msg("'%s' gave %d: %s%s", m[i].line, a.status, a.err, a.out);
	}
}

static void
test_ebd_mistakes(void **state)
{
	static const struct mistake mistakes[] = {
		{"cpy", "ebd: 'cpy': no such command, did you mean copy?"},
		{"serve", "ebd serve: --link: is missing: expected "},
		{"serve --link vhost:x", "ebd serve: --volume: is missing: expected NAME=SPEC"},
		{"serve --link vhost:x --volume disk",
			"ebd serve: --volume: 'disk': expected NAME"},
		{"serve --link vhost:x --volume =mem:1M", "ebd serve: --volume: '=mem:1M': expect"},
		{"serve --link vhost:x --max-sessions 0", "ebd serve: --max-sessions: '0': expect"},
		{"serve --link vhost:x --lease 1ms", "ebd serve: --lease: '1ms': expected a time"},
		{"serve --link vhost:x more", "ebd serve: 'more': one word too many"},
		{"discover", "ebd discover: --link: is missing"},
		{"discover --link a b", "ebd discover: 'b': one word too many"},
		{"discover --link a --net-vlan 10",
			"ebd discover: --net-vlan: is the VLAN of --net, which is missing"},
		{"discover --link a --timeout soon", "ebd discover: --timeout: 'soon': expected a"},
		{"discover --link nolink:x", "ebd discover: link 'nolink:x': unknown kind"},
		{"info --link a", "ebd info: something is missing: expected ebd info"},
		{"info --link a --can fly v", "ebd info: --can: 'fly': expected one of read-only"},
		{"info --link a --idle never v", "ebd info: --idle: 'never': expected auto, spin"},
		{"info --link a --mtu 100 v", "ebd info: --mtu: '100': expected a number from 576"},
		{"info --link a --target 1:2 v", "ebd info: --target: '1:2': expected an address"},
		{"copy --link a ebd:v", "ebd copy: something is missing: expected ebd copy"},
		{"copy ebd:v y", "ebd copy: --link: is missing: expected a link such as virtio"},
		{"copy --link a ebd:v ebd:v", "ebd copy: 'ebd:v': is the source and the dest"},
		{"copy --link a --dept 3 ebd:v y", "ebd copy: --dept: no such option, did you mean "
						   "--depth?"},
		{"copy --link a --request-size 5000 ebd:v y", "ebd copy: --request-size: '5000': "
							      "expected a multiple of 4k"},
		{"copy --link a --request-size 32M --depth 256 ebd:v y", "ebd copy: --request-size "
									 "times --depth"},
		{"copy --link a --sparse maybe ebd:v y", "ebd copy: --sparse: 'maybe': expected "
							 "auto or off"},
		{"perf --link a --rw erase v", "ebd perf: --rw: 'erase': expected read, write"},
		{"perf --link a --bs 1000 v", "ebd perf: --bs: '1000': expected a multiple of 512"},
		{"perf --link a --depth 0 v", "ebd perf: --depth: '0': expected a number from 1"},
		{"perf --link a", "ebd perf: something is missing: expected ebd perf --link LINK"},
		{"perf --link a --zipf 1 v", "ebd perf: --zipf: '1': expected a number above"},
		{"perf --link a --zipf nan v", "ebd perf: --zipf: 'nan': expected a number above"},
		{"perf --link a --queues 0 v", "ebd perf: --queues: '0': expected a number from 1"},
		{"perf --link a --rate 0 v", "ebd perf: --rate: '0': expected a number of"},
		{"perf --link a --ceiling v w", "ebd perf: --ceiling: expected one volume"},
		{"perf --link a --ceiling --ops 5 v", "ebd perf: --ceiling: expected no --ops"},
		{"perf --link a --jobfile /nowhere",
			"ebd perf: --jobfile: '/nowhere': No such file"},
		{"perf --link a --jobfile /dev/null",
			"ebd perf: --jobfile: '/dev/null': has no job"},
		{"perf --link a --jobfile /dev/null v", "ebd perf: 'v': expected no VOLUME beside"},
		{"perf --link a --rwmix-read 101 v",
			"ebd perf: --rwmix-read: '101': expected a number from 0"},
		{"perf --link a --placement there v",
			"ebd perf: --placement: 'there': expected auto"},
		{"perf --link a --placement in-place --memory heap v", "ebd perf: --placement in-"},
		{"perf --link a --memory ram v", "ebd perf: --memory: 'ram': expected arena or"},
		{"perf --link a --time", "ebd perf: --time: needs TIME"},
		{"perf --link a --verify=yes v", "ebd perf: --verify: 'yes': expected no value"},
	};

	check_mistakes(ebd_path, mistakes, MPN_ARRAY_SIZE(mistakes));
}

static void
test_mpnic_mistakes(void **state)
{
	static const struct mistake mistakes[] = {
		{"-- --lnk x", "mpnic: --lnk: no such option, did you mean --link?"},
		{"-- --link nolink:x", "mpnic: --link: 'nolink:x': expected at most 8 links"},
		{"-- --stats-period 1ms", "mpnic: --stats-period: '1ms': expected a time"},
		{"-- --idle never", "mpnic: --idle: 'never': expected spin, yield or sleep"},
		{"-- extra", "mpnic: 'extra': expected an option"},
	};

	check_mistakes(mpnic_path, mistakes, MPN_ARRAY_SIZE(mistakes));
}

static void
test_vhost_mistakes(void **state)
{
	static const struct mistake mistakes[] = {
		{"", "vhost-ebd: a volume is missing: expected its name"},
		{"v", "vhost-ebd: --link: is missing: expected a link"},
		{"--link a v", "vhost-ebd: --socket: is missing: expected a path"},
		{"--link a v w", "vhost-ebd: 'w': one word too many"},
		{"--link a --queues 17 v", "vhost-ebd: --queues: '17': expected a number from 1"},
		{"--link a --serial 123456789012345678901 v",
			"vhost-ebd: --serial: '123456789012345678901': expected at most 20"},
		{"--link a --volume v", "vhost-ebd: --volume: no such option"},
		{"--link nolink:x --socket /nowhere/s v", "vhost-ebd: link 'nolink:x': unknown"},
	};

	check_mistakes(vhost_path, mistakes, MPN_ARRAY_SIZE(mistakes));
}

static void
expect_answer(const char *program, const char *line, const char *text)
{
	struct answer a;

	ask(program, line, &a);
	if (a.status != 0 || strstr(a.out, text) == NULL || a.err[0] != '\0')
		fail_msg("'%s' gave %d: %s%s", line, a.status, a.err, a.out);
}

static void
test_help(void **state)
{
	static const char *const commands[] = {"serve", "discover", "info", "copy", "perf"};
	char line[64], text[64];
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(commands); i++) {
		(void)snprintf(text, sizeof(text), "usage: ebd %s ", commands[i]);
		(void)snprintf(line, sizeof(line), "%s --help", commands[i]);
		expect_answer(ebd_path, line, text);
		(void)snprintf(line, sizeof(line), "help %s", commands[i]);
		expect_answer(ebd_path, line, text);
		expect_answer(ebd_path, "--help", commands[i]);
	}
	expect_answer(ebd_path, "--version", "ebd (mpnic) ");
	expect_answer(ebd_path, "discover --link help", "ring:NAME");
	expect_answer(ebd_path, "serve --volume help", "mem:SIZE");
	expect_answer(mpnic_path, "--help", "--cmdline-file FILE");
	expect_answer(mpnic_path, "-- --help", "--cmdline-file FILE");
	expect_answer(mpnic_path, "-- --link help", "ring:NAME");
	expect_answer(vhost_path, "--help", "usage: vhost-ebd --link LINK");
	expect_answer(vhost_path, "--version", "vhost-ebd (mpnic) ");
	expect_answer(vhost_path, "--link help", "ring:NAME");
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ebd_mistakes),
		cmocka_unit_test(test_mpnic_mistakes),
		cmocka_unit_test(test_vhost_mistakes),
		cmocka_unit_test(test_help),
	};

	if (argc != 4) {
		fprintf(stderr, "usage: %s EBD MPNIC VHOST-EBD\n", argv[0]);
		return 2;
	}
	ebd_path = argv[1];
	mpnic_path = argv[2];
	vhost_path = argv[3];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
