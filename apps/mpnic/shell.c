/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "mpn_out.h"
#include "mpn_parse.h"
#include "shell.h"

/* ---- Syntax ---- */

unsigned
shell_tokens(const char *syntax, struct shell_token tokens[SHELL_MAX_WORDS])
{
	unsigned n = 0;

	while (n < SHELL_MAX_WORDS && *(syntax += strspn(syntax, " ")) != '\0') {
		struct shell_token *t = &tokens[n++];
		size_t len = strcspn(syntax, " ");
		size_t skip = *syntax == '[';
		size_t text_len = len - skip - (syntax[len - 1] == ']');

		(void)snprintf(t->text, sizeof(t->text), "%.*s", (int)text_len, syntax + skip);
		t->optional = skip != 0;
		t->argument = isupper((unsigned char)t->text[0]);
		syntax += len;
	}
	return n;
}

bool
shell_fits(const struct shell_token *t, const char *word)
{
	return t->argument || strcmp(t->text, word) == 0;
}

bool
shell_choice(
	const struct shell *sh, const struct shell_token *t, unsigned n, char *buf, size_t size)
{
	const char *fixed = strchr(t->text, '|');
	char type[SHELL_WORD_LEN];
	unsigned nb_fixed = !t->argument || fixed != NULL;

	if (n < nb_fixed)
		return mpn_copy_str(buf, size, t->argument ? fixed + 1 : t->text) == 0;
	if (!t->argument || sh->values == NULL)
		return false;
	(void)snprintf(type, sizeof(type), "%.*s", (int)strcspn(t->text, "|"), t->text);
	return sh->values(sh->ctx, type, n - nb_fixed, buf, size);
}

const struct shell_cmd *
shell_cmd_at(const struct shell *sh, unsigned n)
{
	const struct shell_section *const *s;

	for (s = sh->sections; *s != NULL; s++) {
		if (n < (*s)->nb_cmds)
			return &(*s)->cmds[n];
		n -= (*s)->nb_cmds;
	}
	return NULL;
}

/* ---- Refusals ---- */

