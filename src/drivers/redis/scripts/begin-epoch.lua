#!lua flags=allow-oom
-- Begins a new epoch of a cell: everything older becomes a miss, and the floor fences every key up to what may have been lost.
--
-- KEYS  1 region record   2 cell state   3 owed sweeps
-- ARGV  1 owner token   2 the offset that must be stored, unless something is lost; empty for none   3 header (JSON)
-- Returns {"applied", 0} | {"owner"} | {"position"}
-- Invariant: no epoch without a floor, and no mark, bucket or settled mark of an older epoch beside a new one.
local record, state, sweeps = KEYS[1], KEYS[2], KEYS[3]
local wrong = wrongType(3)
if wrong then return wrong end
local owner = redis.call('HGET', record, 'owner') or ''
local token, count = string.match(owner, '^(%w+):(%d+)$')
if token ~= ARGV[1] then return {'owner'} end
-- Where either part is lost there is no position to compare.
local stored = wholeCell(record, state)
if stored and stored[1] ~= ARGV[2] then return {'position'} end
local header = cjson.decode(ARGV[3])
local rules = {}
local fields = redis.call('HGETALL', state)
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, 2) == 'r:' then
    rules[#rules + 1] = fields[i]
    rules[#rules + 1] = fields[i + 1]
  end
end
local ZERO, NOTHING = '0000000000000000', '00000000:0000000000000000'
redis.call('UNLINK', record, state)
redis.call('HSET', record, 'owner', token .. ':' .. (tonumber(count) + 1), 'offset', header.offset, 'sourceEpoch', header.sourceEpoch,
  'watermark', header.watermark, 'reached', header.reached, 'asOf', '0', 'floor', header.floor, 'settledPrimary', NOTHING, 'settledReplica', NOTHING, 'droppedLsn', ZERO)
redis.call('HSET', state, 'epoch', header.epoch)
if #rules > 0 then redis.call('HSET', state, unpack(rules)) end
redis.call('HSET', sweeps, '*', header.epoch)
return {'applied', 0}
