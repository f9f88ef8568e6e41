/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"

/* Whose the reason is, where it may be that of several. */
static int
name_nic(struct shell *sh, struct mpn_nic *nic, int rc)
{
	char reason[SHELL_EXPECT_LEN];
	struct mpn_nic_info info;

	mpn_nic_get_info(nic, &info);
	if (rc == 0 || sh->reason[0] == '\0' || mpn_nic_get(1) == NULL ||
		strstr(sh->reason, info.name) != NULL)
		return rc;
	memcpy(reason, sh->reason, sizeof(reason));
	return shell_fail(sh, rc, "%s: %s", info.name, reason);
}

int
app_for_each_nic(struct shell *sh, const char *word,
	int (*fn)(struct shell *sh, struct mpn_nic *nic, void *arg), void *arg)
{
	struct mpn_nic *nic;
	int rc = 0;

	if (strcmp(word, "all") != 0) {
		nic = app_find_nic(word);
		return nic != NULL ? fn(sh, nic, arg) : app_refuse_nic(sh, word);
	}
	for (unsigned i = 0; rc == 0 && (nic = mpn_nic_get(i)) != NULL; i++)
		rc = name_nic(sh, nic, fn(sh, nic, arg));
	return rc;
}

/* All, one after the other; those who had it already lose it again. */
static int
set_all(struct shell *sh, const struct app_setter *setter, void *arg, char *old)
{
	struct mpn_nic *nic;
	unsigned i;
	int rc = 0;

	for (i = 0; (nic = mpn_nic_get(i)) != NULL; i++) {
		if (setter->read != NULL)
			setter->read(nic, arg, old + i * setter->old_size);
		rc = name_nic(sh, nic, setter->apply(sh, nic, arg));
		if (rc < 0)
			break;
	}
	while (rc < 0 && i-- > 0)
		setter->restore(mpn_nic_get(i), arg, old + i * setter->old_size);
	return rc;
}

int
app_set_nics(struct shell *sh, const char *word, const struct app_setter *setter, void *arg)
{
	unsigned nb = 0;
	char *old;
	int rc;

	if (strcmp(word, "all") != 0)
		return app_for_each_nic(sh, word, setter->apply, arg);
	while (mpn_nic_get(nb) != NULL)
		nb++;
	old = calloc(nb + 1, setter->old_size + 1);
	if (old == NULL)
		return -ENOMEM;
	rc = set_all(sh, setter, arg, old);
	free(old);
	return rc;
}
