-- Stands before every script. Order is compared as numbers: Lua compares strings by the server's locale (`locale-collate`), which need
-- not be the order of bytes. An LSN does not fit a double, so it is compared in two halves.

-- LSNs of 16 hex digits.
local function less(a, b)
  local highA, highB = tonumber(string.sub(a, 1, 8), 16), tonumber(string.sub(b, 1, 8), 16)
  if highA ~= highB then return highA < highB end
  return tonumber(string.sub(a, 9), 16) < tonumber(string.sub(b, 9), 16)
end
-- LSNs of 8 bytes, big-endian.
local function lessBytes(a, b)
  local highA, lowA = struct.unpack('>I4I4', a)
  local highB, lowB = struct.unpack('>I4I4', b)
  if highA ~= highB then return highA < highB end
  return lowA < lowB
end
-- Settled marks, "<timeline>:<lsn>".
local function lessMark(a, b)
  local timelineA, timelineB = tonumber(string.sub(a, 1, 8), 16), tonumber(string.sub(b, 1, 8), 16)
  if timelineA ~= timelineB then return timelineA < timelineB end
  return less(string.sub(a, 10), string.sub(b, 10))
end
local function unhex(hex) return (string.gsub(hex, '%x%x', function(byte) return string.char(tonumber(byte, 16)) end)) end
local function tohex(bytes) return (string.gsub(bytes, '.', function(c) return string.format('%02x', string.byte(c)) end)) end
