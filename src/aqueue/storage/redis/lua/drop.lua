-- drop: end dead letters.
--
-- ARGV  ids
-- Returns per id 1, or 0 where there is no letter. Cost: O(log n) per id.
local answer = {}
for i, id in ipairs(ARGV) do
  redis.call('ZREM', key.dead, id)
  answer[i] = redis.call('DEL', prefix.dead .. id)
end
return answer
