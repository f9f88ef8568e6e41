/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The network personality: between the flows and the face the host sees. Best effort, as any network
 * interface: what the host does not take is lost, what the flow does not take stays with the host.
 */

#include <net/if.h>
#include <string.h>

#include "mpn_log.h"
#include "mpn_parse.h"
#include "net_iface.h"
#include "net_int.h"

#define KIND_NAME "net"
#define OPTIONS "tap=NAME, vhost=on|off|auto, offload=on|off|auto or ring=FRAMES"

struct net_device *
net_device_get(struct mpn_personality *p)
{
	struct mpn_personality_info info;

	mpn_personality_get_info(p, &info);
	if (strcmp(info.kind, KIND_NAME) != 0 || info.state == MPN_PERS_DEFINED)
		return mpn_err_null(ENODEV);
	return mpn_personality_priv(p);
}

/* ---- Life cycle ---- */

static int
open_face(struct net_device *dev, const struct net_face *face, const struct net_conf *conf)
{
	dev->face = face;
	return face->open(dev, conf);
}

static int
open_kernel_face(struct net_device *dev, const struct net_conf *conf)
{
	int rc = net_iface_check_name(conf->tap);

	if (rc < 0)
		return rc;
	if (conf->vhost == NET_VHOST_OFF)
		return open_face(dev, &net_tap_face, conf);
	rc = open_face(dev, &net_vhost_face, conf);
	return rc == 0 || conf->vhost == NET_VHOST_ON ? rc : open_face(dev, &net_tap_face, conf);
}

/* Of the port; another one may come back than has gone. */
static void
look_at_port(struct net_device *dev)
{
	struct mpn_nic_info info;

	mpn_nic_get_info(dev->nic, &info);
	dev->max_frame = info.max_frame;
	memcpy(dev->mac, info.mac, sizeof(dev->mac));
	dev->multi_segs = info.multi_segs;
	dev->port_id = info.port_id;
	dev->port_sums = info.tx_checksum;
	dev->port_cuts = info.tx_tso;
	dev->port_verifies = info.rx_checksum;
}

static int
load(struct mpn_personality *p, const void *args)
{
	static const struct net_conf defaults;
	const struct net_conf *conf = args != NULL ? args : &defaults;
	struct net_device *dev = mpn_personality_priv(p);
	int rc;

	dev->pers = p;
	dev->nic = mpn_personality_nic(p);
	look_at_port(dev);
	rc = mpn_personality_take_rest(p);
	if (rc < 0)
		return rc;
	if (conf->tap != NULL)
		return open_kernel_face(dev, conf);
	if (conf->vhost == NET_VHOST_ON)
		return mpn_log_err(EINVAL, "net", "vhost=on: expected tap=NAME with it");
	if (conf->offload == NET_OFFLOAD_ON)
		return mpn_log_err(EINVAL, "net", "offload=on: expected tap=NAME with it");
	return open_face(dev, &net_lib_face, conf);
}

/* @return auto, on, off: 0 to 2, as the enums have them; -1: none of them */
static int
read_use(const char *value)
{
	static const char *const names[] = {"auto", "on", "off"};

	for (unsigned i = 0; i < MPN_ARRAY_SIZE(names); i++) {
		if (strcmp(value, names[i]) == 0)
			return (int)i;
	}
	return -1;
}

static int
set_option(struct net_conf *conf, const char *key, const char *value)
{
	int use = read_use(value);
	uint64_t n;

	if (strcmp(key, "tap") == 0 && value[0] != '\0') {
		conf->tap = value;
		return 0;
	}
	if (strcmp(key, "ring") == 0 && mpn_parse_u64(value, 1, NET_MAX_RING, &n) == 0) {
		conf->ring_len = (uint32_t)n;
		return 0;
	}
	if (strcmp(key, "vhost") == 0 && use >= 0) {
		conf->vhost = (enum net_vhost_use)use;
		return 0;
	}
	if (strcmp(key, "offload") == 0 && use >= 0) {
		conf->offload = (enum net_offload_use)use;
		return 0;
	}
	return mpn_log_err(EINVAL, "net", "'%s=%s': expected " OPTIONS, key, value);
}

static int
load_text(struct mpn_personality *p, const char *text)
{
	char key[8], value[IF_NAMESIZE], tap[IF_NAMESIZE];
	struct net_conf conf = {0};
	int rc;

	while ((rc = mpn_parse_kv(&text, key, sizeof(key), value, sizeof(value))) > 0) {
		rc = set_option(&conf, key, value);
		if (rc < 0)
			return rc;
		if (conf.tap == value) {
			memcpy(tap, value, sizeof(tap));
			conf.tap = tap;
		}
	}
	if (rc < 0)
		return mpn_log_err(EINVAL, "net", "'%s': expected " OPTIONS, text);
	return load(p, &conf);
}

static void
unload(struct mpn_personality *p)
{
	struct net_device *dev = mpn_personality_priv(p);

	net_drop_tx(dev);
	dev->face->close(dev);
}

static void
set_link(struct net_device *dev, bool up)
{
	dev->link_up = up;
	if (dev->face->set_link != NULL)
		dev->face->set_link(dev, up);
}

static int
start(struct mpn_personality *p)
{
	struct net_device *dev = mpn_personality_priv(p);
	struct mpn_nic_info info;

	mpn_nic_get_info(dev->nic, &info);
	look_at_port(dev);
	net_drop_tx(dev);
	dev->face->flush(dev);
	set_link(dev, info.link_up);
	atomic_store_explicit(&dev->open, true, memory_order_release);
	return 0;
}

