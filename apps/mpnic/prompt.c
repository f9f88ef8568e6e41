/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * librte_cmdline wants every command as an instance with tokens, and matches lines with them itself.
 * Its messages cannot name the word that is wrong. So each row of the shell's tables becomes an
 * instance that is good for completion only (its tokens refuse to be parsed into a result), and one
 * more instance takes every line as it is and hands it to the shell.
 */

/* cmdline_get_rdline() */
#define ALLOW_EXPERIMENTAL_API

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <cmdline.h>
#include <cmdline_parse.h>
#include <cmdline_rdline.h>
#include <cmdline_socket.h>

#include "history.h"
#include "mpn_parse.h"
#include "prompt.h"

#define CHARS_PER_POLL 256

/* A token of librte_cmdline, and what it stands for. */
struct word {
	struct cmdline_token_hdr hdr;
	struct shell *sh;
	struct shell_token token;
	const char *rest; /* of the syntax, with the word */
};

struct row {
	struct word words[SHELL_MAX_WORDS];
	cmdline_parse_inst_t *inst;
};

struct prompt {
	struct shell *sh;
	prompt_run run;
	bool keeps; /* what is typed */
	struct cmdline *cl;
	unsigned nb_rows;
	struct row *rows;
	cmdline_parse_ctx_t *ctx; /* instances, ended by NULL */
	struct cmdline_token_hdr line_token;
	cmdline_parse_inst_t *line_inst;
};

/* ---- Completion ---- */

/* Length of the word at buf when it fits. With a result asked for, a line is run: not our part. */
static int
parse_word(cmdline_parse_token_hdr_t *hdr, const char *buf, void *res, unsigned size)
{
	const struct word *w = mpn_container_of(hdr, struct word, hdr);
	char text[SHELL_WORD_LEN];
	size_t len = 0;

	if (res != NULL)
		return -1;
	while (!cmdline_isendoftoken(buf[len]))
		len++;
	if (len == 0 || len >= sizeof(text))
		return -1;
	memcpy(text, buf, len);
	text[len] = '\0';
	return shell_fits(&w->token, text) ? (int)len : -1;
}

static int
count_choices(cmdline_parse_token_hdr_t *hdr)
{
	const struct word *w = mpn_container_of(hdr, struct word, hdr);
	char buf[SHELL_WORD_LEN];
	int n = 0;

	while (shell_choice(w->sh, &w->token, (unsigned)n, buf, sizeof(buf)))
		n++;
	return n;
}

static int
get_choice(cmdline_parse_token_hdr_t *hdr, int idx, char *dst, unsigned size)
{
	const struct word *w = mpn_container_of(hdr, struct word, hdr);

	return shell_choice(w->sh, &w->token, (unsigned)idx, dst, size) ? 0 : -1;
}

static int
get_word_help(cmdline_parse_token_hdr_t *hdr, char *dst, unsigned size)
{
	const struct word *w = mpn_container_of(hdr, struct word, hdr);

	(void)snprintf(dst, size, "%s", w->rest);
	return 0;
}

static struct cmdline_token_ops word_ops = {
	.parse = parse_word,
	.complete_get_nb = count_choices,
	.complete_get_elt = get_choice,
	.get_help = get_word_help,
};

/* ---- Lines ---- */

/* The whole line, when one is run; nothing, when one is completed. */
static int
parse_line(cmdline_parse_token_hdr_t *hdr, const char *buf, void *res, unsigned size)
{
	size_t len = strcspn(buf, "\r\n");

	if (res == NULL || len >= size)
		return -1;
	memcpy(res, buf, len);
	((char *)res)[len] = '\0';
	return (int)len;
}

static int
count_one(cmdline_parse_token_hdr_t *hdr)
{
	return 1;
}

static int
get_none(cmdline_parse_token_hdr_t *hdr, int idx, char *dst, unsigned size)
{
	return -1;
}

static struct cmdline_token_ops line_ops = {
	.parse = parse_line,
	.complete_get_nb = count_one,
	.complete_get_elt = get_none,
};

void
prompt_run_here(struct shell *sh, const char *line)
{
	char why[SHELL_ERROR_LEN];

	if (shell_run(sh, line) != 0)
		fprintf(sh->out, "%s\n", shell_error(sh, why, sizeof(why)));
	fflush(sh->out);
}

