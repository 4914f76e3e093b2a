#!lua flags=allow-oom
-- Unlinks, for a sweep that is owed, those values of a cell that no reader who knows epochs and marks is given any more. What was stored since stays.
--
-- KEYS  1 region record   2 cell state   3.. values, behind them the slots beside plain ones
-- ARGV  1 owner token   2 how many are values   3 family
-- Returns how many values were unlinked; 0 where another owns the cell
-- Invariant: whatever is left is a lease of the cell's epoch, or what a hit would be given.
if string.match(redis.call('HGET', KEYS[1], 'owner') or '', '^(%w+):') ~= ARGV[1] then return 0 end
local state, values = KEYS[2], tonumber(ARGV[2])
local isPlain = #KEYS > 2 + values
local epoch = redis.call('HGET', state, 'epoch')
local familyMark = redis.call('HGET', state, 'f:' .. ARGV[3])

local oldValues, oldSlots = {}, {}
for i = 3, 2 + values do
  local slot = isPlain and KEYS[i + values] or KEYS[i]
  local header = headerOf(slot)
  local isLease = epoch and string.match(header, '^aw1 l (%S+) %w+!?$') == epoch
  -- A lease vouches for no plain value beside it.
  if isLease and isPlain then oldValues[#oldValues + 1] = KEYS[i]
  elseif not isLease and not isServable(header, state, epoch, familyMark) then
    oldValues[#oldValues + 1] = KEYS[i]
    if isPlain then oldSlots[#oldSlots + 1] = slot end
  end
end
if #oldSlots > 0 then redis.call('UNLINK', unpack(oldSlots)) end
if #oldValues == 0 then return 0 end
return redis.call('UNLINK', unpack(oldValues))
