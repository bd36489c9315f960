-- retire: forget a consumer.
--
-- Atomic because deleting one that still holds entries would lose them: they would be in no pending list and behind the
-- group's last delivered id. So it stays where it holds any.
--
-- ARGV  1 consumer   then lanes
-- Returns the number of lanes in which the consumer still holds entries. Cost: O(lanes).
local consumer, holding = ARGV[1], 0
for i = 2, #ARGV do
  local stream = prefix.stream .. ARGV[i]
  local pendings = redis.pcall('XPENDING', stream, GROUP, '-', '+', 1, consumer)
  if pendings.err == nil then
    if #pendings > 0 then
      holding = holding + 1
    else
      redis.call('XGROUP', 'DELCONSUMER', stream, GROUP, consumer)
    end
  end
end
if holding == 0 then
  redis.call('HDEL', key.workers, consumer)
  redis.call('ZREM', key.leases, consumer)
end
return holding
