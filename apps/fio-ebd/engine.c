/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * An external engine for fio: fio --ioengine=external:.../fio-ebd.so --link=virtio:ebd0.sock --volume=disk0
 *
 * A job is a queue. Its memory comes from an arena, its requests are fio's units, its completions wait in
 * a ring until fio asks for them.
 */

#include <stdatomic.h>

#include <fio.h>
#include <optgroup.h>

#include "client_opts.h"
#include "shared_client.h"

#define MAX_OPTIONS 16
/* A job that was told to end gives its server so long to answer what is under way. */
#define PATIENCE_NS 2000000000ull
#define EMPTY_ROUNDS 64 /* before a round gives the core away */
#define BATCH 8 /* fio takes completions one by one, and commits after each */

/* What fio stores: a string for each row of client_opts_table. */
struct option_values {
	void *pad; /* fio takes offset 0 for none */
	char *value[MAX_OPTIONS];
};

struct job {
	struct client_opts opts;
	struct shared_client *shared;
	struct ebd_queue *queue;
	struct ebd_info info;
	struct io_u **done; /* a ring of completed units */
	unsigned mask;
	unsigned head; /* of those fio has not got */
	unsigned given; /* from head on, to be asked for by number */
	atomic_uint
		tail; /* of what has come; also written by jobs that share the link, under its lock */
	unsigned unsent; /* commits since the last round */
	unsigned empty; /* rounds without a completion */
};

struct request {
	struct ebd_io io;
	struct io_u *unit;
	struct job *job;
};

/* ---- Options ---- */

static struct fio_option options[MAX_OPTIONS + 1];

__attribute__((constructor)) static void
make_options(void)
{
	size_t i;

	for (i = 0; i < client_opts_count && i < MAX_OPTIONS; i++) {
		options[i] = (struct fio_option){
			.name = client_opts_table[i].name,
			.lname = client_opts_table[i].arg,
			.help = client_opts_table[i].help,
			.type = FIO_OPT_STR_STORE,
			.off1 = offsetof(struct option_values, value) + i * sizeof(char *),
			.category = FIO_OPT_C_ENGINE,
			.group = FIO_OPT_G_INVALID,
		};
	}
}

static int
take_options(struct job *j, const struct option_values *values)
{
	char error[128];
	size_t i;

	for (i = 0; i < client_opts_count; i++) {
		const struct mpn_opt *opt = &client_opts_table[i];

		if (values->value[i] == NULL || opt->set(&j->opts, values->value[i]) == 0)
			continue;
		log_err("ebd: %s: '%s': expected %s\n", opt->name, values->value[i], opt->expect);
		return 1;
	}
	if (client_opts_check(&j->opts, error, sizeof(error)) == 0)
		return 0;
	log_err("ebd: %s\n", error);
	return 1;
}

/* ---- From setup to cleanup ---- */

static int
open_queue(struct thread_data *td, struct job *j)
{
	struct ebd_queue_conf conf = j->opts.queue;

	if (conf.depth == 0)
		conf.depth = (uint16_t)MPN_MIN(td->o.iodepth, (unsigned)EBD_DEPTH_MAX);
	conf.max_queued = MPN_MAX(td->o.iodepth, (unsigned)EBD_DEPTH_MAX);
	pthread_mutex_lock(&j->shared->lock);
	j->queue = ebd_queue_open(j->shared->client, &conf);
	if (j->queue != NULL)
		ebd_queue_info(j->queue, &j->info);
	pthread_mutex_unlock(&j->shared->lock);
	if (j->queue != NULL)
		return 0;
	/* The library has logged the reason. */
	td_verror(td, errno, "ebd_queue_open");
	return 1;
}

static void
close_queue(struct job *j)
{
	if (j->queue == NULL)
		return;
	pthread_mutex_lock(&j->shared->lock);
	ebd_queue_close(j->queue);
	j->queue = NULL;
	pthread_mutex_unlock(&j->shared->lock);
}

static void
clean_up(struct thread_data *td)
{
	struct job *j = td->io_ops_data;

	if (j == NULL)
		return;
	close_queue(j);
	shared_client_put(j->shared);
	free(j->done);
	free(j);
	td->io_ops_data = NULL;
}

static struct job *
create_job(struct thread_data *td)
{
	struct job *j = calloc(1, sizeof(*j));
	unsigned size = 2;

	if (j == NULL)
		return NULL;
	/* What fio was given, and what has come since then. */
	while (size < 2 * td->o.iodepth)
		size *= 2;
	j->mask = size - 1;
	j->done = calloc(size, sizeof(struct io_u *));
	if (j->done == NULL) {
		free(j);
		return NULL;
	}
	return j;
}

