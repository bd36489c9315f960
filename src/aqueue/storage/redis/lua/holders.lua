-- holders: which tokens hold permits of some names, or of any.
--
-- Parts: clock.
--
-- ARGV  names (none: all that are held)
-- Returns {name, token, ms left} per permit. Cost: O(names + permits).
local now = clock()
local names, found = #ARGV > 0 and ARGV or redis.call('ZRANGE', key.locks, 0, -1), {}
for _, name in ipairs(names) do
  local holders = redis.call('ZRANGEBYSCORE', prefix.locks .. name, string.format('(%.0f', now), '+inf', 'WITHSCORES')
  for i = 1, #holders, 2 do
    found[#found + 1] = { name, holders[i], holders[i + 1] - now }
  end
end
return found
