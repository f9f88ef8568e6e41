/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Who may use an export. A list belongs to a name, not to a volume: it may be there before the volume is,
 * so that there is no moment at which everybody sees it.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "mpn_out.h"
#include "server_int.h"

#define MAX_LISTS 256
#define MAX_CLIENTS 256 /* of a list */

struct access_list {
	struct access_list *next;
	char name[EBD_NAME_LEN];
	unsigned nb;
	struct ebd_access clients[MAX_CLIENTS];
};

static struct access_list **
find_list(struct ebd_server *s, const char *name)
{
	struct access_list **at = &s->access;

	while (*at != NULL && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

static int
check_name(const char *name)
{
	if (name[0] != '\0' && strlen(name) < EBD_NAME_LEN)
		return 0;
	return mpn_log_err(EINVAL, "ebd", "volume '%.80s': expected a name of 1 to %d characters",
		name, EBD_NAME_LEN - 1);
}

static struct access_list *
get_list(struct ebd_server *s, const char *name)
{
	struct access_list **at = find_list(s, name);
	const struct access_list *l;
	unsigned n = 0;

	if (*at != NULL)
		return *at;
	for (l = s->access; l != NULL; l = l->next)
		n++;
	if (n >= MAX_LISTS) {
		(void)mpn_log_err(ENOSPC, "ebd",
			"volume '%s': a server has at most %d lists of clients", name, MAX_LISTS);
		return NULL;
	}
	*at = calloc(1, sizeof(**at));
	if (*at == NULL) {
		(void)mpn_log_err(ENOMEM, "ebd", "volume '%s': no memory for a list", name);
		return NULL;
	}
	(void)snprintf((*at)->name, sizeof((*at)->name), "%s", name);
	return *at;
}

/* The list has changed: who is not on it any more has to go. */
static void
enforce(struct ebd_server *s, const char *name)
{
	unsigned i;

	for (i = 0; i < s->nb_exports && s->target != NULL; i++) {
		if (strcmp(s->exports[i]->geometry.name, name) == 0)
			xfer_tgt_export_recheck(st_target_xfer(s->target), i, mpn_now_ns());
	}
}

static unsigned
find_client(const struct access_list *l, const struct ebd_access *who)
{
	unsigned i;

	for (i = 0; i < l->nb && memcmp(&l->clients[i], who, sizeof(*who)) != 0; i++)
		;
	return i;
}

static int
check_client(const char *name, const struct ebd_access *who)
{
	if (!sodium_is_zero((const unsigned char *)who, sizeof(*who)))
		return 0;
	return mpn_log_err(EINVAL, "ebd", "volume '%s': a client of nothing but zeroes", name);
}

int
ebd_export_allow(struct ebd_server *s, const char *name, const struct ebd_access *who)
{
	struct access_list **at, *l;
	int rc = check_name(name);

	if (rc == 0 && who != NULL)
		rc = check_client(name, who);
	if (rc != 0)
		return rc;
	if (who == NULL) {
		at = find_list(s, name);
		l = *at;
		if (l != NULL) {
			*at = l->next;
			free(l);
		}
		return 0;
	}
	l = get_list(s, name);
	if (l == NULL)
		return -errno;
	if (find_client(l, who) == l->nb) {
		if (l->nb == MAX_CLIENTS)
			return mpn_log_err(ENOSPC, "ebd",
				"volume '%s': a list has at most %d clients", name, MAX_CLIENTS);
		l->clients[l->nb++] = *who;
	}
	enforce(s, name);
	return 0;
}

int
ebd_export_deny(struct ebd_server *s, const char *name, const struct ebd_access *who)
{
	struct access_list *l;
	unsigned i;
	int rc = check_name(name);

	if (rc != 0)
		return rc;
	if (who == NULL) {
		l = get_list(s, name);
		if (l == NULL)
			return -errno;
		l->nb = 0;
	} else {
		l = *find_list(s, name);
		i = l != NULL ? find_client(l, who) : 0;
		if (l == NULL || i == l->nb)
			return mpn_log_err(
				ENOENT, "ebd", "volume '%s': the client is not on its list", name);
		l->clients[i] = l->clients[--l->nb];
	}
	enforce(s, name);
	return 0;
}

bool
access_is_listed(struct ebd_server *s, const char *name)
{
	return *find_list(s, name) != NULL;
}

bool
access_may_use(void *user, uint32_t index, const uint8_t uuid[16], const uint8_t mac[6])
{
	struct ebd_server *s = user;
	const struct access_list *l;
	unsigned i;

	/* The target takes up an export before the server has a place for it: nobody asks then. */
	if (index >= s->nb_exports)
		return false;
	l = *find_list(s, s->exports[index]->geometry.name);
	if (l == NULL)
		return true;
	for (i = 0; i < l->nb; i++) {
		const struct ebd_access *c = &l->clients[i];

		if ((sodium_is_zero(c->client_uuid, sizeof(c->client_uuid)) ||
			    memcmp(c->client_uuid, uuid, sizeof(c->client_uuid)) == 0) &&
			(sodium_is_zero(c->mac, sizeof(c->mac)) ||
				memcmp(c->mac, mac, sizeof(c->mac)) == 0))
			return true;
	}
	return false;
}

void
access_print(const struct ebd_server *s, const char *name, struct mpn_out *o)
{
	const struct access_list *l = s->access;
	unsigned i;

	while (l != NULL && strcmp(l->name, name) != 0)
		l = l->next;
	if (l == NULL)
		return;
	mpn_out_array(o, "clients");
	for (i = 0; i < l->nb; i++) {
		const struct ebd_access *c = &l->clients[i];

		mpn_out_object(o, NULL);
		if (!sodium_is_zero(c->client_uuid, sizeof(c->client_uuid)))
			mpn_out_uuid(o, "client", c->client_uuid);
		if (!sodium_is_zero(c->mac, sizeof(c->mac)))
			mpn_out_mac(o, "mac", c->mac);
		mpn_out_close(o);
	}
	mpn_out_close(o);
}

void
access_free(struct ebd_server *s)
{
	struct access_list *l;

	while ((l = s->access) != NULL) {
		s->access = l->next;
		free(l);
	}
}