/* Another version has other structures: nothing of it can be touched, not even to say so nicely. */
static int
check_version(void)
{
	if (strcmp(fio_version_string, FIO_VERSION) == 0)
		return 0;
	log_err("ebd: this engine was built for %s: expected to be run by it, not by %s\n",
		FIO_VERSION, fio_version_string);
	return 1;
}

/* fio wants to know the size before it starts the job. In its main thread, before any other. */
static int
set_up(struct thread_data *td)
{
	struct job *j;

	if (check_version() != 0)
		return 1;
	j = create_job(td);
	if (j == NULL) {
		td_verror(td, ENOMEM, "ebd");
		return 1;
	}
	td->io_ops_data = j;
	/* DPDK starts here, and does not outlive a fork. */
	td->o.use_thread = 1;
	if (take_options(j, td->eo) != 0)
		goto fail;
	j->shared = shared_client_get(&j->opts.client);
	if (j->shared == NULL) {
		td_verror(td, errno, "ebd_client_create");
		goto fail;
	}
	if (open_queue(td, j) != 0)
		goto fail;
	/* Until the job begins nobody would look after a session. */
	close_queue(j);
	if (td->files_index == 0) {
		add_file(td, j->opts.queue.volume, 0, 0);
		td->o.nr_files = td->o.nr_files != 0 ? td->o.nr_files : 1;
		td->o.open_files++;
	}
	td->files[0]->real_file_size = j->info.size;
	return 0;
fail:
	clean_up(td);
	return 1;
}

static int
init(struct thread_data *td)
{
	struct job *j = td->io_ops_data;

	if (j == NULL && set_up(td) != 0)
		return 1;
	j = td->io_ops_data;
	return open_queue(td, j);
}

static int
open_file(struct thread_data *td, struct fio_file *f)
{
	return 0;
}

static int
invalidate(struct thread_data *td, struct fio_file *f)
{
	return 0;
}

/* ---- Memory ---- */

static int
alloc_memory(struct thread_data *td, size_t bytes)
{
	struct job *j = td->io_ops_data;

	pthread_mutex_lock(&j->shared->lock);
	td->orig_buffer = ebd_arena_alloc(j->shared->client, bytes);
	pthread_mutex_unlock(&j->shared->lock);
	if (td->orig_buffer != NULL)
		return 0;
	log_err("ebd: no %zu bytes of DPDK's memory: expected more of it, as by eal=-m512\n",
		bytes);
	return 1;
}

static void
free_memory(struct thread_data *td)
{
	struct job *j = td->io_ops_data;

	pthread_mutex_lock(&j->shared->lock);
	ebd_arena_free(td->orig_buffer);
	pthread_mutex_unlock(&j->shared->lock);
	td->orig_buffer = NULL;
}

static int
init_unit(struct thread_data *td, struct io_u *u)
{
	struct request *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return 1;
	r->unit = u;
	r->job = td->io_ops_data;
	u->engine_data = r;
	return 0;
}

static void
free_unit(struct thread_data *td, struct io_u *u)
{
	free(u->engine_data);
	u->engine_data = NULL;
}

/* ---- Requests ---- */

static void
on_done(struct ebd_io *io, int status, void *arg)
{
	struct request *r = arg;
	struct job *j = r->job;
	unsigned tail;

	r->unit->error = (unsigned)-status;
	r->unit->resid = 0;
	tail = atomic_load_explicit(&j->tail, memory_order_relaxed);
	j->done[tail & j->mask] = r->unit;
	atomic_store_explicit(&j->tail, tail + 1, memory_order_release);
}

static int
prepare(struct job *j, struct request *r, struct io_u *u)
{
	if (u->ddir == DDIR_READ)
		ebd_prep_read(&r->io, u->xfer_buf, u->xfer_buflen, u->offset);
	else if (u->ddir == DDIR_WRITE)
		ebd_prep_write(&r->io, u->xfer_buf, u->xfer_buflen, u->offset, 0);
	else if (u->ddir == DDIR_TRIM)
		ebd_prep_discard(&r->io, u->offset, u->xfer_buflen);
	else if (ddir_sync(u->ddir))
		ebd_prep_flush(&r->io);
	else
		return EINVAL;
	ebd_io_set_callback(&r->io, on_done, r);
	return 0;
}

