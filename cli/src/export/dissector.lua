
-- What stands in a packet: see the table in `packet.rs` of hypercall-cli.
local proto = Proto("hypercall", "Hypercalls")

local KINDS = { [0] = "call", [1] = "lost", [2] = "page change", [3] = "damaged", [4] = "unknown" }
local OUTCOMES = { [0] = "returned", [1] = "no answer", [2] = "never returned" }
local PLACES = { [0] = "RDI", [1] = "RSI", [2] = "what RDI points at", [3] = "what RSI points at" }
local POINTS = { [0] = "enter", [1] = "exit", [2] = "note" }

local all = {}
local function known(field)
  all[#all + 1] = field
  return field
end

local f_kind = known(ProtoField.uint8("hypercall.kind", "Kind", base.DEC, KINDS))
local f_lane = known(ProtoField.uint32("hypercall.lane", "Lane", base.DEC))
local f_index = known(ProtoField.uint64("hypercall.index", "Index", base.DEC))
local f_number = known(ProtoField.uint64("hypercall.number", "Number", base.HEX))
local f_name = known(ProtoField.string("hypercall.call", "Call"))
local f_outcome = known(ProtoField.uint8("hypercall.outcome", "Outcome", base.DEC, OUTCOMES))
local f_rax = known(ProtoField.int64("hypercall.rax", "RAX", base.DEC))
local f_error = known(ProtoField.string("hypercall.error", "Error"))
local f_reason = known(ProtoField.string("hypercall.reason", "Reason"))
local f_duration = known(ProtoField.uint64("hypercall.duration_ns", "Duration (ns)", base.DEC))
local f_count = known(ProtoField.uint64("hypercall.count", "Missing calls", base.DEC))
local f_page = known(ProtoField.uint32("hypercall.page", "Page", base.DEC))
local f_point = known(ProtoField.uint8("hypercall.point", "Seen at", base.DEC, POINTS))
local f_late = known(ProtoField.uint8("hypercall.late", "Late", base.DEC, { [0] = "no", [1] = "yes" }))
local f_look = known(ProtoField.uint64("hypercall.look", "Look", base.DEC))
local f_offset = known(ProtoField.uint64("hypercall.offset", "Offset", base.HEX))
local f_bytes = known(ProtoField.bytes("hypercall.bytes", "Bytes"))
local f_pages = known(ProtoField.uint32("hypercall.pages", "Pages", base.DEC))
local f_address = known(ProtoField.uint64("hypercall.address", "Address", base.HEX))

-- The fields of the calls: made once for each name.
local fields = {}
local function make(kind, abbr, name, size, names)
  if kind == "t" or kind == "s" then return ProtoField.string(abbr, name) end
  if kind == "b" then return ProtoField.bytes(abbr, name) end
  local maker = (kind == "i") and "int" or "uint"
  local shown = (kind == "a" or kind == "f") and base.HEX or base.DEC
  if kind == "e" and size < 8 then return ProtoField[maker .. size * 8](abbr, name, shown, names) end
  return ProtoField[maker .. size * 8](abbr, name, shown)
end
local function field(kind, abbr, name, size, names)
  local key = abbr
  while fields[key] and fields[key].key ~= kind .. size do key = key .. "_" end
  if not fields[key] then
    fields[key] = { key = kind .. size, field = known(make(kind, key, name, size, names)) }
    if kind == "e" or kind == "f" then
      fields[key].text = known(ProtoField.string(key .. ".name", name .. " name"))
    end
  end
  return fields[key]
end
for _, call in pairs(calls) do
  for place, part in pairs(call.places) do
    for _, leaf in ipairs(part) do
      local abbr = "hypercall." .. call.abbr .. "."
      leaf.went = field(leaf.kind, abbr .. leaf.abbr, leaf.name, leaf.size, leaf.names)
      leaf.wrote = field(leaf.kind, abbr .. "wrote." .. leaf.abbr, leaf.name, leaf.size, leaf.names)
    end
  end
end
proto.fields = all

local function set_bits(names, range)
  local text, rest = {}, range:le_uint64()
  for _, pair in ipairs(names) do
    local bits = UInt64.fromhex(pair[1])
    if bits ~= UInt64(0) and rest:band(bits) == bits then
      text[#text + 1] = pair[2]
      rest = rest:band(bits:bnot())
    end
  end
  if rest ~= UInt64(0) then text[#text + 1] = "0x" .. rest:tohex():gsub("^0+", "") end
  return (#text == 0) and "0" or table.concat(text, "|")
end

local function padded(range)
  if range:len() == 8 then return range end
  local bytes = range:bytes()
  bytes:set_size(8)
  return bytes:tvb("value")()
end

local function leaf_into(tree, leaf, range, wrote)
  local made = wrote and leaf.wrote or leaf.went
  if leaf.kind == "s" then
    tree:add(made.field, range, "<secret>")
  elseif leaf.kind == "t" then
    tree:add(made.field, range, range:stringz())
  elseif leaf.kind == "b" then
    tree:add(made.field, range)
  else
    local item = tree:add_le(made.field, range)
    if leaf.kind == "f" then
      local text = set_bits(leaf.bits, padded(range))
      item:append_text(" (" .. text .. ")")
      tree:add(made.text, range, text):set_generated()
    elseif leaf.kind == "e" then
      local text = leaf.values[tostring(padded(range):le_uint64())]
      if text then tree:add(made.text, range, text):set_generated() end
    elseif leaf.units then
      item:append_text(" " .. leaf.units)
    end
  end
end

local function part_into(tree, part, range, wrote)
  local stride = part.stride or range:len()
  local start = 0
  while stride > 0 and start < range:len() do
    for _, leaf in ipairs(part) do
      local at = start + leaf.offset
      if at + leaf.size <= range:len() then
        leaf_into(tree, leaf, range(at, leaf.size), wrote)
      end
    end
    start = start + stride
  end
end

local function call_into(buffer, tree, info)
  tree:add_le(f_number, buffer(16, 8))
  local id = buffer(24, 2):le_uint()
  local call = calls[id]
  local name = call and call.name or ("0x" .. buffer(16, 8):le_uint64():tohex():gsub("^0+", ""))
  tree:add(f_name, buffer(24, 2), name)
  tree:add(f_outcome, buffer(26, 1))
  local outcome = buffer(26, 1):uint()
  local reason_length = buffer(28, 4):le_uint()
  local ending = OUTCOMES[outcome] or "?"
  if outcome == 0 then
    tree:add_le(f_rax, buffer(32, 8))
    ending = tostring(buffer(32, 8):le_int64())
    local code = call and call.codes[ending]
    if code then
      tree:add(f_error, buffer(32, 8), code)
      ending = ending .. " " .. code
    end
  end
  if buffer(40, 8):le_uint64() ~= UInt64(0xffffffff, 0xffffffff) then
    tree:add_le(f_duration, buffer(40, 8))
  end
  local at = 48
  if reason_length > 0 then
    tree:add(f_reason, buffer(at, reason_length))
    at = at + reason_length
  end
  while at + 8 <= buffer:len() do
    local place, what = buffer(at, 1):uint(), buffer(at + 1, 1):uint()
    local length = math.min(buffer(at + 4, 4):le_uint(), buffer:len() - at - 8)
    if length > 0 then
      local range = buffer(at + 8, length)
      local title = (PLACES[place] or "?") .. ((what == 2) and ", written" or "")
      local below = tree:add(proto, range, title)
      local part = call and call.places[place]
      if what == 3 then
        below:add_le(f_pages, range(0, 4))
        if range(4, 4):le_uint() ~= 0xffffffff then below:add_le(f_page, range(4, 4)) end
      elseif what == 4 then
        below:add_le(f_address, range)
      elseif part and #part > 0 then
        part_into(below, part, range, what == 2)
      else
        below:add(f_bytes, range)
      end
    end
    at = at + 8 + length
  end
  info.cols.info = name .. " = " .. ending
end

function proto.dissector(buffer, info, root)
  if buffer:len() < 16 or buffer(0, 2):string() ~= "HC" or buffer(2, 1):uint() ~= 2 then return 0 end
  info.cols.protocol = "HYPERCALL"
  local tree = root:add(proto, buffer())
  local kind = buffer(3, 1):uint()
  tree:add(f_kind, buffer(3, 1))
  tree:add_le(f_lane, buffer(4, 4))
  tree:add_le(f_index, buffer(8, 8))
  if kind == 0 and buffer:len() >= 48 then
    call_into(buffer, tree, info)
  elseif kind == 1 and buffer:len() >= 24 then
    if buffer:len() > 24 then tree:add(f_reason, buffer(24)) end
    local count = buffer(16, 8):le_uint64()
    if count == UInt64(0xffffffff, 0xffffffff) then
      info.cols.info = "an unknown number of calls is missing"
    else
      tree:add_le(f_count, buffer(16, 8))
      info.cols.info = tostring(count) .. " calls are missing"
    end
  elseif kind == 2 and buffer:len() >= 32 then
    tree:add_le(f_page, buffer(16, 4))
    tree:add(f_point, buffer(20, 1))
    tree:add(f_late, buffer(21, 1))
    tree:add_le(f_look, buffer(24, 8))
    local at = 32
    while at + 8 <= buffer:len() do
      local length = math.min(buffer(at + 4, 4):le_uint(), buffer:len() - at - 8)
      local below = tree:add(proto, buffer(at, 8 + length), "Run")
      below:add_le(f_offset, buffer(at, 4), UInt64(buffer(at, 4):le_uint()))
      if length > 0 then below:add(f_bytes, buffer(at + 8, length)) end
      at = at + 8 + length
    end
    info.cols.info = "page " .. buffer(16, 4):le_uint() .. " changed"
  elseif kind == 3 and buffer:len() >= 32 then
    tree:add_le(f_offset, buffer(16, 8))
    if buffer:len() > 32 then tree:add(f_reason, buffer(32)) end
    info.cols.info = "damaged"
  end
  return buffer:len()
end

DissectorTable.get("wtap_encap"):add(wtap.USER0, proto)
