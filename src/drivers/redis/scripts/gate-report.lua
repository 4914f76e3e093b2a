#!lua flags=allow-oom
-- What a warm-up says of its work, for one epoch of the gate.
--
-- KEYS  1 gate
-- ARGV  1 the gate's epoch   2 report | warm | open   3 shard   4 of how many   5 share, with report
-- Returns 'ok' | 'moved'
-- Invariant: the share is the mean of the shards', of which those that have not spoken count as 0: of several divisions the highest. It never falls, and WARM
-- ends, with the epoch only: who is started again goes through the same keys from 0, and they stand.
local wrong = wrongType(1)
if wrong then return wrong end
local key = KEYS[1]
local gate = gateIn(key)
if not gate or gate[1] ~= ARGV[1] then return 'moved' end
local function become(state, reason)
  redis.call('HSET', key, 'state', state, 'reason', reason, 'since', nowMs())
  if state ~= 'WARM' then return end
  -- What began before is among what is warm.
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.sub(field, 1, 6) == 'begun:' then redis.call('HDEL', key, field) end
  end
end
if ARGV[2] == 'open' then
  if gate[2] ~= 'WARM' then become('WARM', 'opened by hand') end
  return 'ok'
end
-- Warm-ups that divide the keys differently may be at work at a time: what one says does not add up with another's, and takes nothing of it back.
local divisions = redis.call('HGET', key, 'shards') or ''
if not string.find(' ' .. divisions .. ' ', ' ' .. ARGV[4] .. ' ', 1, true) then
  divisions = divisions == '' and ARGV[4] or divisions .. ' ' .. ARGV[4]
  redis.call('HSET', key, 'shards', divisions)
end
local mine = ':' .. ARGV[4] .. ':' .. ARGV[3]
if ARGV[2] == 'warm' then
  redis.call('HSET', key, 'warm' .. mine, '1')
elseif tonumber(ARGV[5]) >= (tonumber(redis.call('HGET', key, 'share' .. mine) or '0') or 0) then
  redis.call('HSET', key, 'share' .. mine, ARGV[5])
end
local share, isWarm = 0, false
for division in string.gmatch(divisions, '%d+') do
  local of, sum, warm = tonumber(division), 0, 0
  for i = 0, of - 1 do
    local one = ':' .. division .. ':' .. i
    sum = sum + (tonumber(redis.call('HGET', key, 'share' .. one) or '0') or 0)
    warm = warm + redis.call('HEXISTS', key, 'warm' .. one)
  end
  share = math.max(share, sum / of)
  isWarm = isWarm or warm == of
end
redis.call('HSET', key, 'share', string.format('%.6f', share))
if gate[2] ~= 'WARM' and isWarm then
  become('WARM', 'warmed')
elseif gate[2] == 'COLD' then
  become('WARMING', 'a warm-up is at work')
end
return 'ok'
