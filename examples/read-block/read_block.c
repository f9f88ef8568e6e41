/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Reads one block of a volume and shows it.
 *
 *	cc -o read-block read_block.c $(pkg-config --cflags --libs mpnic)
 *	ebd serve --link vhost:/tmp/ebd0.sock --volume disk0=file:disk.img &
 *	./read-block virtio:/tmp/ebd0.sock disk0 0
 */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpnic/ebd.h>

static void
show(const unsigned char *block, size_t len, uint64_t offset)
{
	for (size_t i = 0; i < len; i += 16) {
		printf("%08" PRIx64 " ", offset + i);
		for (size_t j = i; j < i + 16; j++)
			printf(" %02x", block[j]);
		printf("  ");
		for (size_t j = i; j < i + 16; j++)
			putchar(isprint(block[j]) ? block[j] : '.');
		putchar('\n');
	}
}

static int
read_block(struct ebd_client *client, const char *volume, uint64_t offset)
{
	struct ebd_queue_conf conf = {.volume = volume};
	struct ebd_queue *queue = ebd_queue_open(client, &conf);
	struct ebd_info info;
	void *block;
	ssize_t n;

	if (queue == NULL) {
		fprintf(stderr, "read-block: %s\n", ebd_last_error());
		return 1;
	}
	ebd_queue_info(queue, &info);
	fprintf(stderr, "%s: %" PRIu64 " bytes in blocks of %" PRIu32 "\n", info.name, info.size,
		info.block_size);

	/* Any memory would do; this is aligned, and frames can be sent from it without a copy. */
	block = ebd_arena_alloc(client, info.block_size);
	n = block != NULL ? ebd_pread(queue, block, info.block_size, offset) : -ENOMEM;
	if (n < 0)
		fprintf(stderr, "read-block: offset %" PRIu64 ": %s\n", offset, strerror((int)-n));
	else
		show(block, (size_t)n, offset);
	ebd_queue_close(queue);
	ebd_arena_free(block);
	return n < 0;
}

static int
usage(FILE *f)
{
	fprintf(f, "usage: read-block LINK VOLUME OFFSET\n\nLINK is one of\n");
	ebd_link_help(f);
	return f == stdout ? 0 : 2;
}

int
main(int argc, char **argv)
{
	struct ebd_client_conf conf = {0};
	struct ebd_client *client;
	uint64_t offset;
	char *end;
	int rc;

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage(stdout);
	if (argc != 4)
		return usage(stderr);
	errno = 0;
	offset = strtoull(argv[3], &end, 0);
	if (errno != 0 || *end != '\0' || argv[3][0] == '-' || end == argv[3]) {
		fprintf(stderr, "read-block: OFFSET: '%s': expected a number of bytes\n", argv[3]);
		return 2;
	}
	conf.link = argv[1];
	client = ebd_client_create(&conf);
	if (client == NULL) {
		fprintf(stderr, "read-block: %s\n", ebd_last_error());
		return 1;
	}
	rc = read_block(client, argv[2], offset);
	ebd_client_destroy(client);
	return rc;
}
