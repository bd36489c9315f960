-- resume: hand out again what was paused.
--
-- Atomic because between the move of the group and the end of the pause somebody else could pause it again, and keep
-- the wrong id. Whoever waits at the stream is woken by an entry that is gone at once, and finds what has come
-- meanwhile.
--
-- KEYS  1 pauses
-- ARGV  1 group   2 prefix of streams   3 queue, or * for all
-- Returns 1, or 0 when it was not paused. Cost: O(paused levels).
local was_paused = redis.call('HDEL', KEYS[1], ARGV[3])

local function is_paused(queue)
  return redis.call('HEXISTS', KEYS[1], queue) == 1 or redis.call('HEXISTS', KEYS[1], '*') == 1
end

local function open(stream)
  if redis.pcall('XGROUP', 'SETID', stream, ARGV[1], redis.call('HGET', KEYS[1], stream)).err == nil then
    redis.call('XDEL', stream, redis.call('XADD', stream, '*', 'i', ''))
  end
  redis.call('HDEL', KEYS[1], stream)
end

for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, #ARGV[2]) == ARGV[2] then
    if not is_paused(string.match(string.sub(field, #ARGV[2] + 1), '^(.*):')) then
      open(field)
    end
  end
end
return was_paused
