-- ended: which of some tasks have their verdict.
--
-- KEYS  records
-- ARGV  1 length of the prefix of record keys
-- Returns {id, state, result} per task that has. Cost: O(1) per record.
local is_verdict = { done = true, failed = true, cancelled = true, expired = true, dead = true }
local found = {}
for k = 1, #KEYS do
  local kept = redis.call('HMGET', KEYS[k], 's', 'r')
  if is_verdict[kept[1]] then
    found[#found + 1] = { string.sub(KEYS[k], tonumber(ARGV[1]) + 1), kept[1], kept[2] or '' }
  end
end
return found
