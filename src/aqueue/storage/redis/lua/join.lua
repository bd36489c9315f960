-- join: make the groups of streams that have none.
--
-- Atomic because nobody may read from a stream that is paused, not even before its group has been moved to the end of
-- all ids. A group begins at 0, not at $: what was pushed before it existed has to be delivered too.
--
-- KEYS  1 pauses   2 bell   then streams
-- ARGV  1 group   then the queue of each stream
-- Returns the number of groups that were made. Cost: O(streams).
local made = 0
local function make(stream, queue)
  if redis.pcall('XGROUP', 'CREATE', stream, ARGV[1], '0', 'MKSTREAM').err then
    return
  end
  made = made + 1
  if redis.call('HEXISTS', KEYS[1], queue) == 1 or redis.call('HEXISTS', KEYS[1], '*') == 1 then
    redis.call('HSET', KEYS[1], stream, '0-0')
    redis.call('XGROUP', 'SETID', stream, ARGV[1], '18446744073709551615-0')
  end
end

redis.pcall('XGROUP', 'CREATE', KEYS[2], ARGV[1], '0', 'MKSTREAM')
for k = 3, #KEYS do
  make(KEYS[k], ARGV[k - 1])
end
return made