int
shell_refuse(struct shell *sh, const char *word, const char *fmt, ...)
{
	va_list ap;

	(void)snprintf(sh->bad_word, sizeof(sh->bad_word), "%s", word);
	va_start(ap, fmt);
	(void)vsnprintf(sh->reason, sizeof(sh->reason), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

int
shell_fail(struct shell *sh, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(sh->reason, sizeof(sh->reason), fmt, ap);
	va_end(ap);
	return rc;
}

char *
shell_error(const struct shell *sh, char *buf, size_t size)
{
	size_t len = strlen(sh->bad_word);

	/* Some reasons begin with it. */
	if (sh->reason[0] == '\'' && strncmp(sh->reason + 1, sh->bad_word, len) == 0 &&
		strncmp(sh->reason + 1 + len, "': ", 3) == 0)
		(void)snprintf(buf, size, "%s", sh->reason);
	else
		(void)snprintf(buf, size, "'%s': %s", sh->bad_word, sh->reason);
	return buf;
}

/* ---- Finding the command of a line ---- */

/* How many words of the line fit the syntax, one after the other. */
static unsigned
count_fitting(const struct shell_token *tokens, unsigned nb_tokens, const struct shell_args *line)
{
	unsigned i = 0;

	while (i < nb_tokens && i < line->n && shell_fits(&tokens[i], line->word[i]))
		i++;
	return i;
}

/* Add " or TEXT" to a list, once. */
static void
add_expected(char *list, size_t size, const char *text)
{
	size_t used = strlen(list);
	const char *at = strstr(list, text);

	/* The same word of another command. */
	if (at != NULL && (at == list || at[-1] == ' ') &&
		(at[strlen(text)] == '\0' || at[strlen(text)] == ','))
		return;
	(void)snprintf(list + used, size - used, "%s%s", used > 0 ? ", " : "", text);
}

/* No command is like this line: say which word is the first that fits none, and what would. */
static int
refuse_line(struct shell *sh, const struct shell_args *line)
{
	struct shell_token tokens[SHELL_MAX_WORDS];
	char expected[SHELL_EXPECT_LEN - 64] = "";
	const struct shell_cmd *cmd;
	bool complete = false;
	unsigned best = 0, i, n;

	for (i = 0; (cmd = shell_cmd_at(sh, i)) != NULL; i++) {
		n = count_fitting(tokens, shell_tokens(cmd->syntax, tokens), line);
		best = MPN_MAX(best, n);
	}
	for (i = 0; (cmd = shell_cmd_at(sh, i)) != NULL; i++) {
		n = shell_tokens(cmd->syntax, tokens);
		if (count_fitting(tokens, n, line) < best)
			continue;
		if (best == n || tokens[best].optional)
			complete = true;
		if (best < n)
			add_expected(expected, sizeof(expected), tokens[best].text);
	}
	if (best == line->n)
		return shell_refuse(sh, line->word[line->n - 1],
			"something is missing: expected %s after it", expected);
	if (expected[0] == '\0')
		return shell_refuse(sh, line->word[best], "expected the end of the line");
	return shell_refuse(sh, line->word[best], "expected %s%s", expected,
		complete ? ", or the end of the line" : "");
}

/* Does the whole line fit the command? Then the words of its arguments and options. */
static bool
match_line(const struct shell_cmd *cmd, const struct shell_args *line, struct shell_args *args)
{
	struct shell_token tokens[SHELL_MAX_WORDS];
	unsigned n = shell_tokens(cmd->syntax, tokens), i;

	memset(args, 0, sizeof(*args));
	if (count_fitting(tokens, n, line) < line->n || (line->n < n && !tokens[line->n].optional))
		return false;
	for (i = 0; i < line->n; i++) {
		if (tokens[i].argument || tokens[i].optional)
			args->word[args->n++] = line->word[i];
	}
	return true;
}

/* ---- Running ---- */

/* Cut the line into words, in place. @return false when there are too many */
static bool
split_line(char *text, struct shell_args *line)
{
	memset(line, 0, sizeof(*line));
	while (*(text += strspn(text, " \t\r\n")) != '\0' && *text != '#') {
		size_t len = strcspn(text, " \t\r\n");
		bool last = text[len] == '\0';

		if (line->n == SHELL_MAX_WORDS)
			return false;
		line->word[line->n++] = text;
		text[len] = '\0';
		text += len + !last;
	}
	return true;
}

static int
run_words(struct shell *sh, const struct shell_args *line)
{
	const struct shell_cmd *cmd;
	struct shell_args args;
	unsigned i;
	int rc;

	for (i = 0; (cmd = shell_cmd_at(sh, i)) != NULL; i++) {
		if (!match_line(cmd, line, &args))
			continue;
		(void)snprintf(sh->bad_word, sizeof(sh->bad_word), "%s", line->word[line->n - 1]);
		sh->reason[0] = '\0';
		if (sh->hold != NULL)
			sh->hold(true);
		rc = cmd->run(sh, &args);
		if (sh->hold != NULL)
			sh->hold(false);
		if (rc < 0 && sh->reason[0] == '\0')
			(void)snprintf(sh->reason, sizeof(sh->reason), "%s", strerror(-rc));
		return MPN_MIN(rc, 0);
	}
	return refuse_line(sh, line);
}

int
shell_run(struct shell *sh, const char *text)
{
	char copy[SHELL_LINE_LEN];
	struct shell_args line;

	if (mpn_copy_str(copy, sizeof(copy), text) != 0)
		return shell_refuse(
			sh, "...", "expected at most %d characters in a line", SHELL_LINE_LEN - 1);
	if (!split_line(copy, &line))
		return shell_refuse(
			sh, line.word[0], "expected at most %d words in a line", SHELL_MAX_WORDS);
	return line.n > 0 ? run_words(sh, &line) : 0;
}

int
shell_run_file(struct shell *sh, const char *path)
{
	char line[SHELL_LINE_LEN + 1], why[SHELL_ERROR_LEN];
	FILE *f = fopen(path, "re");
	unsigned number = 0;
	int rc = 0;

	if (f == NULL) {
		rc = -errno;
		fprintf(stderr, "mpnic: --cmdline-file: '%s': %s\n", path, strerror(-rc));
		return rc;
	}
	while (rc == 0 && fgets(line, sizeof(line), f) != NULL) {
		number++;
		rc = shell_run(sh, line);
	}
	if (rc != 0)
		fprintf(stderr, "mpnic: %s:%u: %s\n", path, number,
			shell_error(sh, why, sizeof(why)));
	fclose(f);
	return rc;
}

/* ---- Help ---- */

static void
list_commands(const struct shell *sh, const struct shell_section *s)
{
	unsigned i;
	int width = 0;

	for (i = 0; i < s->nb_cmds; i++)
		width = MPN_MAX(width, (int)strlen(s->cmds[i].syntax));
	for (i = 0; i < s->nb_cmds; i++)
		fprintf(sh->out, "  %-*s  %s\n", width, s->cmds[i].syntax, s->cmds[i].help);
}

static void
describe_commands(struct mpn_out *o, const struct shell_section *s)
{
	unsigned i;

	for (i = 0; i < s->nb_cmds; i++) {
		const struct shell_cmd *cmd = &s->cmds[i];

		mpn_out_object(o, NULL);
		mpn_out_str(o, "section", s->name);
		mpn_out_str(o, "syntax", cmd->syntax);
		mpn_out_str(o, "help", cmd->help);
		if (cmd->example != NULL)
			mpn_out_str(o, "example", cmd->example);
		mpn_out_close(o);
	}
}

int
shell_help(struct shell *sh, const char *section, bool json)
{
	const struct shell_section *const *s;
	char names[SHELL_EXPECT_LEN] = "";
	struct mpn_out o;
	bool found = false;

	for (s = sh->sections; *s != NULL; s++) {
		found |= section == NULL || strcmp(section, (*s)->name) == 0;
		add_expected(names, sizeof(names), (*s)->name);
	}
	if (!found)
		return shell_refuse(sh, section, "expected %s", names);
	if (json) {
		mpn_out_begin(&o, sh->out, true);
		mpn_out_array(&o, "commands");
	}
	for (s = sh->sections; *s != NULL; s++) {
		if (section != NULL && strcmp(section, (*s)->name) != 0)
			continue;
		if (!json && section == NULL)
			fprintf(sh->out, "%s: %s\n", (*s)->name, (*s)->help);
		if (json)
			describe_commands(&o, *s);
		else
			list_commands(sh, *s);
	}
	if (!json)
		return 0;
	mpn_out_close(&o);
	return mpn_out_end(&o);
}

/* ---- Values ---- */

static bool
is_argument(const struct shell *sh, const char *type)
{
	struct shell_token tokens[SHELL_MAX_WORDS];
	const struct shell_cmd *cmd;
	unsigned i, k, n;

	for (i = 0; (cmd = shell_cmd_at(sh, i)) != NULL; i++) {
		n = shell_tokens(cmd->syntax, tokens);
		for (k = 0; k < n; k++) {
			size_t len = strcspn(tokens[k].text, "|");

			if (tokens[k].argument && strlen(type) == len &&
				strncmp(tokens[k].text, type, len) == 0)
				return true;
		}
	}
	return false;
}

int
shell_show_values(struct shell *sh, const char *type, bool json)
{
	char value[SHELL_WORD_LEN];
	struct mpn_out o;
	unsigned n;

	if (!is_argument(sh, type))
		return shell_refuse(sh, type, "expected a word in capitals, such as NIC: see help");
	mpn_out_begin(&o, sh->out, json);
	mpn_out_array(&o, "values");
	for (n = 0; sh->values != NULL && sh->values(sh->ctx, type, n, value, sizeof(value)); n++)
		mpn_out_str(&o, NULL, value);
	mpn_out_close(&o);
	return mpn_out_end(&o);
}

/* ---- The configuration ---- */

static void
save_sections(struct shell *sh)
{
	const struct shell_section *const *s;

	for (s = sh->sections; *s != NULL; s++) {
		if ((*s)->save != NULL)
			(*s)->save(sh);
	}
}

/* The lines of a text as the elements of an array. */
static int
print_lines(struct shell *sh, char *text, const char *key)
{
	struct mpn_out o;
	char *line;

	mpn_out_begin(&o, sh->out, true);
	mpn_out_array(&o, key);
	while ((line = strsep(&text, "\n")) != NULL) {
		if (line[0] != '\0')
			mpn_out_str(&o, NULL, line);
	}
	mpn_out_close(&o);
	return mpn_out_end(&o);
}

int
shell_show_config(struct shell *sh, bool json)
{
	FILE *out = sh->out;
	char *text = NULL;
	size_t size;
	int rc = -EIO;

	if (!json) {
		save_sections(sh);
		return 0;
	}
	sh->out = open_memstream(&text, &size);
	if (sh->out != NULL) {
		save_sections(sh);
		rc = fclose(sh->out) == 0 ? 0 : -ENOMEM;
	}
	sh->out = out;
	if (rc == 0)
		rc = print_lines(sh, text, "config");
	free(text);
	return rc;
}
