#!lua flags=allow-oom
-- Applies a run of records to a cell: keys, fences, marks, rules, owed sweeps and refreshes and the position, all or nothing.
-- Evictions must work when memory is full, hence allow-oom.
--
-- KEYS  1 region record   2 cell state   3 owed sweeps   4 owed refreshes   5.. values to unlink, behind them slots beside plain ones, behind
--       these pairs to expire, then pairs to refresh: a value, and its slot, which is the value's own key unless it is plain
-- ARGV  1 owner token   2 the offset that must be stored   3 header (JSON)   4.. pairs: bucket field, new entries
-- Returns {"applied", values that were there, values that were expired} | {"owner"} | {"position"} | {"lost"}
-- Invariant: with the offset that the caller names as stored, every record up to it has had its effect here.
local record, state, sweeps, refreshes = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local wrong = wrongType(4)
if wrong then return wrong end
local owner = redis.call('HGET', record, 'owner') or ''
local token, count = string.match(owner, '^(%w+):(%d+)$')
if token ~= ARGV[1] then return {'owner'} end
local stored = wholeCell(record, state)
if not stored then return {'lost'} end
local epoch = redis.call('HGET', state, 'epoch')
local header = cjson.decode(ARGV[3])
-- An epoch begins at the offset that is stored, so that the offset alone does not tell a Redis that has lost the beginning.
if stored[1] ~= ARGV[2] or (header.epoch and header.epoch ~= epoch) then return {'position'} end

-- Redis limits what unpack may put on Lua's stack.
local CHUNK = 1000
local function larger(a, b) if a and less(b, a) then return a end return b end
local function largerBytes(a, b) if a and lessBytes(b, a) then return a end return b end
local function largerMark(a, b) if a and lessMark(b, a) then return a end return b end
local settledPrimary = largerMark(stored[3], header.settledPrimary)

-- A fence bucket is a string: the fold (8 bytes), then entries of 12 bytes: commit LSN, key hash; big-endian.
local FOLD, ENTRY, ENTRIES_MAX = 8, 12, 8
local NO_FOLD = string.rep('\0', FOLD)
local dropped = unhex(stored[5])
local settledEverywhere
local function bound()
  if not settledEverywhere then
    local mark = settledPrimary
    -- A mark of another timeline settles nothing here.
    if header.hasReplicas and string.sub(stored[4], 1, 8) ~= string.sub(mark, 1, 8) then settledEverywhere = NO_FOLD
    else
      if header.hasReplicas and lessMark(stored[4], mark) then mark = stored[4] end
      settledEverywhere = unhex(string.sub(mark, 10))
    end
  end
  return settledEverywhere
