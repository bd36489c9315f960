-- revoke: mark a key, instead of any earlier mark on it.
--
-- Atomic because between the look at the record and the mark the task could get its verdict, and nobody would ever take
-- the mark away.
--
-- KEYS  1 marks   2 record of the task whose id the key is, if it is one
-- ARGV  1 key   2 end of the mark, in ms of the server's clock (0: none)   3 kind of the mark: once or ever
--       4 ms after which a mark is forgotten on what the server does not know (0: never)
-- Returns 1, or 0 when the task has its verdict. Cost: O(log marks).
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local is_verdict = { done = true, failed = true, cancelled = true, expired = true, dead = true }
redis.call('ZREM', KEYS[1], 'once ' .. ARGV[1], 'ever ' .. ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
local kept = redis.call('HMGET', KEYS[2], 'e', 's')
if is_verdict[kept[2]] then
  return 0
end
local ends = '+inf'
if ARGV[2] ~= '0' then
  ends = ARGV[2]
elseif not kept[1] and ARGV[4] ~= '0' then
  ends = string.format('%.0f', now + tonumber(ARGV[4]))
end
if ends == '+inf' or tonumber(ends) > now then
  redis.call('ZADD', KEYS[1], ends, ARGV[3] .. ' ' .. ARGV[1])
end
return 1
