#!lua
-- Stores a loaded value, if the lease still stands and nothing was invalidated since it was taken. Ends the lease either way.
--
-- KEYS  1 region record   2 cell state   3 slot   4 payload, in plain mode only
-- ARGV  1 token   2 epoch   3 offset   4 bound (hex)   5 family   6 rule   7 tag marks   8 TTL, ms   9 "v" | "n"   10 id
--       11 channel of lease ends   12 key   13 payload   14 flags
-- Returns {"stored"} | {"refused", what differed}
-- Invariant: what is stored has every invalidation that was applied to the cell before its stamp, and the marks tell of every later one.
local slot = redis.call('GET', KEYS[3])
if not slot then return {'refused', 'lease'} end
local holder, waited, head, tail = leaseIn(slot)
if holder ~= ARGV[1] then return {'refused', 'lease'} end

local offset, bound = tonumber(ARGV[3]), ARGV[4]
local position = redis.call('HGET', KEYS[1], 'offset')
local state = redis.call('HMGET', KEYS[2], 'epoch', 'f:' .. ARGV[5], 'r:' .. ARGV[5])
local function isAbove(mark)
  if not mark then return false end
  local at, lsn = string.match(mark, '^(%d+):(%x+)$')
  return tonumber(at) > offset or not less(lsn, bound)
end
local why
if not position or not state[1] then why = 'lost'
elseif state[1] ~= ARGV[2] then why = 'epoch'
elseif tonumber(position) < offset then why = 'position'
elseif state[3] ~= ARGV[6] then why = 'rules'
elseif isAbove(state[2]) then why = 'mark'
else
  for number in string.gmatch(ARGV[7], '%d+') do
    if isAbove(redis.call('HGET', KEYS[2], 't:' .. number)) then why = 'mark' end
  end
end
if not why then
  local header = table.concat({'aw1', ARGV[9], ARGV[2], ARGV[3], ARGV[10], ARGV[14], '-', ARGV[7]}, ' ') .. '\n'
  if not KEYS[4] then redis.call('SET', KEYS[3], header .. ARGV[13], 'PX', ARGV[8])
  else
    redis.call('SET', KEYS[3], header, 'PX', ARGV[8])
    if ARGV[9] == 'v' then redis.call('SET', KEYS[4], ARGV[13], 'PX', ARGV[8]) else redis.call('UNLINK', KEYS[4]) end
  end
else endLease(KEYS[3], head, tail) end
if waited == '!' then redis.call('PUBLISH', ARGV[11], ARGV[12]) end
if why then return {'refused', why} end
return {'stored'}
