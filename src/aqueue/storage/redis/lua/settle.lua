-- settle: record the verdicts of deliveries of one level, each if its receipt still holds.
--
-- Atomic because verdict, acknowledgement, deletion and result are one fact: between any two of them a crash would run
-- the task twice, lose its result, or let a worker that lost its lease overwrite the result of its successor.
--
-- KEYS  1 stream of the level   2 watchers   3 marks   4 tasks to cancel
-- ARGV  1 group   2 consumer   3 prefix of record keys   4 prefix of reply channels   5 longest result that is told
--       then per task: entry, count, id, state, result, ttl ms, client that waits ('' for none)
-- Returns per task 1 (settled), 0 (someone else owns it) or -1 (the entry is gone). Cost: O(log pending) per task.
local stream, group, consumer, prefix = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
-- A write that frees memory first: after it, a server that is full accepts the rest of the script.
redis.call('XACK', stream, group, '0-1')
local replies, settled, is_settled, answer = {}, {}, {}, {}
local watched = redis.call('EXISTS', KEYS[2]) == 1
local marked = redis.call('EXISTS', KEYS[3], KEYS[4]) > 0

local function tell(client, id, state, result)
  local parts = replies[client]
  if parts == nil then
    -- Nobody listening is the common case of fire and forget: then there is nothing to build.
    parts = redis.call('PUBSUB', 'NUMSUB', ARGV[4] .. client)[2] > 0 and {} or false
    replies[client] = parts
  end
  if not parts then
    return
  end
  local size = #result
  if size > tonumber(ARGV[5]) then
    size, result = -1, ''
  end
  parts[#parts + 1] = id .. ' ' .. state .. ' ' .. size .. '\n'
  parts[#parts + 1] = result
end

for i = 6, #ARGV, 7 do
  local entry, id, state, result = ARGV[i], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  -- An error means that the stream or its group vanished, and the entry with it.
  local pending = redis.pcall('XPENDING', stream, group, entry, entry, 1)[1]
  if type(pending) ~= 'table' or is_settled[entry] then
    answer[#answer + 1] = -1
  elseif pending[2] ~= consumer or pending[4] ~= tonumber(ARGV[i + 1]) then
    answer[#answer + 1] = 0
  else
    local record = prefix .. id
    redis.call('HSET', record, 's', state, 'r', result)
    redis.call('PEXPIRE', record, ARGV[i + 5])
    settled[#settled + 1] = entry
    is_settled[entry] = true
    answer[#answer + 1] = 1
    if ARGV[i + 6] ~= '' then
      tell(ARGV[i + 6], id, state, result)
    end
    if watched then
      for client in string.gmatch(redis.call('HGET', KEYS[2], id) or '', '%S+') do
        if client ~= ARGV[i + 6] then
          tell(client, id, state, result)
        end
      end
      redis.call('HDEL', KEYS[2], id)
    end
    if marked then
      redis.call('ZREM', KEYS[3], 'once ' .. id, 'ever ' .. id)
      redis.call('SREM', KEYS[4], id)
    end
  end
end
if #settled > 0 then
  redis.call('XACK', stream, group, unpack(settled))
  redis.call('XDEL', stream, unpack(settled))
end
for client, parts in pairs(replies) do
  if parts then
    redis.call('PUBLISH', ARGV[4] .. client, 'settled\n' .. table.concat(parts))
  end
end
return answer
