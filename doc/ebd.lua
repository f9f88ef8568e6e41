-- SPDX-License-Identifier: BSD-3-Clause
-- Copyright (c) 2026 the mpnic authors
--
-- Wireshark dissector of EBD, version 1. doc/wire-format.md is the normative text.
--
--	tshark -X lua_script:doc/ebd.lua -r capture.pcapng -O ebd
--	tshark -X lua_script:doc/ebd.lua -r capture.pcapng -Y "ebd.error || _ws.malformed"	none

local bit = bit or bit32
local ebd = Proto("ebd", "Ethernet Block Device")

-- Preferences ----------------------------------------------------------------------------------

ebd.prefs.to_target = Pref.uint("Ethertype to the target", 0x0666, "frames to the target")
ebd.prefs.to_initiator = Pref.uint("Ethertype to the initiator", 0x0667, "frames to the initiator")
ebd.prefs.check_crc = Pref.bool("Check the checksum", true, "compute the CRC32C of each frame")

-- Names ----------------------------------------------------------------------------------------

local DISC, CTRL, CMD, DATA, RSP, GRANT, NAK, PROBE = 0, 1, 2, 3, 4, 5, 6, 7
local kinds = {
	[DISC] = "DISC", [CTRL] = "CTRL", [CMD] = "CMD", [DATA] = "DATA",
	[RSP] = "RSP", [GRANT] = "GRANT", [NAK] = "NAK", [PROBE] = "PROBE",
}
local cmd_ops = {
	"READ", "WRITE", "FLUSH", "DISCARD", "WRITE_ZEROES", "ABORT", "IDENTIFY", "MESSAGE",
}
local ctrl_ops = {
	"OPEN", "CHALLENGE", "PROOF", "OPENED", "REFUSED", "CLOSE", "CLOSED", "RESET", "EVENT",
}
local ops = {
	[DISC] = {"QUERY", "ADVERT"}, [CTRL] = ctrl_ops, [CMD] = cmd_ops, [DATA] = cmd_ops,
	[RSP] = cmd_ops, [GRANT] = cmd_ops, [NAK] = cmd_ops, [PROBE] = {"REQUEST", "REPLY"},
}
local statuses = {
	[0] = "OK", "IO", "RANGE", "READONLY", "NOTSUP", "NOSPC", "STALE", "BUSY", "INTEGRITY",
	"ABORTED", "RUNNING", "NOVOLUME", "NOMEM", "PROTOCOL", "TIMEDOUT",
}
-- Which way a kind or operation goes: t(arget), i(nitiator), b(oth).
local ways = {
	[DISC] = {"t", "i"}, [CTRL] = {"t", "i", "t", "i", "i", "t", "i", "i", "i"},
	[CMD] = "t", [DATA] = "b", [RSP] = "i", [GRANT] = "i", [NAK] = "b", [PROBE] = "b",
}
local ctrl_sizes = {104, 32, 176, 168, 8, 0, 0, 0, 128}
local HDR = 50 -- after Ethernet

-- Fields ---------------------------------------------------------------------------------------

local f = {}

-- f.flags_fua is ebd.flags.fua in a filter, f.tag_slot ebd.tag.slot.
local function field(name, kind, ...)
	local filter = name:gsub("^flags_", "flags."):gsub("^tag_", "tag.")
	f[name] = ProtoField[kind]("ebd." .. filter, ...)
end

