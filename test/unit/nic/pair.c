/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pair.h"

#define PATIENCE_MS 10000
#define WINDOW 32

void
pair_open(struct pair *t, unsigned end, const char *link, bool server, uint16_t mtu)
{
	memset(&t->probe[end], 0, sizeof(t->probe[end]));
	t->nic[end] = probe_nic(link, server, mtu);
	assert_non_null(t->nic[end]);
	probe_start(t->nic[end], &t->probe[end]);
	mpn_nic_get_info(t->nic[end], &t->info[end]);
}

void
pair_close_one(struct pair *t, unsigned end)
{
	mpn_nic_destroy(t->nic[end]);
	t->nic[end] = NULL;
}

void
pair_close(struct pair *t)
{
	pair_close_one(t, 1);
	pair_close_one(t, 0);
}

int
pair_clean(void **state)
{
	while (mpn_nic_get(0) != NULL)
		mpn_nic_destroy(mpn_nic_get(0));
	return 0;
}

static unsigned
poll_both(struct pair *t)
{
	unsigned work = 0;

	for (unsigned i = 0; i < 2; i++) {
		if (t->nic[i] != NULL)
			work += mpn_nic_poll(t->nic[i]);
	}
	if (work == 0)
		(void)sched_yield();
	return work;
}

bool
pair_wait_link(struct pair *t, unsigned end, bool up, unsigned ms)
{
	uint64_t deadline = mpn_now_ns() + ms * 1000000ull;

	for (;;) {
		mpn_nic_get_info(t->nic[end], &t->info[end]);
		if (t->info[end].link_up == up)
			return true;
		if (mpn_now_ns() > deadline)
			return false;
		(void)poll_both(t);
	}
}

void
pair_wait_up(struct pair *t, unsigned ms)
{
	assert_true(pair_wait_link(t, 0, true, ms));
	assert_true(pair_wait_link(t, 1, true, ms));
}

static void
expect_frames(struct pair *t, unsigned to, uint64_t frames)
{
	uint64_t deadline = mpn_now_ns() + PATIENCE_MS * 1000000ull;

	while (t->probe[to].frames < frames && mpn_now_ns() < deadline)
		(void)poll_both(t);
	assert_int_equal(t->probe[to].frames, frames);
	assert_int_equal(t->probe[to].damaged, 0);
	assert_int_equal(t->probe[to].out_of_order, 0);
	assert_int_equal(t->probe[to].segmented, 0);
}

void
pair_exchange_many(struct pair *t, unsigned from, unsigned to, unsigned count, uint32_t len)
{
	uint64_t deadline = mpn_now_ns() + PATIENCE_MS * 1000000ull;
	uint64_t before = t->probe[to].frames;
	unsigned sent = 0;

	t->probe[to].next_number = 0;
	while (sent < count && mpn_now_ns() < deadline) {
		for (unsigned i = 0; i < MPN_BURST && sent < count; i++) {
			if (!probe_send(&t->probe[from], t->info[to].mac, sent, len))
				break;
			sent++;
		}
		(void)poll_both(t);
	}
	assert_int_equal(sent, count);
	expect_frames(t, to, before + count);
}

void
pair_exchange_sizes(struct pair *t, unsigned from, unsigned to)
{
	static const uint32_t sizes[] = {
		60, 64, 65, 127, 128, 1514, 1515, 2048, 2049, 4160, 8256, 9014};

	for (unsigned i = 0; i < MPN_ARRAY_SIZE(sizes); i++) {
		if (sizes[i] <= t->info[from].max_frame)
			pair_exchange_many(t, from, to, 3, sizes[i]);
	}
}

typedef bool (*send_fn)(struct probe *probe, const uint8_t *dst, uint32_t number, uint32_t len);

static void
echo_with(struct pair *t, unsigned end, unsigned count, uint32_t len, send_fn send)
{
	uint64_t deadline = mpn_now_ns() + PATIENCE_MS * 1000000ull;
	struct probe *probe = &t->probe[end];
	unsigned sent = 0;
	uint64_t before;

	probe->next_number = 0;
	before = probe->frames;
	while (probe->frames - before < count && mpn_now_ns() < deadline) {
		while (sent < count && sent - (probe->frames - before) < WINDOW &&
			send(probe, NULL, sent, len))
			sent++;
		(void)poll_both(t);
	}
	assert_int_equal(probe->frames - before, count);
	assert_int_equal(probe->damaged, 0);
	assert_int_equal(probe->out_of_order, 0);
	assert_int_equal(probe->segmented, 0);
}

void
pair_echo(struct pair *t, unsigned end, unsigned count, uint32_t len)
{
	echo_with(t, end, count, len, probe_send);
}

void
pair_echo_segments(struct pair *t, unsigned end, unsigned count, uint32_t len)
{
	echo_with(t, end, count, len, probe_send_segments);
}

void
pair_echo_until_answered(struct pair *t, unsigned end, unsigned ms)
{
	uint64_t deadline = mpn_now_ns() + ms * 1000000ull;
	struct probe *probe = &t->probe[end];
	uint64_t next = 0, quiet;

	while (probe->frames == 0) {
		assert_true(mpn_now_ns() < deadline);
		if (mpn_now_ns() >= next) {
			(void)probe_send(probe, NULL, 0, 60);
			next = mpn_now_ns() + 20000000;
		}
		(void)poll_both(t);
	}
	/* Late answers do not belong to what comes next. */
	for (quiet = mpn_now_ns(); mpn_now_ns() - quiet < 100000000;) {
		if (poll_both(t) > 0)
			quiet = mpn_now_ns();
	}
	probe->out_of_order = 0;
}

void
pair_read_mac(const char *iface, uint8_t mac[6])
{
	struct ifreq ifr = {0};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", iface);
	assert_int_equal(ioctl(fd, SIOCGIFHWADDR, &ifr), 0);
	memcpy(mac, ifr.ifr_hwaddr.sa_data, 6);
	close(fd);
}

/* ---- The peer ---- */

static volatile sig_atomic_t ended;
static const char *self;

static void
note_end(int sig)
{
	ended = 1;
}

static int
run_peer(const char *link, bool server)
{
	struct probe probe = {.echo = true};
	struct mpn_idler idler;
	struct mpn_nic *nic;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGTERM, note_end);
	if (probe_eal_start(link, NULL) < 0)
		return 2;
	nic = probe_nic(link, server, 0);
	if (nic == NULL)
		return 3;
	probe_start(nic, &probe);
	mpn_idler_init(&idler, MPN_IDLE_YIELD);
	while (!ended)
		mpn_idler_round(&idler, mpn_nic_poll(nic));
	mpn_nic_destroy(nic);
	mpn_eal_stop();
	return 0;
}

void
peer_init(int argc, char **argv)
{
	self = argv[0];
	if (argc == 4 && strcmp(argv[1], "--echo") == 0)
		exit(run_peer(argv[3], strcmp(argv[2], "server") == 0));
}

pid_t
peer_start(const char *link, bool server)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)execl("/proc/self/exe", self, "--echo", server ? "server" : "client", link,
			(char *)NULL);
		_exit(127);
	}
	return pid;
}

int
peer_end(pid_t pid, int sig)
{
	int status = -1;

	assert_int_equal(kill(pid, sig), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

int
pair_listen(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}