end
-- Over capacity: one entry a key, then what is settled everywhere is dropped, then the oldest fold into one LSN for every key.
local function compact(bucket)
  local fold = string.sub(bucket, 1, FOLD)
  local byHash, entries = {}, {}
  for at = FOLD + 1, #bucket, ENTRY do
    local lsn, hash = string.sub(bucket, at, at + 7), string.sub(bucket, at + 8, at + 11)
    byHash[hash] = largerBytes(byHash[hash], lsn)
  end
  for hash, lsn in pairs(byHash) do
    if lessBytes(lsn, bound()) then dropped = largerBytes(dropped, lsn) else entries[#entries + 1] = lsn .. hash end
  end
  if lessBytes(fold, bound()) then
    dropped = largerBytes(dropped, fold)
    fold = NO_FOLD
  end
  table.sort(entries, function(a, b) return lessBytes(string.sub(a, 1, 8), string.sub(b, 1, 8)) end)
  local first = math.max(1, #entries - ENTRIES_MAX + 1)
  if first > 1 then fold = largerBytes(fold, string.sub(entries[first - 1], 1, 8)) end
  return fold .. table.concat(entries, '', first)
end
local buckets, writes = (#ARGV - 3) / 2, {}
for first = 1, buckets, CHUNK do
  local last = math.min(first + CHUNK - 1, buckets)
  local fields = {}
  for i = first, last do fields[#fields + 1] = ARGV[2 + 2 * i] end
  local old = redis.call('HMGET', record, unpack(fields))
  for i = first, last do
    local bucket = (old[i - first + 1] or NO_FOLD) .. ARGV[3 + 2 * i]
    if #bucket > FOLD + ENTRY * ENTRIES_MAX then bucket = compact(bucket) end
    writes[#writes + 1] = fields[i - first + 1]
    writes[#writes + 1] = bucket
  end
end

-- From here on it writes, and nothing fails.
local function unlink(from, to)
  local count = 0
  for first = from, to, CHUNK do count = count + redis.call('UNLINK', unpack(KEYS, first, math.min(first + CHUNK - 1, to))) end
  return count
end
local unlinked = unlink(5, 4 + header.values)
unlink(5 + header.values, 4 + header.values + header.slots)
-- Ends a value's time to live, and the lease that lies over it: what is left of the stale bound is left. Where there is no value of ours, or the region's
-- readers go by other rules than the agent and so by another bound, everything goes.
local expired = 0
local function expire(value, slot, family, hash, bound)
  local text = headerOf(slot)
  local rule = redis.call('HGET', state, 'r:' .. family) or ''
  if not string.match(text, '^aw1 [vn] %S+ %d+ %S+ %S+ %S+ %S+\n') or string.match(rule, '^%S+') ~= hash then
    unlinked = unlinked + redis.call('UNLINK', value)
    if slot ~= value then redis.call('UNLINK', slot) end
    return
  end
  if leaseIn(text) then
    local _, _, head, tail = leaseIn(redis.call('GET', slot))
    endLease(slot, head, tail)
  end
  local left = redis.call('PTTL', slot)
  if left < 0 or left > bound then
    redis.call('PEXPIRE', slot, bound)
    if slot ~= value then redis.call('PEXPIRE', value, bound) end
  end
  expired = expired + 1
end
local pair = 5 + header.values + header.slots
for _, one in ipairs(header.expires) do
  expire(KEYS[pair], KEYS[pair + 1], one[1], one[2], one[3])
  pair = pair + 2
end
-- What was there, or is owed already, is to be loaded anew; what nobody had asked for is not, nor more than so many.
local REFRESHES_MAX = 10000
for _, one in ipairs(header.refreshes) do
  local was = redis.call('UNLINK', KEYS[pair])
  if KEYS[pair + 1] ~= KEYS[pair] then redis.call('UNLINK', KEYS[pair + 1]) end
  unlinked = unlinked + was
  local isOwed = redis.call('HEXISTS', refreshes, one[1]) == 1
  if isOwed or (was == 1 and redis.call('HLEN', refreshes) < REFRESHES_MAX) then redis.call('HSET', refreshes, one[1], one[2]) end
  pair = pair + 2
end
for first = 1, #writes, CHUNK do redis.call('HSET', record, unpack(writes, first, math.min(first + CHUNK - 1, #writes))) end
local function raise(field, offset, lsn)
  local oldOffset, oldLsn = string.match(redis.call('HGET', state, field) or '', '^(%d+):(%x+)$')
  if oldOffset and tonumber(oldOffset) > tonumber(offset) then offset = oldOffset end
  redis.call('HSET', state, field, offset .. ':' .. larger(oldLsn, lsn))
end
for _, mark in ipairs(header.marks) do raise(mark[1], mark[2], mark[3]) end
for _, rules in ipairs(header.rules) do
  local offset, lsn, told = rules[1], rules[2], {}
  -- Values by a former rule: readers that know marks see them no more, plain readers only when they are swept.
  local function owe(family) redis.call('HSET', sweeps, 'f:' .. family, offset) end
  for _, rule in ipairs(rules[3]) do
    local family, text = rule[1], rule[2]
    told[family] = true
    local known = redis.call('HGET', state, 'r:' .. family)
    if known ~= text then
      redis.call('HSET', state, 'r:' .. family, text)
      raise('f:' .. family, offset, lsn)
      if known then owe(family) end
    end
  end
  -- A family that is not among them: nobody makes invalidations for it any more, so nobody may store it, by whatever file.
  for _, field in ipairs(redis.call('HKEYS', state)) do
    local family = string.match(field, '^r:(.*)$')
    if family and not told[family] then
      redis.call('HDEL', state, field)
      raise('f:' .. family, offset, lsn)
      owe(family)
    end
  end
end
for _, sweep in ipairs(header.sweeps) do redis.call('HSET', sweeps, sweep[1], sweep[2]) end

-- Late records alone say nothing of the time.
local asOf = header.asOf
if tonumber(stored[6]) > tonumber(asOf) then asOf = stored[6] end
redis.call('HSET', record, 'owner', token .. ':' .. (tonumber(count) + 1), 'offset', header.offset, 'sourceEpoch', header.sourceEpoch,
  'watermark', larger(stored[2], header.watermark), 'reached', header.reached, 'asOf', asOf, 'settledPrimary', settledPrimary, 'droppedLsn', tohex(dropped))
return {'applied', unlinked, expired}
