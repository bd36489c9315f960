-- holders: who holds permits of some names, or of any.
--
-- KEYS  1 names that are held
-- ARGV  1 prefix of holders   then names (none: all that are held)
-- Returns {name, token, ms left} per permit. Cost: O(names + permits).
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local names, found = { unpack(ARGV, 2) }, {}
if #names == 0 then
  names = redis.call('ZRANGE', KEYS[1], 0, -1)
end
for _, name in ipairs(names) do
  local holders = redis.call('ZRANGEBYSCORE', ARGV[1] .. name, string.format('(%.0f', now), '+inf', 'WITHSCORES')
  for i = 1, #holders, 2 do
    found[#found + 1] = { name, holders[i], holders[i + 1] - now }
  end
end
return found
