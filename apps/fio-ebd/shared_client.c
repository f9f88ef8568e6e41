/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stdlib.h>
#include <string.h>

#include "mpn_err.h"
#include "shared_client.h"

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct shared_client *list;

static struct shared_client *
create(const struct ebd_client_conf *conf)
{
	struct shared_client *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return mpn_err_null(ENOMEM);
	s->link = strdup(conf->link);
	if (s->link != NULL)
		s->client = ebd_client_create(conf);
	if (s->client == NULL) {
		free(s->link);
		free(s);
		return NULL;
	}
	(void)pthread_mutex_init(&s->lock, NULL);
	return s;
}

struct shared_client *
shared_client_get(const struct ebd_client_conf *conf)
{
	struct shared_client *s;

	pthread_mutex_lock(&list_lock);
	for (s = list; s != NULL && strcmp(s->link, conf->link) != 0; s = s->next)
		;
	if (s == NULL) {
		s = create(conf);
		if (s != NULL) {
			s->next = list;
			list = s;
		}
	}
	if (s != NULL)
		s->users++;
	pthread_mutex_unlock(&list_lock);
	return s;
}

void
shared_client_put(struct shared_client *s)
{
	struct shared_client **at = &list;

	if (s == NULL)
		return;
	pthread_mutex_lock(&list_lock);
	if (--s->users == 0) {
		while (*at != s)
			at = &(*at)->next;
		*at = s->next;
		ebd_client_destroy(s->client);
		(void)pthread_mutex_destroy(&s->lock);
		free(s->link);
		free(s);
	}
	pthread_mutex_unlock(&list_lock);
}
