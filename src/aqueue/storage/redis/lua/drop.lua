-- drop: end dead letters.
--
-- KEYS  1 dead letters by the instant of their end
-- ARGV  1 prefix of dead letters   then ids
-- Returns per letter 1, or 0 where there is none. Cost: O(log n) per letter.
local answer = {}
for i = 2, #ARGV do
  redis.call('ZREM', KEYS[1], ARGV[i])
  answer[i - 1] = redis.call('DEL', ARGV[1] .. ARGV[i])
end
return answer
