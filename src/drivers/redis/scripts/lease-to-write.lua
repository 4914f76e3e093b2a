#!lua
-- Takes the lease of a key for a writer, whoever holds it: every other lease on the key is void. A value that may be served goes on being served.
--
-- KEYS  1 region record   2 cell state   3 slot   4 payload, in plain mode only
-- ARGV  1 token   2 lease, ms   3 family   4 rule
-- Returns {"leased", epoch, offset} | {"lost"} | {"rules", rule | false}
-- Invariant: a lease that stands is the only one, and no invalidation was applied since it was taken.
local record = wholeCell(KEYS[1], KEYS[2])
if not record then return {'lost'} end
local state = redis.call('HMGET', KEYS[2], 'epoch', 'f:' .. ARGV[3], 'r:' .. ARGV[3])
local epoch = state[1]
if state[3] ~= ARGV[4] then return {'rules', state[3]} end

local slot = redis.call('GET', KEYS[3])
local waited, head, tail = '', nil, nil
-- Who waits for the lease that ends here is told of the end of this one.
if slot then
  local _
  _, waited, head, tail = leaseIn(slot)
end
waited = waited or ''
if head and isServable(slot, KEYS[2], epoch, state[2], KEYS[4]) then
  local time = redis.call('TIME')
  local till = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + tonumber(ARGV[2])
  -- A value that ends before the lease takes it along: then nothing is stored.
  redis.call('SET', KEYS[3], head .. ARGV[1] .. ':' .. string.format('%.0f', till) .. waited .. tail, 'KEEPTTL')
else redis.call('SET', KEYS[3], 'aw1 l ' .. epoch .. ' ' .. ARGV[1] .. waited, 'PX', ARGV[2]) end
return {'leased', epoch, record[1]}
