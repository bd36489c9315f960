-- renew: extend the leases of one consumer, and note that it is alive.
--
-- Atomic because XCLAIM without the check before it would steal an entry back from its new owner. JUSTID leaves the
-- delivery count alone: a renewal is not a delivery.
--
-- Parts: clock, leases.
--
-- ARGV  1 consumer   2 its lease ms   3 description of the worker   then per delivery: lane, entry, count
-- Returns two lists of positions (from 1): the deliveries that are not ours any more, and those whose task was asked to
-- stop. Cost: O(log pending) per delivery.
local consumer = ARGV[1]
local lost, to_cancel = {}, {}
local is_any_to_cancel = redis.call('EXISTS', key.to_cancel) == 1

local function is_to_cancel(stream, entry)
  local found = redis.call('XRANGE', stream, entry, entry)[1]
  local fields = found and found[2] or {}
  return fields[1] == 'i' and redis.call('SISMEMBER', key.to_cancel, fields[2]) == 1
end

for i = 4, #ARGV, 3 do
  local stream, entry = prefix.stream .. ARGV[i], ARGV[i + 1]
  if ownership(stream, entry, consumer, ARGV[i + 2]) == 1 then
    redis.call('XCLAIM', stream, GROUP, consumer, 0, entry, 'JUSTID')
    if is_any_to_cancel and is_to_cancel(stream, entry) then
      to_cancel[#to_cancel + 1] = (i - 1) / 3
    end
  else
    lost[#lost + 1] = (i - 1) / 3
  end
end
redis.pcall('HSET', key.workers, consumer, string.format('%.0f ', clock()) .. ARGV[3])
redis.pcall('ZADD', key.leases, ARGV[2], consumer)
return { lost, to_cancel }
