-- pause: hand nothing of a queue out any more, or of any queue.
--
-- A reader waits at a stream, where no flag could stop what is pushed from reaching it. So the group of the stream is
-- moved to the end of all ids: for whoever reads there is nothing new any more, and a push wakes nobody. Atomic because
-- the id to which the group had come must not move before it is kept.
--
-- KEYS  1 pauses   2 set of levels
-- ARGV  1 group   2 prefix of streams   3 queue, or * for all   4 level of the queue that may exist unheard of
-- Returns 1, or 0 when it was paused already. Cost: O(levels).
local function group_of(stream)
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  for _, group in ipairs(groups) do
    local facts = {}
    for i = 1, #group, 2 do
      facts[group[i]] = group[i + 1]
    end
    if facts.name == ARGV[1] then
      return facts['last-delivered-id']
    end
  end
end

local function close(level)
  local stream = ARGV[2] .. level
  if redis.call('HEXISTS', KEYS[1], stream) == 1 then
    return
  end
  local come_to = group_of(stream)
  if not come_to then
    redis.call('XGROUP', 'CREATE', stream, ARGV[1], '0', 'MKSTREAM')
  end
  redis.call('HSET', KEYS[1], stream, come_to or '0-0')
  redis.call('XGROUP', 'SETID', stream, ARGV[1], '18446744073709551615-0')
end

local is_new = redis.call('HSET', KEYS[1], ARGV[3], '')
if ARGV[3] ~= '*' then
  close(ARGV[4])
end
for _, level in ipairs(redis.call('SMEMBERS', KEYS[2])) do
  if ARGV[3] == '*' or string.match(level, '^(.*):') == ARGV[3] then
    close(level)
  end
end
return is_new
