#!lua flags=allow-oom
-- Notes the epochs of cells under the gate's epoch. One that is another than was noted before is of a cell that began anew; with half of the region's cells
-- the gate is COLD, under a new epoch. What the former one noted is forgotten: cells that follow are the first under the new one.
--
-- KEYS  1 gate
-- ARGV  1 the gate's epoch   2 its next   3 cells of the region   4 reason   then cell, epoch, …
-- Returns {'noted'} | {'cold', cells that began anew} | {'moved'}
local wrong = wrongType(1)
if wrong then return wrong end
local gate = gateIn(KEYS[1])
if not gate or gate[1] ~= ARGV[1] then return {'moved'} end
local noted, anew = {}, {}
for i = 5, #ARGV, 2 do
  local cell, epoch = ARGV[i], ARGV[i + 1]
  local known = redis.call('HGET', KEYS[1], 'cell:' .. cell)
  if known ~= epoch then
    noted[#noted + 1] = 'cell:' .. cell
    noted[#noted + 1] = epoch
    if known then anew[#anew + 1] = cell end
  end
end
if #noted > 0 then redis.call('HSET', KEYS[1], unpack(noted)) end
for _, cell in ipairs(anew) do
  if redis.call('HSETNX', KEYS[1], 'begun:' .. cell, '1') == 1 then redis.call('HINCRBY', KEYS[1], 'begun', 1) end
end
local begun = tonumber(redis.call('HGET', KEYS[1], 'begun') or '0')
if begun * 2 < tonumber(ARGV[3]) then return {'noted'} end
coldGate(KEYS[1], ARGV[2], ARGV[4])
for i = 5, #ARGV, 2 do redis.call('HSET', KEYS[1], 'cell:' .. ARGV[i], ARGV[i + 1]) end
return {'cold', begun}
