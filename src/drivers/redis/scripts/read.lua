#!lua flags=no-writes
-- Reads a value and what it is held against. One step, so a mark that is raised between the two cannot be missed.
--
-- KEYS  1 region record   2 cell state   3 slot   4 payload, in plain mode only
-- ARGV  1 family   2 "1" the time that is left is wanted   3 "1" the watermark is wanted
-- Returns {slot | false, ms left, epoch | false, family mark | false, rule | false, {tag marks}, {watermark, source epoch, asOf} | false};
-- of a value without the watermark, which is what most reads find, the same in one text, since that costs a client less:
--         <epoch> TAB <family mark> TAB <rule> TAB <tag mark>,... LF <ms left> LF <slot>        empty or - for false
-- Invariant: nothing is changed.
local watermark = false
if ARGV[3] == '1' then watermark = redis.call('HMGET', KEYS[1], 'watermark', 'sourceEpoch', 'asOf') end
local slot = redis.call('GET', KEYS[3])
local left = -1
if slot and ARGV[2] == '1' then left = redis.call('PTTL', KEYS[3]) end
local marks, isValue = {}, false
if slot then
  local kind, numbers = string.match(slot, '^aw1 ([vn]) %S+ %S+ %S+ %S+ %S+ (%S+)\n')
  isValue = kind ~= nil
  if KEYS[4] and kind == 'v' then
    local payload = redis.call('GET', KEYS[4])
    slot = payload and slot .. payload
  end
  if numbers and numbers ~= '-' then
    for number in string.gmatch(numbers, '%d+') do marks[#marks + 1] = redis.call('HGET', KEYS[2], 't:' .. number) end
  end
end
local state = redis.call('HMGET', KEYS[2], 'epoch', 'f:' .. ARGV[1], 'r:' .. ARGV[1])
if slot and isValue and not watermark then
  for i = 1, #marks do marks[i] = marks[i] or '-' end
  return table.concat({state[1] or '', state[2] or '', state[3] or '', table.concat(marks, ',')}, '\t') .. '\n' .. left .. '\n' .. slot
end
return {slot, left, state[1], state[2], state[3], marks, watermark}
