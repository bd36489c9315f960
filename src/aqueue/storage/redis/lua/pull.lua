-- pull: lend ready tasks of several levels to a consumer, highest priority first.
--
-- One script, because XREADGROUP over several streams counts per stream: it would take more than there is room for, and
-- low priorities along with high ones.
--
-- KEYS  1 marks   2 tasks to cancel   then streams, highest priority first
-- ARGV  1 group   2 consumer   3 most tasks
-- Returns the number of keys among the first two that exist, and {stream number, entries} per stream that gave
-- some. Cost: O(tasks + streams).
local left, found = tonumber(ARGV[3]), { redis.call('EXISTS', KEYS[1], KEYS[2]) }

local function read(stream)
  return redis.pcall('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', left, 'STREAMS', stream, '>')
end

for k = 3, #KEYS do
  local reply = read(KEYS[k])
  if reply and reply.err then
    -- No group yet. Failing here would lose what the streams before this one have already given. From 0, not from $:
    -- what was pushed before the group existed has to be delivered too.
    redis.pcall('XGROUP', 'CREATE', KEYS[k], ARGV[1], '0', 'MKSTREAM')
    reply = read(KEYS[k])
  end
  if reply and not reply.err then
    local entries = reply[1][2]
    found[#found + 1] = { k - 2, entries }
    left = left - #entries
    if left <= 0 then
      break
    end
  end
end
return found
