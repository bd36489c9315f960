-- cancel: end a task that is not lent, or ask for the one that is to be stopped; and keep another one instead of it.
--
-- Atomic because a reader may take the task at any moment: either it is out of the line before, and nobody runs it, or
-- it is lent, and its worker hears of it. Because a task that is replaced must neither be lost nor run twice. And
-- because those who wait for it would wait for ever. The one instead goes through the schedule even when it is due: so
-- one way in is enough.
--
-- KEYS  1-3 those of follow   4 record of the task
-- ARGV  1-10 those of follow   11 id   12 result   13 ttl ms   14 client that waits ('' for none)
--       then, if there is one instead: its record, the set of levels, the bell, id, payload, level, delay ms, eta ms
-- Returns 1 (done), 0 (it has another verdict, or is unknown) or -1 (it was cancelled before). Cost: O(log n), and that
-- of follow.
local record, id = KEYS[4], ARGV[11]
local is_verdict = { done = true, failed = true, expired = true, dead = true }
local kept = redis.call('HMGET', record, 'e', 's', 'l')
local entry, state, level = kept[1], kept[2] or 'queued', kept[3] or 'default:0'
if state == 'cancelled' then
  -- It was not this very call, repeated, when there is nothing instead.
  return ARGV[15] and redis.call('EXISTS', ARGV[15]) == 0 and 0 or -1
elseif not entry or is_verdict[state] then
  return 0
end

local function keep_instead()
  local other, copy, due = ARGV[15], ARGV[18], tonumber(ARGV[22])
  if due == 0 then
    due = now + tonumber(ARGV[21])
  end
  if redis.call('EXISTS', other) == 0 then
    redis.call('HSET', other, 'e', '', 's', 'scheduled', 'p', ARGV[19], 'l', ARGV[20])
    redis.call('ZADD', ARGV[4] .. string.match(ARGV[20], '^(.*):'), string.format('%.0f', due), copy)
    if redis.call('SADD', ARGV[16], ARGV[20]) == 1 then
      redis.call('XADD', ARGV[17], '*', 'l', ARGV[20])
    end
    redis.call('PUBLISH', ARGV[7], string.format('due %.0f', math.max(due - now, 0)))
  end
end

-- On a server that is full this is refused before anything has happened; what follows begins by freeing memory.
if ARGV[15] then
  keep_instead()
end
redis.call('SREM', KEYS[3], id)
local stream = ARGV[3] .. level
local pending = entry ~= '' and redis.pcall('XPENDING', stream, group, entry, entry, 1)[1]
if type(pending) == 'table' then
  redis.call('SADD', KEYS[3], id)
  redis.call('PUBLISH', ARGV[7], 'cancel ' .. id)
  return 1
end
if entry ~= '' then
  redis.call('XDEL', stream, entry)
elseif state == 'waiting' then
  redis.call('DEL', ARGV[5] .. id)
else
  redis.call('ZREM', ARGV[4] .. string.match(level, '^(.*):'), id)
end
redis.call('HDEL', record, 'p', 'b', 'f', 'j')
record_verdict(id, 'cancelled', ARGV[12], ARGV[13], ARGV[14])
move_on(id, 'cancelled', ARGV[12], ARGV[13])
publish()
return 1
