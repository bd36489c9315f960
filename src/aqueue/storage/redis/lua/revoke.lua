-- revoke: revoke a key, instead of any earlier revocation of it.
--
-- Atomic because between the look at the record and the revocation the task could get its verdict, and nobody would
-- ever take the revocation away.
--
-- Parts: clock, verdicts.
--
-- ARGV  1 key   2 end of the revocation, in ms of the server's clock (0: none)   3 its kind: once or ever
--       4 ms after which it is forgotten if the server does not know the key as a task (0: never)
-- Returns 1, or 0 when the task has its verdict. Cost: O(log revocations).
local now = clock()
redis.call('ZREM', key.revocations, 'once ' .. ARGV[1], 'ever ' .. ARGV[1])
redis.call('ZREMRANGEBYSCORE', key.revocations, '-inf', string.format('%.0f', now))
local kept = redis.call('HMGET', prefix.task .. ARGV[1], 'e', 's')
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
  redis.call('ZADD', key.revocations, ends, ARGV[3] .. ' ' .. ARGV[1])
end
return 1
