-- report: keep and announce how far a running task is, if its receipt still holds.
--
-- Parts: leases.
--
-- ARGV  1 consumer   2 lane   3 entry   4 count   5 id of the task   6 progress   7 client that waits ('' for none)
-- Returns 1, or 0 when the receipt does not hold any more. Cost: O(log pending).
local id, progress = ARGV[5], ARGV[6]
if ownership(prefix.stream .. ARGV[2], ARGV[3], ARGV[1], ARGV[4]) ~= 1 then
  return 0
end
redis.call('HSET', prefix.task .. id, 'g', progress)
local clients = ARGV[7] .. ' ' .. (redis.call('HGET', key.watchers, id) or '')
local is_told = {}
for client in string.gmatch(clients, '%S+') do
  if not is_told[client] then
    is_told[client] = true
    redis.call('PUBLISH', prefix.replies .. client, 'progress\n' .. id .. '\n' .. progress)
  end
end
return 1
