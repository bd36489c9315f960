-- adopt: the deliveries that are lent to a consumer which does not hold them, because the reply that carried them was
-- lost on the way. Their leases begin anew.
--
-- Atomic because an entry that another consumer takes over between the look and the renewal would be stolen back.
--
-- KEYS  1 marks   2 tasks to cancel   then streams, highest priority first
-- ARGV  1 group   2 consumer   3 most entries to look at per stream   then, for each delivery that the consumer holds,
--       its stream and its entry, joined by a space
-- Returns the number of keys among the first two that exist, and {stream number, entry, count, fields} per
-- delivery. Cost: O(entries that are lent to the consumer).
local group, consumer = ARGV[1], ARGV[2]
local held = {}
for i = 4, #ARGV do
  held[ARGV[i]] = true
end
local found = { redis.call('EXISTS', KEYS[1], KEYS[2]) }
for k = 3, #KEYS do
  local pendings = redis.pcall('XPENDING', KEYS[k], group, '-', '+', ARGV[3], consumer)
  for _, pending in ipairs(pendings) do
    local entry = pending[1]
    if not held[KEYS[k] .. ' ' .. entry] then
      local body = redis.call('XRANGE', KEYS[k], entry, entry)[1]
      if body then
        redis.call('XCLAIM', KEYS[k], group, consumer, 0, entry, 'JUSTID')
        found[#found + 1] = { k - 2, entry, pending[4], body[2] }
      else
        redis.call('XACK', KEYS[k], group, entry)
      end
    end
  end
end
return found
