-- dead_letters: the dead letters of some tasks.
--
-- ARGV  ids
-- Returns {id, verdict, payload, lane, failures, deliveries, instant of its death, error} per id, or an empty
-- list. Cost: O(1) per id.
local found = {}
for i, id in ipairs(ARGV) do
  local kept = redis.call('HMGET', prefix.dead .. id, 's', 'p', 'l', 'f', 'b', 'a', 'r')
  found[i] = kept[1] and { id, unpack(kept) } or {}
end
return found