static void
run_line(void *parsed, struct cmdline *cl, void *data)
{
	struct prompt *p = data;

	if (p->keeps)
		history_keep(parsed);
	p->run(p->sh, parsed);
}

/* ---- Building ---- */

/* An instance with room for its tokens. */
static cmdline_parse_inst_t *
make_inst(unsigned nb_tokens)
{
	return calloc(1, sizeof(cmdline_parse_inst_t) +
				 (nb_tokens + 1) * sizeof(cmdline_parse_token_hdr_t *));
}

static int
make_row(struct prompt *p, struct row *row, const struct shell_cmd *cmd)
{
	struct shell_token tokens[SHELL_MAX_WORDS];
	unsigned n = shell_tokens(cmd->syntax, tokens), i;
	const char *rest = cmd->syntax;

	row->inst = make_inst(n);
	if (row->inst == NULL)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		struct word *w = &row->words[i];

		w->hdr.ops = &word_ops;
		w->sh = p->sh;
		w->token = tokens[i];
		w->rest = rest += strspn(rest, " ");
		rest += strcspn(rest, " ");
		row->inst->tokens[i] = &w->hdr;
	}
	/* Never called: its tokens do not match a line. */
	row->inst->f = run_line;
	row->inst->data = p;
	row->inst->help_str = cmd->help;
	return 0;
}

static int
make_rows(struct prompt *p)
{
	unsigned i;

	while (shell_cmd_at(p->sh, p->nb_rows) != NULL)
		p->nb_rows++;
	p->rows = calloc(p->nb_rows, sizeof(*p->rows));
	p->ctx = calloc(p->nb_rows + 2, sizeof(*p->ctx));
	p->line_inst = make_inst(1);
	if (p->rows == NULL || p->ctx == NULL || p->line_inst == NULL)
		return -ENOMEM;
	for (i = 0; i < p->nb_rows; i++) {
		if (make_row(p, &p->rows[i], shell_cmd_at(p->sh, i)) != 0)
			return -ENOMEM;
		p->ctx[i] = p->rows[i].inst;
	}
	p->line_token.ops = &line_ops;
	p->line_inst->tokens[0] = &p->line_token;
	p->line_inst->f = run_line;
	p->line_inst->data = p;
	p->ctx[p->nb_rows] = p->line_inst;
	return 0;
}

/* librte_cmdline takes Ctrl-C from the terminal as a key: here it ends the program, as elsewhere. */
static void
let_signals_through(void)
{
	struct termios term;

	if (tcgetattr(STDIN_FILENO, &term) != 0)
		return;
	term.c_lflag |= ISIG;
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &term);
}

static void
remember(void *arg, const char *line)
{
	struct prompt *p = arg;

	(void)rdline_add_history(cmdline_get_rdline(p->cl), line);
}

struct prompt *
prompt_open(struct shell *sh, prompt_run run)
{
	struct prompt *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return mpn_err_null(ENOMEM);
	p->sh = sh;
	p->run = run;
	if (make_rows(p) == 0)
		p->cl = cmdline_stdin_new(p->ctx, "mpnic> ");
	if (p->cl == NULL) {
		prompt_close(p);
		return mpn_err_null(ENOMEM);
	}
	let_signals_through();
	/* Not what a program types. */
	p->keeps = isatty(STDIN_FILENO) != 0;
	if (p->keeps)
		history_read(remember, p);
	return p;
}

void
prompt_close(struct prompt *p)
{
	unsigned i;

	if (p == NULL)
		return;
	if (p->cl != NULL) {
		cmdline_stdin_exit(p->cl);
		if (isatty(STDIN_FILENO))
			fputc('\n', stdout);
	}
	for (i = 0; p->rows != NULL && i < p->nb_rows; i++)
		free(p->rows[i].inst);
	free(p->rows);
	free(p->ctx);
	free(p->line_inst);
	free(p);
}

static bool
input_waits(void)
{
	struct pollfd pfd = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&pfd, 1, 0) > 0;
}

bool
prompt_poll(struct prompt *p)
{
	/* One character each time; a bound, so that pasted text does not stop the port for long. */
	unsigned chars;

	for (chars = 0; chars < CHARS_PER_POLL && input_waits(); chars++) {
		if (cmdline_poll(p->cl) != RDLINE_RUNNING)
			return false;
	}
	return true;
}
