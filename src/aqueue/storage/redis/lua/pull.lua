-- pull: lend ready tasks of several levels to a consumer, highest priority first.
--
-- One script, because XREADGROUP over several streams counts per stream: it would take more than there is room for, and
-- low priorities along with high ones. It stops at a stream without a group: to fail there would lose what the streams
-- before it have already given, and to pass it over would let lower priorities through.
--
-- KEYS  1 marks   2 tasks to cancel   then streams, highest priority first
-- ARGV  1 group   2 consumer   3 most tasks
-- Returns the number of keys among the first two that exist, 1 if there is a stream without a group, and {stream
-- number, entries} per stream that gave some. Cost: O(tasks + streams).
local left, found = tonumber(ARGV[3]), { redis.call('EXISTS', KEYS[1], KEYS[2]), 0 }

for k = 3, #KEYS do
  local reply = redis.pcall('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', left, 'STREAMS', KEYS[k], '>')
  if reply and reply.err then
    if string.find(reply.err, 'NOGROUP', 1, true) then
      found[2] = 1
      break
    end
  elseif reply then
    local entries = reply[1][2]
    found[#found + 1] = { k - 2, entries }
    left = left - #entries
    if left <= 0 then
      break
    end
  end
end
return found
