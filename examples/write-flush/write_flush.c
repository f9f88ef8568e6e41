/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Writes a line into a block of a volume so that it survives a power cut, and reads it back.
 *
 *	write_flush virtio:ebd0.sock disk0 4096 "hello"
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpnic/ebd.h>

/* A write that was answered may still be in a cache of the server's. */
static int
write_durably(struct ebd_queue *q, const void *block, const struct ebd_info *info, uint64_t offset)
{
	ssize_t n = ebd_pwrite(q, block, info->block_size, offset, 0);

	if (n < 0)
		return (int)n;
	/* All writes that were answered before are durable when the flush is. Where only one matters,
	 * EBD_FUA as the flag of that write does the same for it alone. */
	return info->can_flush ? ebd_flush(q) : 0;
}

static int
run(struct ebd_queue *q, uint64_t offset, const char *text)
{
	struct ebd_info info;
	char *block, *back;
	ssize_t n;
	int rc;

	ebd_queue_info(q, &info);
	block = calloc(2, info.block_size);
	if (block == NULL)
		return -ENOMEM;
	back = block + info.block_size;
	snprintf(block, info.block_size, "%s", text);
	rc = write_durably(q, block, &info, offset);
	if (rc == 0) {
		n = ebd_pread(q, back, info.block_size, offset);
		rc = n < 0 ? (int)n : memcmp(block, back, info.block_size) == 0 ? 0 : -EIO;
	}
	if (rc == 0)
		printf("%" PRIu64 ": %s\n", offset, back);
	free(block);
	return rc;
}

int
main(int argc, char **argv)
{
	struct ebd_client *client;
	struct ebd_queue *queue;
	uint64_t offset;
	char *end;
	int rc = -EIO;

	if (argc != 5) {
		printf("usage: %s LINK VOLUME OFFSET TEXT\n", argv[0]);
		return argc == 2 && strcmp(argv[1], "--help") == 0 ? EXIT_SUCCESS : 2;
	}
	errno = 0;
	offset = strtoull(argv[3], &end, 0);
	if (errno != 0 || *end != '\0' || end == argv[3] || argv[3][0] == '-') {
		fprintf(stderr, "'%s': expected a number of bytes\n", argv[3]);
		return 2;
	}
	client = ebd_client_create(&(struct ebd_client_conf){.link = argv[1]});
	queue = client != NULL ? ebd_queue_open(client, &(struct ebd_queue_conf){.volume = argv[2]})
			       : NULL;
	if (queue != NULL) {
		rc = run(queue, offset, argv[4]);
		if (rc < 0)
			fprintf(stderr, "%s: %s\n", argv[2], strerror(-rc));
	} else {
		fprintf(stderr, "%s\n", ebd_last_error());
	}
	ebd_queue_close(queue);
	ebd_client_destroy(client);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
