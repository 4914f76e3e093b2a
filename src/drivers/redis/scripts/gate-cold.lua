#!lua flags=allow-oom
-- Makes the region's gate COLD where there is none, or where its epoch is the one that is named. A full memory must not make it seem warm.
--
-- KEYS  1 gate
-- ARGV  1 the new epoch   2 reason   3 the former epoch, empty for none
-- Returns {1 made so | 0 another stands, epoch, state, share, reason, since}
local wrong = wrongType(1)
if wrong then return wrong end
local gate = gateIn(KEYS[1])
local isMarked = 0
if not gate or gate[1] == ARGV[3] then
  coldGate(KEYS[1], ARGV[1], ARGV[2])
  gate, isMarked = gateIn(KEYS[1]), 1
end
return {isMarked, unpack(gate)}