/* From here on the host may not send; what it has sent goes out. */
static void
stop(struct mpn_personality *p)
{
	struct net_device *dev = mpn_personality_priv(p);

	atomic_store_explicit(&dev->open, false, memory_order_release);
	set_link(dev, false);
}

static bool
quiet(struct mpn_personality *p)
{
	struct net_device *dev = mpn_personality_priv(p);

	return !net_holds_tx(dev) && !dev->face->waits(dev);
}

static void
event(struct mpn_personality *p, enum mpn_nic_event ev)
{
	struct net_device *dev = mpn_personality_priv(p);

	if (ev == MPN_NIC_LINK_UP || ev == MPN_NIC_RETURNED)
		look_at_port(dev);
	if (!atomic_load_explicit(&dev->open, memory_order_relaxed))
		return;
	if (ev == MPN_NIC_LINK_UP)
		set_link(dev, true);
	else if (ev == MPN_NIC_LINK_DOWN || ev == MPN_NIC_REMOVED)
		set_link(dev, false);
}

static void
give_up(struct mpn_personality *p, int err, const char *cause)
{
	struct net_device *dev = mpn_personality_priv(p);

	if (err != -ETIMEDOUT)
		return;
	net_drop_tx(dev);
	dev->face->flush(dev);
}

/* ---- Frames ---- */

static void
rx_burst(struct mpn_personality *p, struct rte_mbuf **mbufs, unsigned n, uint64_t now_ns)
{
	struct net_device *dev = mpn_personality_priv(p);
	uint64_t bytes[MPN_BURST];
	unsigned taken;

	/* They are the host's as soon as it has them: measure before. */
	for (unsigned i = 0; i < n; i++)
		bytes[i] = mbufs[i]->pkt_len;
	taken = dev->face->deliver(dev, mbufs, n);
	dev->stats.rx_frames += taken;
	for (unsigned i = 0; i < taken; i++)
		dev->stats.rx_bytes += bytes[i];
	if (mpn_unlikely(taken < n)) {
		dev->stats.rx_dropped += n - taken;
		rte_pktmbuf_free_bulk(&mbufs[taken], n - taken);
	}
}

static unsigned
poll(struct mpn_personality *p, uint64_t now_ns)
{
	struct net_device *dev = mpn_personality_priv(p);
	struct rte_mbuf *mbufs[MPN_BURST];
	unsigned room = mpn_flow_tx_room(p);
	unsigned found, good, sent;

	if (dev->follows && mpn_unlikely(now_ns >= dev->next_look_ns))
		net_follow(dev, now_ns);
	good = net_take_tx(dev, mbufs, MPN_MIN(room, MPN_BURST), now_ns, &found);
	if (good == 0)
		return found;
	sent = mpn_flow_tx(p, mbufs, good);
	/* There was room. */
	if (mpn_unlikely(sent < good))
		rte_pktmbuf_free_bulk(&mbufs[sent], good - sent);
	return found;
}

/* ---- Looking ---- */

void
net_device_get_info(const struct net_device *dev, struct net_device_info *info)
{
	struct mpn_nic_info nic;

	memset(info, 0, sizeof(*info));
	mpn_nic_get_info(dev->nic, &nic);
	memcpy(info->mac, nic.mac, sizeof(info->mac));
	info->mtu = nic.mtu;
	info->link_up = dev->link_up;
	info->promiscuous = nic.promiscuous || nic.wants_promiscuous;
	info->allmulticast = nic.allmulticast || nic.wants_allmulticast;
	info->ring_len = dev->ring_len;
	info->offers_checksum = dev->offers_sums;
	info->offers_tso = dev->offers_tso;
}

const struct net_stats *
net_device_get_stats(const struct net_device *dev)
{
	return &dev->stats;
}

/* What the host leaves to others. */
static const char *
who_does(bool offered, bool by_port)
{
	return !offered ? "host" : by_port ? "port" : "cpu";
}

static void
print(struct mpn_personality *p, struct mpn_out *o)
{
	struct net_device *dev = mpn_personality_priv(p);

	mpn_out_str(o, "face", dev->face->name);
	if (dev->name[0] != '\0')
		mpn_out_str(o, "tap", dev->name);
	mpn_out_bool(o, "link_up", dev->link_up);
	if (dev->follows) {
		mpn_out_bool(o, "host_up", dev->watch.host.up);
		mpn_out_mac(o, "host_mac", dev->watch.host.mac);
		mpn_out_u64(o, "host_mtu", dev->watch.host.mtu);
		mpn_out_bool(o, "host_promiscuous", dev->watch.host.promiscuous);
	}
	mpn_out_str(o, "tx_checksum", who_does(dev->offers_sums, dev->port_sums));
	mpn_out_str(o, "tx_tso", who_does(dev->offers_tso, dev->port_cuts));
	mpn_out_str(o, "rx_checksum", dev->merges && dev->port_verifies ? "port" : "host");
	mpn_out_bool(o, "rx_merge", dev->merges);
#define X(name, text) mpn_out_u64(o, #name, dev->stats.name);
	NET_COUNTER_LIST(X)
#undef X
}

static const struct mpn_personality_ops net_ops = {
	.abi = MPN_ABI_VERSION,
	.name = KIND_NAME,
	.kind = MPN_PERS_UNSOLICITED,
	.priv_size = sizeof(struct net_device),
	.load = load,
	.load_text = load_text,
	.unload = unload,
	.start = start,
	.stop = stop,
	.quiet = quiet,
	.rx_burst = rx_burst,
	.poll = poll,
	.event = event,
	.error = give_up,
	.print = print,
};

MPN_PERSONALITY_REGISTER(net_ops)
