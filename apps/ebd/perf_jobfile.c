/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Job files:
 *
 *	# what follows is for all jobs below
 *	[global]
 *	bs = 4k
 *	[reader]
 *	volume = disk0
 *	rw = randread
 *	verify
 *
 * The keys are the options of the command line that describe a job, and "volume".
 */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mpn_parse.h"
#include "perf.h"

#define LINE_LEN 256

struct reader {
	struct perf_conf *conf;
	const struct mpn_opt *opts;
	size_t nb_opts;
	const char *path;
	unsigned line;
	bool in_job; /* conf->job is a job that is not in conf->jobs yet */
	struct perf_job_conf start; /* what the next job starts with */
};

static int
complain(const struct reader *r, const char *what, const char *expected)
{
	return tool_misuse(&r->conf->tool, "--jobfile: %s, line %u: '%s': expected %s", r->path,
		r->line, what, expected);
}

/* Without blanks at both ends. */
static char *
strip(char *s)
{
	char *end;

	while (isspace((unsigned char)*s))
		s++;
	end = s + strlen(s);
	while (end > s && isspace((unsigned char)end[-1]))
		end--;
	*end = '\0';
	return s;
}

/* The job that was described is complete. */
static int
end_job(struct reader *r)
{
	struct perf_conf *conf = r->conf;
	unsigned i;

	if (!r->in_job) {
		/* [global], or nothing yet. */
		r->start = conf->job;
		return TOOL_GO_ON;
	}
	if (conf->job.volume[0] == '\0')
		return tool_misuse(&conf->tool,
			"--jobfile: %s: [%s] has no volume: expected volume = NAME", r->path,
			conf->job.name);
	for (i = 0; i < conf->nb_jobs; i++) {
		if (strcmp(conf->jobs[i].name, conf->job.name) == 0)
			return tool_misuse(&conf->tool,
				"--jobfile: %s: [%s]: expected another name, it is taken", r->path,
				conf->job.name);
	}
	conf->jobs[conf->nb_jobs++] = conf->job;
	conf->job = r->start;
	return TOOL_GO_ON;
}

static int
begin_section(struct reader *r, char *line)
{
	char *end = strchr(line, ']');
	char *name;
	int rc;

	if (end == NULL || end[1] != '\0')
		return complain(r, line, "[NAME]");
	*end = '\0';
	name = strip(line + 1);
	rc = end_job(r);
	if (rc != TOOL_GO_ON)
		return rc;
	r->in_job = strcmp(name, "global") != 0;
	if (!r->in_job) {
		r->conf->job = r->start;
		return TOOL_GO_ON;
	}
	if (r->conf->nb_jobs == PERF_JOBS_MAX)
		return complain(r, name, "at most 16 jobs");
	if (name[0] == '\0' ||
		mpn_copy_str(r->conf->job.name, sizeof(r->conf->job.name), name) != 0)
		return complain(r, name, "a name of 1 to 63 characters");
	return TOOL_GO_ON;
}

static int
set_key(struct reader *r, const char *key, const char *value)
{
	struct perf_conf *conf = r->conf;
	size_t i;

	if (strcmp(key, "volume") == 0) {
		if (value == NULL || value[0] == '\0' ||
			mpn_copy_str(conf->job.volume, sizeof(conf->job.volume), value) != 0)
			return complain(r, key, "volume = NAME");
		return TOOL_GO_ON;
	}
	for (i = 0; i < r->nb_opts; i++) {
		const struct mpn_opt *opt = &r->opts[i];

		if (strcmp(opt->name, key) != 0)
			continue;
		if ((opt->arg == NULL) != (value == NULL))
			return complain(r, key, opt->arg == NULL ? "no value" : opt->expect);
		return opt->set(conf, value) != 0 ? complain(r, value, opt->expect) : TOOL_GO_ON;
	}
	return complain(r, key, "volume, or an option of ebd perf that describes a load");
}

static int
take_line(struct reader *r, char *line)
{
	char *key = strip(line), *value;

	if (key[0] == '\0' || key[0] == '#' || key[0] == ';')
		return TOOL_GO_ON;
	if (key[0] == '[')
		return begin_section(r, key);
	value = strchr(key, '=');
	if (value != NULL) {
		*value = '\0';
		value = strip(value + 1);
		key = strip(key);
	}
	return set_key(r, key, value);
}

int
perf_jobfile_read(
	struct perf_conf *conf, const char *path, const struct mpn_opt *opts, size_t nb_opts)
{
	struct reader r = {
		.conf = conf, .opts = opts, .nb_opts = nb_opts, .path = path, .start = conf->job};
	char line[LINE_LEN];
	FILE *f = fopen(path, "r");
	int rc = TOOL_GO_ON;

	if (f == NULL)
		return tool_misuse(&conf->tool, "--jobfile: '%s': %s", path, strerror(errno));
	while (rc == TOOL_GO_ON && fgets(line, sizeof(line), f) != NULL) {
		r.line++;
		if (strchr(line, '\n') == NULL && !feof(f))
			rc = complain(&r, "...", "a line of at most 254 characters");
		else
			rc = take_line(&r, line);
	}
	if (rc == TOOL_GO_ON && ferror(f))
		rc = tool_fail(&conf->tool, "--jobfile: '%s': %s", path, strerror(errno));
	(void)fclose(f);
	if (rc == TOOL_GO_ON)
		rc = end_job(&r);
	if (rc == TOOL_GO_ON && conf->nb_jobs == 0)
		rc = tool_misuse(&conf->tool, "--jobfile: '%s': has no job: expected [NAME]", path);
	return rc;
}
