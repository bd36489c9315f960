-- pull: lend ready tasks of several lanes to a consumer, highest priority first.
--
-- One script, because XREADGROUP over several streams counts per stream: it would take more than there is room for, and
-- low priorities along with high ones. It stops at a stream without a group: to fail there would lose what the streams
-- before it have already given, and to pass it over would let lower priorities through.
--
-- ARGV  1 consumer   2 most tasks   then lanes, highest priority first
-- Returns a number that is not 0 if anything is revoked or to be cancelled, 1 if there is a stream without a group, and
-- {number of the lane, entries} per lane that gave some. Cost: O(tasks + lanes).
local left, found = tonumber(ARGV[2]), { redis.call('EXISTS', key.revocations, key.to_cancel), 0 }

for i = 3, #ARGV do
  local stream = prefix.stream .. ARGV[i]
  local reply = redis.pcall('XREADGROUP', 'GROUP', GROUP, ARGV[1], 'COUNT', left, 'STREAMS', stream, '>')
  if reply and reply.err then
    if string.find(reply.err, 'NOGROUP', 1, true) then
      found[2] = 1
      break
    end
  elseif reply then
    local entries = reply[1][2]
    found[#found + 1] = { i - 2, entries }
    left = left - #entries
    if left <= 0 then
      break
    end
  end
end
return found