field("dir", "string", "Direction")
field("version", "uint8", "Version", base.DEC, nil, 0xf0)
field("kind", "uint8", "Kind", base.DEC, kinds, 0x0f)
field("op", "uint8", "Operation", base.DEC)
field("op_name", "string", "Operation name")
field("sid", "uint32", "Session", base.HEX)
field("tag", "uint32", "Tag", base.HEX)
field("tag_slot", "uint16", "Slot", base.DEC)
field("tag_generation", "uint16", "Generation", base.DEC)
field("addr", "uint64", "Address", base.HEX)
field("off", "uint32", "Offset or length", base.DEC)
field("plen", "uint16", "Payload length", base.DEC)
field("flags", "uint16", "Flags", base.HEX)
field("flags_fua", "bool", "FUA", 16, nil, 0x0001)
field("flags_retx", "bool", "RETX", 16, nil, 0x0002)
field("flags_last", "bool", "LAST", 16, nil, 0x0004)
field("flags_crc", "bool", "CRC", 16, nil, 0x0008)
field("flags_auth", "bool", "AUTH", 16, nil, 0x0010)
field("flags_bulk", "bool", "BULK", 16, nil, 0x0020)
field("flags_event", "bool", "EVENT", 16, nil, 0x0040)
field("flags_nohole", "bool", "NOHOLE", 16, nil, 0x0080)
field("flags_fast", "bool", "FAST", 16, nil, 0x0100)
field("cseq", "uint32", "Command sequence number", base.DEC)
field("ack", "uint32", "Acknowledged", base.DEC)
field("status", "uint16", "Status", base.DEC, statuses)
field("detail", "uint16", "Detail", base.DEC)
field("granted", "uint32", "Granted bytes", base.DEC)
field("limit", "uint32", "Credit limit", base.DEC)
field("ts", "uint32", "Timestamp (us)", base.DEC)
field("ts_echo", "uint32", "Timestamp echo (us)", base.DEC)
field("crc", "uint32", "CRC32C", base.HEX)
field("crc_valid", "bool", "Checksum is right")
field("payload", "bytes", "Payload")
field("missing", "uint64", "Missing fragments", base.HEX)

field("name", "stringz", "Volume name")
field("client_uuid", "bytes", "Client UUID")
field("target_uuid", "bytes", "Target UUID")
field("nonce", "uint64", "Nonce", base.HEX)
field("epoch", "uint64", "Epoch", base.HEX)
field("p", "uint32", "Payload unit", base.DEC)
field("p_max", "uint32", "Largest payload unit", base.DEC)
field("depth", "uint16", "Depth", base.DEC)
field("queue", "uint16", "Queue", base.DEC)
field("features", "uint32", "Features", base.HEX)
field("stamp", "uint64", "Stamp", base.HEX)
field("cookie", "bytes", "Cookie")
field("auth_len", "uint32", "Authenticator length", base.DEC)
field("auth", "bytes", "Authenticator")
field("isn", "uint32", "Initial sequence number", base.DEC)
field("lease_ms", "uint32", "Lease (ms)", base.DEC)
field("nb_volumes", "uint16", "Volumes", base.DEC)
field("first", "uint16", "First in this frame", base.DEC)
field("size", "uint64", "Size (bytes)", base.DEC)
field("block_size", "uint32", "Block size", base.DEC)
field("phys_block", "uint32", "Physical block", base.DEC)
field("max_transfer", "uint32", "Largest transfer", base.DEC)
field("max_zeroes", "uint32", "Largest write of zeroes", base.DEC)
field("discard_gran", "uint32", "Discard granularity", base.DEC)
field("vol_flags", "uint32", "Volume flags", base.HEX)
field("vol_generation", "uint32", "Volume generation", base.DEC)
field("vol_uuid", "bytes", "Volume UUID")
field("protocol", "uint32", "Upper protocol", base.DEC)
field("sink_len", "uint32", "Sink length", base.DEC)
field("source_len", "uint32", "Source length", base.DEC)
field("message", "bytes", "Message")
field("reserved", "bytes", "Reserved")

