#!lua
-- Takes the lease of a key, and reads in the same step what the key is fenced by. Where the token holds the lease already, reads again.
--
-- KEYS  1 region record   2 cell state   3 slot   4 payload, in plain mode only
-- ARGV  1 token   2 lease, ms   3 family   4 rule   5 stale bound, ms   6 "1" wants to be told of another's end   7 bucket field   8 key hash (hex)
--       9 the id of a live value that is refreshed early, or ""   10 version of the value's shape
-- Returns {"leased", epoch, offset, source epoch, floor, fenced, dropped, settledPrimary, settledReplica}
--       | {"held", token} | {"live"} | {"lost"} | {"rules", rule | false}
-- Invariant: a lease that stands is the only one, and no invalidation was applied since it was taken.
local record = redis.call('HMGET', KEYS[1], 'offset', 'sourceEpoch', 'floor', 'droppedLsn', 'settledPrimary', 'settledReplica', ARGV[7])
local state = redis.call('HMGET', KEYS[2], 'epoch', 'f:' .. ARGV[3], 'r:' .. ARGV[3])
local epoch = state[1]
if not epoch then return {'lost'} end
for i = 1, 6 do if not record[i] then return {'lost'} end end
if state[3] ~= ARGV[4] then return {'rules', state[3]} end

local slot = redis.call('GET', KEYS[3])
local over
if slot then
  local leased, holder, waited = string.match(slot, '^aw1 l (%S+) (%w+)(!?)$')
  if leased == epoch and holder ~= ARGV[1] then
    if ARGV[6] == '1' and waited == '' then redis.call('SET', KEYS[3], slot .. '!', 'KEEPTTL') end
    return {'held', holder}
  end
  if leased == epoch then over = 'mine' end
  local kind, stamp, offset, id, flags, lease, marks = string.match(slot, '^aw1 ([vn]) (%S+) (%d+) (%S+) (%S+) (%S+) (%S+)\n')
  if isServable(slot, KEYS[2], epoch, state[2], KEYS[4]) and versionIn(flags) == ARGV[10] then
    local left, bound = redis.call('PTTL', KEYS[3]), tonumber(ARGV[5])
    local time = redis.call('TIME')
    local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
    local mine, till, wait = string.match(lease, '^(%w+):(%d+)(!?)$')
    local head = table.concat({'aw1', kind, stamp, offset, id, flags, ''}, ' ')
    local function write(mark) redis.call('SET', KEYS[3], head .. mark .. string.sub(slot, #head + #lease + 1), 'KEEPTTL') end
    if mine == ARGV[1] then over = 'mine'
    elseif (left < 0 or left > bound) and id ~= ARGV[9] then return {'live'}
    elseif mine and tonumber(till) > now then
      if ARGV[6] == '1' and wait == '' then write(lease .. '!') end
      return {'held', mine}
    elseif left > tonumber(ARGV[2]) or id == ARGV[9] then
      -- What is left outlasts the lease, so the old value goes on being served under it. A live one does in any case: should it end before the
      -- load, the lease ends with it.
      write(ARGV[1] .. ':' .. string.format('%.0f', now + tonumber(ARGV[2])))
      over = 'mine'
    end
  end
end
if not over then redis.call('SET', KEYS[3], 'aw1 l ' .. epoch .. ' ' .. ARGV[1], 'PX', ARGV[2]) end

-- What fences the key: the bucket's fold, and its own entries.
local fenced = string.rep('\0', 8)
local bucket = record[7]
if bucket then
  local hash = unhex(ARGV[8])
  fenced = string.sub(bucket, 1, 8)
  for at = 9, #bucket, 12 do
    local lsn = string.sub(bucket, at, at + 7)
    if string.sub(bucket, at + 8, at + 11) == hash and lessBytes(fenced, lsn) then fenced = lsn end
  end
end
return {'leased', epoch, record[1], record[2], record[3], tohex(fenced), record[4], record[5], record[6]}
