#!lua flags=allow-oom
-- What a warm-up says of its work, for one epoch of the gate.
--
-- KEYS  1 gate
-- ARGV  1 the gate's epoch   2 report | warm | open   3 shard   4 of how many   5 share, with report
-- Returns 'ok' | 'moved'
-- Invariant: the share is the mean of the shards', of which those that have not spoken count as 0. WARM ends with the epoch only.
local wrong = wrongType(1)
if wrong then return wrong end
local key = KEYS[1]
local gate = gateIn(key)
if not gate or gate[1] ~= ARGV[1] then return 'moved' end
local function become(state, reason) redis.call('HSET', key, 'state', state, 'reason', reason, 'since', nowMs()) end
if ARGV[2] == 'open' then
  if gate[2] ~= 'WARM' then become('WARM', 'opened by hand') end
  return 'ok'
end
local of = tonumber(ARGV[4])
-- Another number of shards is another warm-up: what the former one's have said does not add up with it.
if redis.call('HGET', key, 'shards') ~= ARGV[4] then
  for i = 0, tonumber(redis.call('HGET', key, 'shards') or '0') - 1 do redis.call('HDEL', key, 'share:' .. i, 'warm:' .. i) end
  redis.call('HSET', key, 'shards', ARGV[4])
end
if ARGV[2] == 'report' then redis.call('HSET', key, 'share:' .. ARGV[3], ARGV[5]) else redis.call('HSET', key, 'warm:' .. ARGV[3], '1') end
local sum, warm = 0, 0
for i = 0, of - 1 do
  sum = sum + (tonumber(redis.call('HGET', key, 'share:' .. i) or '0') or 0)
  warm = warm + redis.call('HEXISTS', key, 'warm:' .. i)
end
redis.call('HSET', key, 'share', string.format('%.6f', sum / of))
if gate[2] ~= 'WARM' and warm == of then
  become('WARM', 'warmed')
elseif gate[2] == 'COLD' then
  become('WARMING', 'a warm-up is at work')
end
return 'ok'
