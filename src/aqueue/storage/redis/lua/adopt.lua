-- adopt: the deliveries that are lent to a consumer which does not hold them, because the reply that carried them was
-- lost on the way. Their leases begin anew.
--
-- Atomic because an entry that another consumer takes over between the look and the renewal would be stolen back.
--
-- ARGV  1 consumer   2 its lease ms   3 most entries to look at per lane   4 how many lanes   then lanes, highest
--       priority first; then, for each delivery that the consumer holds, its lane and its entry, joined by a space
-- Returns a number that is not 0 if anything is revoked or to be cancelled, and {number of the lane, entry, count,
-- fields} per delivery of what is not paused. Cost: O(entries that are lent to the consumer).
local consumer, lanes, held = ARGV[1], tonumber(ARGV[4]), {}
for i = 5 + lanes, #ARGV do
  held[ARGV[i]] = true
end
redis.pcall('ZADD', key.leases, ARGV[2], consumer)
local found = { redis.call('EXISTS', key.revocations, key.to_cancel) }
for number = 1, lanes do
  local lane = ARGV[4 + number]
  local stream = prefix.stream .. lane
  local is_paused = redis.call('HEXISTS', key.paused, lane) == 1
  local pendings = is_paused and {} or redis.pcall('XPENDING', stream, GROUP, '-', '+', ARGV[3], consumer)
  for _, pending in ipairs(pendings) do
    local entry = pending[1]
    if not held[lane .. ' ' .. entry] then
      local body = redis.call('XRANGE', stream, entry, entry)[1]
      if body then
        redis.call('XCLAIM', stream, GROUP, consumer, 0, entry, 'JUSTID')
        found[#found + 1] = { number, entry, pending[4], body[2] }
      else
        redis.call('XACK', stream, GROUP, entry)
      end
    end
  end
end
return found
