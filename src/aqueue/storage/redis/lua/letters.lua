-- letters: the dead letters of some tasks.
--
-- KEYS  letters
-- ARGV  1 length of the prefix of dead letters
-- Returns {id, verdict, payload, level, failures, deliveries, instant of its death, error} per letter, or an empty
-- list. Cost: O(1) per letter.
local found = {}
for k = 1, #KEYS do
  local kept = redis.call('HMGET', KEYS[k], 's', 'p', 'l', 'f', 'b', 'a', 'r')
  found[k] = kept[1] and { string.sub(KEYS[k], tonumber(ARGV[1]) + 1), unpack(kept) } or {}
end
return found
