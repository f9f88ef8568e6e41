/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The initiator from outside: memory, configuration, frames to send, what can be asked. */

#include "ini.h"

void
xfer_ini_conf_default(struct xfer_ini_conf *conf)
{
	*conf = (struct xfer_ini_conf){
		.ethertype_to_target = WIRE_EBD_TO_TARGET,
		.ethertype_to_initiator = WIRE_EBD_TO_INITIATOR,
		.p_max = WIRE_EBD_P_SMALL,
		.depth = 32,
		.rx_frames = 512,
		.rto_min_ns = 2ull * XFER_NSEC_PER_MSEC,
		.rto_max_ns = XFER_NSEC_PER_SEC,
		.probe_ns = 200ull * XFER_NSEC_PER_USEC,
		.dead_ns = 500ull * XFER_NSEC_PER_MSEC,
		.fail_after_ns = 30 * XFER_NSEC_PER_SEC,
		.keepalive_ns = XFER_NSEC_PER_SEC,
	};
}

static bool
is_conf_valid(const struct xfer_ini_conf *c)
{
	return c->depth >= 1 && c->depth <= XFER_MAX_DEPTH &&
	       c->slot_base <= UINT16_MAX - c->depth && c->p_max >= WIRE_EBD_P_SMALL &&
	       c->rx_frames >= WIRE_EBD_MAX_FRAGS && c->rto_min_ns > 0 &&
	       c->rto_min_ns <= c->rto_max_ns && c->probe_ns > 0 && c->keepalive_ns > 0 &&
	       c->volume[0] != '\0' && c->volume[WIRE_EBD_NAME_LEN - 1] == '\0' && c->place != NULL;
}

size_t
xfer_ini_size(const struct xfer_ini_conf *conf)
{
	return sizeof(struct xfer_ini) + conf->depth * sizeof(struct ini_slot);
}

struct xfer_ini *
xfer_ini_init(void *mem, const struct xfer_ini_conf *conf)
{
	struct xfer_ini *ini = mem;

	if (!is_conf_valid(conf))
		return mpn_err_null(EINVAL);
	memset(mem, 0, xfer_ini_size(conf));
	ini->conf = *conf;
	ini->nonce = conf->nonce;
	mpn_list_init(&ini->pending);
	mpn_list_init(&ini->active);
	mpn_list_init(&ini->txq);
	mpn_list_init(&ini->cancelled);
	mpn_list_init(&ini->writes);
	ini->next_timer_ns = XFER_NO_DEADLINE;
	return ini;
}

bool
xfer_ini_tx(struct xfer_ini *ini, struct xfer_tx *tx, uint64_t now_ns)
{
	tx->hdr_len = WIRE_EBD_HDR_LEN;
	tx->data_len = 0;
	tx->data_off = 0;
	tx->cmd = NULL;
	tx->retx = false;
	if (mpn_unlikely(ini->ctrl_due))
		return ini_tx_ctrl(ini, tx, now_ns);
	if (mpn_unlikely(ini->drain > 0))
		return ini_tx_drain(ini, tx, now_ns);
	if (ini->state != XFER_INI_LIVE)
		return false;
	if (mpn_unlikely(ini->probe_due))
		return ini_tx_probe(ini, tx, now_ns);
	return ini_tx_cmd(ini, tx, now_ns);
}

bool
xfer_ini_wants_tx(const struct xfer_ini *ini)
{
	return ini->ctrl_due || ini->drain > 0 || ini->probe_due ||
	       !mpn_list_empty(&ini->pending) || !mpn_list_empty(&ini->txq);
}

enum xfer_ini_state
xfer_ini_get_state(const struct xfer_ini *ini)
{
	return (enum xfer_ini_state)ini->state;
}

uint32_t
xfer_ini_sid(const struct xfer_ini *ini)
{
	return ini->sid;
}

uint32_t
xfer_ini_p(const struct xfer_ini *ini)
{
	return ini->was_live ? ini->p : 0;
}

uint32_t
xfer_ini_quantum(const struct xfer_ini *ini)
{
	return ini->quantum;
}

uint32_t
xfer_ini_depth(const struct xfer_ini *ini)
{
	return ini->was_live ? ini->depth : 0;
}

bool
xfer_ini_has_crc(const struct xfer_ini *ini)
{
	return ini->sealed;
}

bool
xfer_ini_has_bulk(const struct xfer_ini *ini)
{
	return ini->bulk;
}

bool
xfer_ini_drain(struct xfer_ini *ini, uint32_t nb)
{
	if (xfer_mac_zero(ini->peer))
		nb = 0;
	ini->drain = nb;
	ini->draining = nb;
	return nb > 0;
}

uint32_t
xfer_ini_draining(const struct xfer_ini *ini)
{
	return ini->draining;
}

uint32_t
xfer_ini_outstanding(const struct xfer_ini *ini)
{
	return ini->nb_outstanding;
}

uint64_t
xfer_ini_srtt_ns(const struct xfer_ini *ini)
{
	return ini->srtt_ns;
}

const struct wire_geometry *
xfer_ini_geometry(const struct xfer_ini *ini)
{
	return &ini->geometry;
}

const uint8_t *
xfer_ini_target(const struct xfer_ini *ini)
{
	return ini->peer;
}

const struct xfer_stats *
xfer_ini_stats(const struct xfer_ini *ini)
{
	return &ini->stats;
}
