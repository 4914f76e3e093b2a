#!lua flags=allow-oom
-- Removes owed sweeps that are done, unless they were raised again meanwhile, or the agent's file was not enough for them.
--
-- KEYS  1 region record   2 cell state   3 owed sweeps
-- ARGV  1 owner token   2 rule hash of each family in the agent's file (JSON)   3.. pairs: field, the value that was swept for
-- Returns how many were removed
-- Invariant: a family of the region that the agent's file lacks, or has by another rule, owes its sweep as before, or its own in place of a wider one.
local record, state, sweeps = KEYS[1], KEYS[2], KEYS[3]
local wrong = wrongType(3)
if wrong then return wrong end
if string.match(redis.call('HGET', record, 'owner') or '', '^(%w+):') ~= ARGV[1] then return 0 end
local known = cjson.decode(ARGV[2])

-- The region's rule texts by family, read once and only where a sweep of many families is done.
local texts
local function everyText()
  if texts then return texts end
  texts = {}
  local fields = redis.call('HGETALL', state)
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 2) == 'r:' then texts[string.sub(fields[i], 3)] = fields[i + 1] end
  end
  return texts
end
local function hasLabels(text) return string.match(text, '^%S+ %S+ %S') end
local function isBy(text, hash) return string.match(text, '^%S+') == hash end

local removed = 0
for i = 3, #ARGV, 2 do
  local field, value = ARGV[i], ARGV[i + 1]
  if redis.call('HGET', sweeps, field) == value then
    local family = string.match(field, '^f:(.*)$')
    local isDone
    if family then
      local text = redis.call('HGET', state, 'r:' .. family)
      isDone = known[family] and (not text or isBy(text, known[family]))
    else
      isDone = next(everyText()) ~= nil
      for name, text in pairs(texts) do
        if not isBy(text, known[name]) and (field == '*' or hasLabels(text)) then redis.call('HSETNX', sweeps, 'f:' .. name, value) end
      end
    end
    if isDone then removed = removed + redis.call('HDEL', sweeps, field) end
  end
end
return removed
