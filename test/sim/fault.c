/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fault.h"

#define STREAM_SWARM 1
#define STREAM_FAULT 100 /* one stream per kind from here on */

static_assert(SIM_F_COUNT < 32, "one bit per kind, and SIM_FAULT_SWARM is none of them");

const char *const sim_fault_names[SIM_F_COUNT] = {
#define X(name, lo, hi, text) #name,
	SIM_FAULT_LIST(X)
#undef X
};

const char *const sim_fault_texts[SIM_F_COUNT] = {
#define X(name, lo, hi, text) text,
	SIM_FAULT_LIST(X)
#undef X
};

static const struct {
	uint32_t lo;
	uint32_t hi;
} ranges[SIM_F_COUNT] = {
#define X(name, lo, hi, text) {lo, hi},
	SIM_FAULT_LIST(X)
#undef X
};

void
sim_faults_init(struct sim_faults *f, uint64_t seed, uint32_t mask)
{
	struct rng swarm;
	unsigned k;

	memset(f, 0, sizeof(*f));
	rng_seed(&swarm, seed, STREAM_SWARM);
	for (k = 0; k < SIM_F_COUNT; k++) {
		bool half = rng_below(&swarm, 2) == 1;

		if (mask == SIM_FAULT_SWARM ? half : mask >> k & 1)
			f->on |= 1u << k;
		f->ppm[k] = (uint32_t)rng_log(&swarm, ranges[k].lo, ranges[k].hi);
		rng_seed(&f->rng[k], seed, STREAM_FAULT + k);
	}
	f->active = true;
}

bool
sim_fault_strikes(struct sim_faults *f, enum sim_fault kind)
{
	uint32_t n;

	if (!(f->on >> kind & 1) || !f->active || !rng_ppm(&f->rng[kind], f->ppm[kind]))
		return false;
	n = f->fired++;
	if (n < f->skip_bits && f->skip[n / 64] >> n % 64 & 1)
		return false;
	f->hits[kind]++;
	return true;
}

int
sim_faults_parse(const char *list, uint32_t *mask)
{
	uint32_t out = 0;
	unsigned k;
	size_t n;

	if (strcmp(list, "swarm") == 0)
		out = SIM_FAULT_SWARM;
	else if (strcmp(list, "all") == 0)
		out = SIM_FAULT_ALL;
	else if (strcmp(list, "none") != 0) {
		for (; *list != '\0'; list += n + (list[n] == ',')) {
			n = strcspn(list, ",");
			for (k = 0; k < SIM_F_COUNT; k++) {
				if (strlen(sim_fault_names[k]) == n &&
					memcmp(sim_fault_names[k], list, n) == 0)
					break;
			}
			if (k == SIM_F_COUNT)
				return -EINVAL;
			out |= 1u << k;
		}
	}
	*mask = out;
	return 0;
}

char *
sim_faults_format(char *buf, size_t size, uint32_t mask)
{
	size_t at = 0;
	unsigned k;
	int n;

	(void)snprintf(buf, size, "%s", mask == SIM_FAULT_SWARM ? "swarm" : "none");
	for (k = 0; mask != SIM_FAULT_SWARM && k < SIM_F_COUNT; k++) {
		if (!(mask >> k & 1))
			continue;
		n = snprintf(buf + at, size - at, "%s%s", at == 0 ? "" : ",", sim_fault_names[k]);
		if (n < 0 || (size_t)n >= size - at)
			break;
		at += (size_t)n;
	}
	return buf;
}
