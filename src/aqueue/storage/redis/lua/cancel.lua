-- cancel: end a task that is not lent, or ask for the one that is to be stopped; and keep another one instead of it.
--
-- Atomic because a reader may take the task at any moment: either it is out of the line before, and nobody runs it, or
-- it is lent, and its worker hears of it. And because a task that is replaced must neither be lost nor run twice. The
-- one instead goes through the schedule even when it is due: so one way in is enough.
--
-- KEYS  1 record of the task   2 tasks to cancel   3 marks   4 watchers
-- ARGV  1 group   2 prefix of streams   3 prefix of schedules   4 prefix of reply channels   5 control channel   6 id
--       7 result   8 ttl ms   9 client that waits ('' for none)   10 longest result that is told
--       then, if there is one instead: its record, the set of levels, the bell, id, payload, level, delay ms, eta ms
-- Returns 1 (done), 0 (it has another verdict, or is unknown) or -1 (it was cancelled before). Cost: O(log n).
local record, id, result = KEYS[1], ARGV[6], ARGV[7]
local is_verdict = { done = true, failed = true, expired = true, dead = true }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kept = redis.call('HMGET', record, 'e', 's', 'l')
local entry, state, level = kept[1], kept[2] or 'queued', kept[3] or 'default:0'
if state == 'cancelled' then
  -- It was not this very call, repeated, when there is nothing instead.
  return ARGV[11] and redis.call('EXISTS', ARGV[11]) == 0 and 0 or -1
elseif not entry or is_verdict[state] then
  return 0
end

local function keep_instead()
  local other, copy, due = ARGV[11], ARGV[14], tonumber(ARGV[18])
  if due == 0 then
    due = now + tonumber(ARGV[17])
  end
  if redis.call('EXISTS', other) == 0 then
    redis.call('HSET', other, 'e', '', 's', 'scheduled', 'p', ARGV[15], 'l', ARGV[16])
    redis.call('ZADD', ARGV[3] .. string.match(ARGV[16], '^(.*):'), string.format('%.0f', due), copy)
    if redis.call('SADD', ARGV[12], ARGV[16]) == 1 then
      redis.call('XADD', ARGV[13], '*', 'l', ARGV[16])
    end
    redis.call('PUBLISH', ARGV[5], string.format('due %.0f', math.max(due - now, 0)))
  end
end

local function tell()
  local size, told = #result, {}
  local text = result
  if size > tonumber(ARGV[10]) then
    size, text = -1, ''
  end
  local clients = ARGV[9] .. ' ' .. (redis.call('HGET', KEYS[4], id) or '')
  for client in string.gmatch(clients, '%S+') do
    if not told[client] then
      told[client] = true
      redis.call('PUBLISH', ARGV[4] .. client, 'settled\n' .. id .. ' cancelled ' .. size .. '\n' .. text)
    end
  end
  redis.call('HDEL', KEYS[4], id)
end

-- On a server that is full this is refused before anything has happened; what follows begins by freeing memory.
if ARGV[11] then
  keep_instead()
end
redis.call('SREM', KEYS[2], id)
local stream = ARGV[2] .. level
local pending = entry ~= '' and redis.pcall('XPENDING', stream, ARGV[1], entry, entry, 1)[1]
if type(pending) == 'table' then
  redis.call('SADD', KEYS[2], id)
  redis.call('PUBLISH', ARGV[5], 'cancel ' .. id)
  return 1
end
if entry == '' then
  redis.call('ZREM', ARGV[3] .. string.match(level, '^(.*):'), id)
else
  redis.call('XDEL', stream, entry)
end
redis.call('ZREM', KEYS[3], 'once ' .. id, 'ever ' .. id)
redis.call('HDEL', record, 'p', 'b', 'f')
redis.call('HSET', record, 's', 'cancelled', 'r', result)
redis.call('PEXPIRE', record, ARGV[8])
tell()
return 1
