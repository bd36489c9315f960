-- join: note the lease of a consumer that is about to read, and make the groups of streams that have none.
--
-- Atomic because nobody may read from a stream that is paused, not even before its group has been moved to the end of
-- all ids. A group begins at 0, not at $: what was pushed before it existed has to be delivered too.
--
-- Parts: lanes, layout.
--
-- ARGV  1 consumer   2 its lease ms   then lanes
-- Returns the number of groups that were made. Cost: O(lanes).
-- A write that frees memory first: after it, a server that is full accepts the rest of the script.
redis.call('ZREM', key.leases, ARGV[1])
redis.call('ZADD', key.leases, ARGV[2], ARGV[1])
local made = 0
local function make(lane)
  local stream, queue = prefix.stream .. lane, queue_of(lane)
  if redis.pcall('XGROUP', 'CREATE', stream, GROUP, '0', 'MKSTREAM').err then
    return
  end
  made = made + 1
  if redis.call('HEXISTS', key.paused, queue) == 1 or redis.call('HEXISTS', key.paused, '*') == 1 then
    redis.call('HSET', key.paused, lane, '0-0')
    redis.call('XGROUP', 'SETID', stream, GROUP, '18446744073709551615-0')
  end
end

for i = 3, #ARGV do
  make(ARGV[i])
end
state_layout()
return made
