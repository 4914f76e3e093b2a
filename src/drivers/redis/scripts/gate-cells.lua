#!lua flags=allow-oom
-- Notes the epochs of cells under the gate's epoch. One that is another than was noted before is of a cell that began anew; with half of the region's cells
-- within some time the gate is COLD, under a new epoch: readers have filled what began before. What the former one noted is forgotten: cells that follow are the first under the new one.
--
-- KEYS  1 gate
-- ARGV  1 the gate's epoch   2 its next   3 cells of the region   4 reason   5 for how long one counts, ms   then cell, epoch, …
-- Returns {'noted'} | {'cold', cells that began anew} | {'moved'}
local wrong = wrongType(1)
if wrong then return wrong end
local gate = gateIn(KEYS[1])
if not gate or gate[1] ~= ARGV[1] then return {'moved'} end
local noted, anew = {}, {}
for i = 6, #ARGV, 2 do
  local cell, epoch = ARGV[i], ARGV[i + 1]
  local known = redis.call('HGET', KEYS[1], 'cell:' .. cell)
  if known ~= epoch then
    noted[#noted + 1] = 'cell:' .. cell
    noted[#noted + 1] = epoch
    if known then anew[#anew + 1] = cell end
  end
end
if #noted > 0 then redis.call('HSET', KEYS[1], unpack(noted)) end
if #anew == 0 then return {'noted'} end
local now, cells, begun = nowMs(), tonumber(ARGV[3]), 0
for _, cell in ipairs(anew) do redis.call('HSET', KEYS[1], 'begun:' .. cell, now) end
for cell = 0, cells - 1 do
  local at = tonumber(redis.call('HGET', KEYS[1], 'begun:' .. cell) or '')
  if at and now - at < tonumber(ARGV[5]) then begun = begun + 1 end
end
if begun * 2 < cells then return {'noted'} end
coldGate(KEYS[1], ARGV[2], ARGV[4])
for i = 6, #ARGV, 2 do redis.call('HSET', KEYS[1], 'cell:' .. ARGV[i], ARGV[i + 1]) end
return {'cold', begun}