static enum fio_q_status
queue_unit(struct thread_data *td, struct io_u *u)
{
	struct job *j = td->io_ops_data;
	struct request *r = u->engine_data;
	struct ebd_io *io = &r->io;
	int err;

	fio_ro_check(td, u);
	/* A volume that keeps nothing back has nothing to flush. */
	if (ddir_sync(u->ddir) && !j->info.can_flush)
		return FIO_Q_COMPLETED;
	err = j->queue == NULL ? ENODEV : prepare(j, r, u);
	if (err == 0) {
		pthread_mutex_lock(&j->shared->lock);
		if (ebd_submit_burst(j->queue, &io, 1) == 0)
			err = errno;
		pthread_mutex_unlock(&j->shared->lock);
	}
	if (err == 0)
		return FIO_Q_QUEUED;
	if (err == EAGAIN)
		return FIO_Q_BUSY;
	u->error = (unsigned)err;
	td_verror(td, err, "ebd_submit_burst");
	return FIO_Q_COMPLETED;
}

/* A job that shares the link may be adding to it. */
static unsigned
completed(const struct job *j)
{
	return atomic_load_explicit(&j->tail, memory_order_acquire) - j->head;
}

/* One round of the link. The lock is held for no longer than that: another job may want it. */
static int
poll_link(struct job *j)
{
	unsigned before;
	int rc;

	pthread_mutex_lock(&j->shared->lock);
	before = completed(j);
	j->unsent = 0;
	rc = ebd_poll(j->queue, 0);
	if (rc >= 0)
		rc = (int)(completed(j) - before);
	pthread_mutex_unlock(&j->shared->lock);
	return rc;
}

/*
 * What was queued leaves with a round: now, or with a few more when fio can do nothing but take
 * completions, which are there, and queue again.
 */
static int
commit(struct thread_data *td)
{
	struct job *j = td->io_ops_data;
	bool later =
		td->cur_depth >= td->o.iodepth && completed(j) > j->given && ++j->unsent < BATCH;

	if (j->queue != NULL && !later)
		(void)poll_link(j);
	return 0;
}

static void
rest(struct job *j, int work)
{
	static const struct timespec nap = {.tv_nsec = 50000};

	if (work > 0) {
		j->empty = 0;
		return;
	}
	if (++j->empty < EMPTY_ROUNDS)
		return;
	if (j->opts.client.idle == EBD_IDLE_SLEEP)
		(void)nanosleep(&nap, NULL);
	else if (j->opts.client.idle == EBD_IDLE_YIELD || j->shared->users > 1)
		(void)sched_yield();
}

static int
get_events(
	struct thread_data *td, unsigned int min, unsigned int max, const struct timespec *timeout)
{
	struct job *j = td->io_ops_data;
	uint64_t begin = ebd_now_ns(), wait = UINT64_MAX;
	unsigned n;
	int rc = 0;

	if (timeout != NULL)
		wait = (uint64_t)timeout->tv_sec * 1000000000u + (uint64_t)timeout->tv_nsec;
	j->head += j->given;
	j->given = 0;
	n = completed(j);
	while (n < MPN_MAX(min, 1u) && j->queue != NULL) {
		rc = poll_link(j);
		n = completed(j);
		if (rc < 0 || n >= min || ebd_now_ns() - begin >= wait)
			break;
		/* Without a server nothing else would end what is under way soon. */
		if (td->terminate && ebd_now_ns() - begin >= PATIENCE_NS)
			close_queue(j);
		else
			rest(j, rc);
	}
	j->given = MPN_MIN(completed(j), max);
	return j->given == 0 && min > 0 && rc < 0 ? rc : (int)j->given;
}

static struct io_u *
get_event(struct thread_data *td, int event)
{
	struct job *j = td->io_ops_data;

	return j->done[(j->head + (unsigned)event) & j->mask];
}

/* fio looks for this name. */
struct ioengine_ops ioengine = {
	.name = "ebd",
	.version = FIO_IOOPS_VERSION,
	.flags = FIO_DISKLESSIO | FIO_NOEXTEND | FIO_NODISKUTIL | FIO_MEMALIGN,
	.setup = set_up,
	.init = init,
	.queue = queue_unit,
	.commit = commit,
	.getevents = get_events,
	.event = get_event,
	.cleanup = clean_up,
	.open_file = open_file,
	.invalidate = invalidate,
	.iomem_alloc = alloc_memory,
	.iomem_free = free_memory,
	.io_u_init = init_unit,
	.io_u_free = free_unit,
	.options = options,
	.option_struct_size = sizeof(struct option_values),
};