local error_field = ProtoField.string("ebd.error", "Error")
local fields = {error_field}
for _, v in pairs(f) do
	fields[#fields + 1] = v
end
ebd.fields = fields

local expert = ProtoExpert.new("ebd.expert", "EBD error", expert.group.MALFORMED,
	expert.severity.ERROR)
ebd.experts = {expert}

-- CRC32C ---------------------------------------------------------------------------------------

local crc_table = {}
for i = 0, 255 do
	local c = i
	for _ = 1, 8 do
		local low = bit.band(c, 1)
		c = bit.rshift(c, 1)
		if low == 1 then
			c = bit.bxor(c, 0x82f63b78)
		end
	end
	crc_table[i] = c
end

local function crc_add(crc, s)
	local bxor, band, rshift, byte = bit.bxor, bit.band, bit.rshift, string.byte
	for i = 1, #s do
		crc = bxor(rshift(crc, 8), crc_table[band(bxor(crc, byte(s, i)), 0xff)])
	end
	return crc
end

-- Over bytes 14..59 of the frame and the payload.
local function crc_of(tvb, plen)
	local crc = crc_add(0xffffffff, tvb:raw(0, HDR - 4))
	if plen > 0 then
		crc = crc_add(crc, tvb:raw(HDR, plen))
	end
	return bit.bxor(crc, 0xffffffff) % 0x100000000
end

-- Payload structures: {name, length}; names of no field are reserved bytes ------------------------

local geometry = {
	{"size", 8}, {"block_size", 4}, {"phys_block", 4}, {"max_transfer", 4}, {"max_zeroes", 4},
	{"discard_gran", 4}, {"vol_flags", 4}, {"vol_generation", 4}, {"reserved", 12},
	{"vol_uuid", 16}, {"name", 64},
}
local open = {
	{"client_uuid", 16}, {"nonce", 8}, {"p", 4}, {"depth", 2}, {"queue", 2}, {"features", 4},
	{"reserved", 4}, {"name", 64},
}
local challenge = {{"nonce", 8}, {"stamp", 8}, {"cookie", 16}}
local advert = {
	{"target_uuid", 16}, {"epoch", 8}, {"p_max", 4}, {"nb_volumes", 2}, {"first", 2},
}
local advert_volume = {{"name", 64}, {"size", 8}, {"block_size", 4}, {"vol_flags", 4}}
local opened = {
	{"nonce", 8}, {"epoch", 8}, {"isn", 4}, {"p", 4}, {"depth", 2}, {"reserved", 2},
	{"features", 4}, {"lease_ms", 4}, {"reserved", 4},
}
local proof_end = {{"auth_len", 4}, {"reserved", 4}, {"auth", 32}}
local message = {{"protocol", 4}, {"sink_len", 4}, {"source_len", 4}, {"reserved", 4}}

local big = {
	name = true, client_uuid = true, target_uuid = true, cookie = true, auth = true,
	vol_uuid = true, reserved = true,
}

local function complain(tree, text)
	tree:add(error_field, text):set_generated()
	tree:add_proto_expert_info(expert, text)
end

-- Add a structure at off; gives the offset behind it.
local function add_struct(tree, tvb, off, struct)
	for _, member in ipairs(struct) do
		local name, len = member[1], member[2]
		local range = tvb(off, len)
		if name == "name" and not tvb:raw(off, len):find("%z") then
			complain(tree, "name without its terminating zero")
		elseif big[name] then
			tree:add(f[name], range)
		else
			tree:add_le(f[name], range)
		end
		if name == "reserved" and tvb:raw(off, len):find("[^%z]") then
			complain(tree, "reserved bytes are not zero")
		end
		off = off + len
	end
	return off
end

local ctrl_payload = {
	function(tree, tvb) add_struct(tree, tvb, HDR, open) end,
	function(tree, tvb) add_struct(tree, tvb, HDR, challenge) end,
	function(tree, tvb)
		local off = add_struct(tree, tvb, HDR, open)
		off = add_struct(tree, tvb, off, challenge)
		add_struct(tree, tvb, off, proof_end)
	end,
	function(tree, tvb)
		add_struct(tree, tvb, add_struct(tree, tvb, HDR, opened), geometry)
	end,
	function(tree, tvb) tree:add_le(f.nonce, tvb(HDR, 8)) end,
	[9] = function(tree, tvb) add_struct(tree, tvb, HDR, geometry) end,
}

local payload = {
	[DISC] = function(tree, tvb, h)
		if h.op == 1 then
			if h.plen ~= 80 then
				return complain(tree, "QUERY of another size than 80")
			end
			add_struct(tree, tvb, HDR, {{"name", 64}, {"client_uuid", 16}})
			return
		end
		if h.plen < 32 or (h.plen - 32) % 80 ~= 0 then
			return complain(tree, "ADVERT of another size than 32 + n * 80")
		end
		local off = add_struct(tree, tvb, HDR, advert)
		while off < HDR + h.plen do
			off = add_struct(tree:add(ebd, tvb(off, 80), "Volume"), tvb, off, advert_volume)
		end
	end,
	[CTRL] = function(tree, tvb, h)
		if h.plen ~= ctrl_sizes[h.op] then
			return complain(tree, "payload of another size than its operation has")
		end
		if h.plen > 0 then
			ctrl_payload[h.op](tree, tvb)
		end
	end,
	[CMD] = function(tree, tvb, h)
		if h.op == 8 and h.plen >= 16 then
			local off = add_struct(tree, tvb, HDR, message)
			if off < HDR + h.plen then
				tree:add(f.message, tvb(off, HDR + h.plen - off))
			end
		elseif h.op == 2 and h.plen > 0 then
			if h.plen ~= h.off then
				complain(tree, "immediate WRITE whose payload is not its length")
			end
			tree:add(f.payload, tvb(HDR, h.plen))
		elseif h.plen > 0 or h.op == 8 then
			complain(tree, "payload of another size than its operation has")
		end
	end,
	[DATA] = function(tree, tvb, h)
		if h.plen == 0 then
			return complain(tree, "DATA without a payload")
		end
		if h.op ~= 1 and h.op ~= 2 and h.op ~= 7 and h.op ~= 8 then
			complain(tree, "DATA of a command that moves none")
		end
		if h.op == 7 and h.off == 0 and h.plen == 128 then
			add_struct(tree, tvb, HDR, geometry)
		else
			tree:add(f.payload, tvb(HDR, h.plen))
		end
	end,
	[NAK] = function(tree, tvb, h)
		if h.plen ~= 8 then
			return complain(tree, "NAK of another size than 8")
		end
		tree:add_le(f.missing, tvb(HDR, 8))
	end,
	[PROBE] = function(tree, tvb, h)
		if h.plen > 0 then
			tree:add(f.payload, tvb(HDR, h.plen))
		end
	end,
}

-- The frame ------------------------------------------------------------------------------------

local flag_names = {"fua", "retx", "last", "crc", "auth", "bulk", "event", "nohole", "fast"}

local function add_ack(tree, range, h)
	if h.dir == "t" then
		tree:add_le(f.ack, range)
	elseif h.kind == GRANT then
		tree:add_le(f.granted, range)
	elseif h.kind == RSP or h.kind == DATA or (h.kind == CTRL and h.op == 5) then
		tree:add_le(f.detail, range(0, 2))
		tree:add_le(f.status, range(2, 2))
	else
		tree:add_le(f.ack, range)
	end
end

local function add_header(tree, tvb, h)
	tree:add(f.dir, h.dir == "t" and "to target" or "to initiator"):set_generated()
	tree:add(f.version, tvb(0, 1))
	tree:add(f.kind, tvb(0, 1))
	tree:add(f.op, tvb(1, 1)):append_text(" (" .. h.op_name .. ")")
	tree:add(f.op_name, tvb(1, 1), h.op_name):set_generated()
	tree:add_le(f.sid, tvb(2, 4))
	local tag = tree:add_le(f.tag, tvb(6, 4))
	tag:add_le(f.tag_generation, tvb(6, 2))
	tag:add_le(f.tag_slot, tvb(8, 2))
	tree:add_le(f.addr, tvb(10, 8))
	tree:add_le(f.off, tvb(18, 4))
	tree:add_le(f.plen, tvb(22, 2))
	local flags = tree:add_le(f.flags, tvb(24, 2))
	for _, name in ipairs(flag_names) do
		flags:add_le(f["flags_" .. name], tvb(24, 2))
	end
	tree:add_le(f.cseq, tvb(26, 4))
	add_ack(tree, tvb(30, 4), h)
	tree:add_le(f.limit, tvb(34, 4))
	tree:add_le(f.ts, tvb(38, 4))
	tree:add_le(f.ts_echo, tvb(42, 4))
	tree:add_le(f.crc, tvb(46, 4))
end

local function check_header(tree, tvb, h)
	local way = ways[h.kind]

	if type(way) == "table" then
		way = way[h.op] or "b"
	end
	if way ~= nil and way ~= "b" and way ~= h.dir then
		complain(tree, "goes in the wrong direction")
	end
	if bit.band(h.flags, 0xfe20) ~= 0 then
		complain(tree, "reserved flags are set")
	end
	if bit.band(h.flags, 0x10) ~= 0 then
		complain(tree, "flag AUTH is not of version 1")
	end
	if (h.kind == RSP or h.kind == GRANT) and h.plen > 0 then
		complain(tree, "payload of another size than its kind has")
	end
	if h.dir == "t" and h.limit ~= 0 then
		complain(tree, "credit limit in the wrong direction")
	end
end

local function check_crc(tree, tvb, h)
	local has = bit.band(h.flags, 0x8) ~= 0

	if not has then
		if h.crc ~= 0 then
			complain(tree, "a checksum without its flag")
		elseif h.kind <= CTRL or h.sid == 0 then
			complain(tree, "checksum missing")
		end
		return
	end
	if not ebd.prefs.check_crc then
		return
	end
	local valid = crc_of(tvb, h.plen) == h.crc
	tree:add(f.crc_valid, tvb(46, 4), valid):set_generated()
	if not valid then
		complain(tree, "checksum is wrong")
	end
end

local function info_text(h)
	local text = string.format("%s %s", kinds[h.kind] or "?", h.op_name)

	if h.kind >= CMD and h.kind <= NAK then
		text = text .. string.format(" cseq=%u addr=%s off=%u plen=%u", h.cseq,
			tostring(h.addr), h.off, h.plen)
	elseif h.plen > 0 then
		text = text .. string.format(" plen=%u", h.plen)
	end
	return text
end

local function dissect(tvb, pinfo, root, dir)
	pinfo.cols.protocol = "EBD"
	local tree = root:add(ebd, tvb())
	if tvb:len() < HDR then
		complain(tree, "shorter than its header")
		return
	end
	local h = {
		dir = dir, kind = bit.band(tvb(0, 1):uint(), 0x0f), op = tvb(1, 1):uint(),
		sid = tvb(2, 4):le_uint(),
		addr = tvb(10, 8):le_uint64(), off = tvb(18, 4):le_uint(), plen = tvb(22, 2):le_uint(),
		flags = tvb(24, 2):le_uint(), cseq = tvb(26, 4):le_uint(),
		limit = tvb(34, 4):le_uint(), crc = tvb(46, 4):le_uint(),
	}
	h.op_name = ops[h.kind] and ops[h.kind][h.op] or "?"
	pinfo.cols.info = info_text(h)
	add_header(tree, tvb, h)
	if bit.rshift(tvb(0, 1):uint(), 4) ~= 1 then
		return complain(tree, "unknown version")
	end
	if h.op_name == "?" then
		return complain(tree, "unknown kind or operation")
	end
	if tvb:reported_len() ~= HDR + h.plen then
		return complain(tree, "length of the frame is not what its header says")
	end
	check_header(tree, tvb, h)
	-- A capture that was cut short has no more to check.
	if tvb:len() < HDR + h.plen then
		return
	end
	check_crc(tree, tvb, h)
	if payload[h.kind] then
		payload[h.kind](tree, tvb, h)
	end
end

-- Registration -----------------------------------------------------------------------------------

local to_target = Proto("ebd_to_target", "Ethernet Block Device, to the target")
local to_initiator = Proto("ebd_to_initiator", "Ethernet Block Device, to the initiator")

function to_target.dissector(tvb, pinfo, root)
	dissect(tvb, pinfo, root, "t")
end

function to_initiator.dissector(tvb, pinfo, root)
	dissect(tvb, pinfo, root, "i")
end

function ebd.dissector(tvb, pinfo, root)
	dissect(tvb, pinfo, root, "t")
end

local types = DissectorTable.get("ethertype")
local now = {}

local function register()
	for _, v in ipairs(now) do
		types:remove(v[1], v[2])
	end
	now = {{ebd.prefs.to_target, to_target}, {ebd.prefs.to_initiator, to_initiator}}
	for _, v in ipairs(now) do
		types:add(v[1], v[2])
	end
end

function ebd.prefs_changed()
	register()
end

register()
