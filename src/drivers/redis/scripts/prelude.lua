-- Stands before every script. Order is compared as numbers: Lua compares strings by the server's locale (`locale-collate`), which need
-- not be the order of bytes. An LSN does not fit a double, so it is compared in two halves.

-- LSNs of 16 hex digits.
local function less(a, b)
  local highA, highB = tonumber(string.sub(a, 1, 8), 16), tonumber(string.sub(b, 1, 8), 16)
  if highA ~= highB then return highA < highB end
  return tonumber(string.sub(a, 9), 16) < tonumber(string.sub(b, 9), 16)
end
-- LSNs of 8 bytes, big-endian.
local function lessBytes(a, b)
  local highA, lowA = struct.unpack('>I4I4', a)
  local highB, lowB = struct.unpack('>I4I4', b)
  if highA ~= highB then return highA < highB end
  return lowA < lowB
end
-- Settled marks, "<timeline>:<lsn>".
local function lessMark(a, b)
  local timelineA, timelineB = tonumber(string.sub(a, 1, 8), 16), tonumber(string.sub(b, 1, 8), 16)
  if timelineA ~= timelineB then return timelineA < timelineB end
  return less(string.sub(a, 10), string.sub(b, 10))
end
local function unhex(hex) return (string.gsub(hex, '%x%x', function(byte) return string.char(tonumber(byte, 16)) end)) end
local function tohex(bytes) return (string.gsub(bytes, '.', function(c) return string.format('%02x', string.byte(c)) end)) end

-- A cell's own keys are hashes. One that another program wrote is told of before anything is written: an error half way would leave writes.
local function wrongType(keys)
  for i = 1, keys do
    local kind = redis.call('TYPE', KEYS[i]).ok
    if kind ~= 'hash' and kind ~= 'none' then return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is a ' .. kind .. ', not a hash') end
  end
end
-- The fields of a region record that scripts rely on, or nil where the record or the state is lost: one is missing, or not in its form.
local function wholeCell(record, state)
  local fields = redis.call('HMGET', record, 'offset', 'watermark', 'settledPrimary', 'settledReplica', 'droppedLsn', 'asOf', 'sourceEpoch')
  for i = 1, 7 do if not fields[i] then return nil end end
  local function isLsn(text) return #text == 16 and string.match(text, '^%x+$') end
  local function isMark(text) return #text == 25 and string.match(text, '^%x+:%x+$') and string.sub(text, 9, 9) == ':' end
  if not string.match(fields[1], '^%-?%d+$') or not isLsn(fields[2]) or not isLsn(fields[5]) then return nil end
  if not isMark(fields[3]) or not isMark(fields[4]) or not tonumber(fields[6]) then return nil end
  if redis.call('HEXISTS', state, 'epoch') == 0 then return nil end
  return fields
end

-- The version of a value's shape, which its flags name where it is not 0.
local function versionIn(flags) return string.match(',' .. flags .. ',', ',v(%d+),') or '0' end
-- The lease in a slot, alone or over a value: its token, "!" or "" for the waiting mark, and of a value what stands before and behind the lease.
local function leaseIn(slot)
  local token, waited = string.match(slot, '^aw1 l %S+ (%w+)(!?)$')
  if token then return token, waited end
  local head, lease, tail = string.match(slot, '^(aw1 [vn] %S+ %S+ %S+ %S+ )(%S+)( %S+\n.*)$')
  token, waited = string.match(lease or '', '^(%w+):%d+(!?)$')
  return token, waited, head, tail
end
-- Ends the lease and leaves the value that lay under it, if any did.
local function endLease(key, head, tail)
  if head then redis.call('SET', key, head .. '-' .. tail, 'KEEPTTL') else redis.call('UNLINK', key) end
end
-- The header of what stands in a key, with no more of the payload than comes along: it need not be read. Nothing, where the key is of another type.
local HEADER = 256
local function headerOf(key)
  local text = redis.pcall('GETRANGE', key, 0, HEADER - 1)
  if type(text) ~= 'string' then return '' end
  if #text == HEADER and not string.find(text, '\n', 1, true) then return redis.call('GET', key) end
  return text
end
-- Whether a slot holds a value that may be served but for its time: of the cell's epoch, whole, and below no mark of its family or its tags.
local function isServable(slot, state, epoch, familyMark, payload)
  local kind, stamp, offset, marks = string.match(slot, '^aw1 ([vn]) (%S+) (%d+) %S+ %S+ %S+ (%S+)\n')
  if stamp ~= epoch then return false end
  if kind == 'v' and payload and redis.call('EXISTS', payload) == 0 then return false end
  offset = tonumber(offset)
  -- A mark that cannot be read is above all.
  local function isAbove(mark) return mark and (tonumber(string.match(mark, '^(%d+):') or '') or math.huge) > offset end
  if isAbove(familyMark) then return false end
  for number in string.gmatch(marks, '%d+') do
    if isAbove(redis.call('HGET', state, 't:' .. number)) then return false end
  end
  return true
end

local function nowMs()
  local time = redis.call('TIME')
  return string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
end
-- The region's gate: {epoch, state, share, reason, since}, or nil where there is none, or what stands there is not one.
local function gateIn(key)
  local gate = redis.call('HMGET', key, 'epoch', 'state', 'share', 'reason', 'since')
  local state = gate[2]
  if not gate[1] or gate[1] == '' or (state ~= 'COLD' and state ~= 'WARMING' and state ~= 'WARM') then return nil end
  return gate
end
local function coldGate(key, epoch, reason)
  redis.call('DEL', key)
  redis.call('HSET', key, 'epoch', epoch, 'state', 'COLD', 'share', '0', 'reason', reason, 'since', nowMs())
end
