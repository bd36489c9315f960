-- retire: forget a consumer.
--
-- Atomic because deleting one that still holds entries would lose them: they would be in no pending list and behind the
-- group's last delivered id. So it stays where it holds any.
--
-- KEYS  1 workers   then streams
-- ARGV  1 group   2 consumer
-- Returns the number of streams in which the consumer still holds entries. Cost: O(streams).
local holding = 0
for k = 2, #KEYS do
  local pendings = redis.pcall('XPENDING', KEYS[k], ARGV[1], '-', '+', 1, ARGV[2])
  if pendings.err == nil then
    if #pendings > 0 then
      holding = holding + 1
    else
      redis.call('XGROUP', 'DELCONSUMER', KEYS[k], ARGV[1], ARGV[2])
    end
  end
end
if holding == 0 then
  redis.call('HDEL', KEYS[1], ARGV[2])
end
return holding
