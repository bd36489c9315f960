-- report: keep and announce how far a running task is, if its receipt still holds.
--
-- KEYS  1 stream of the level   2 record of the task   3 watchers
-- ARGV  1 group   2 consumer   3 entry   4 count   5 progress   6 client that waits ('' for none)   7 id of the task
--       8 prefix of reply channels
-- Returns 1, or 0 when the receipt does not hold any more. Cost: O(log pending).
local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)[1]
if type(pending) ~= 'table' or pending[2] ~= ARGV[2] or pending[4] ~= tonumber(ARGV[4]) then
  return 0
end
redis.call('HSET', KEYS[2], 'g', ARGV[5])
local clients = ARGV[6] .. ' ' .. (redis.call('HGET', KEYS[3], ARGV[7]) or '')
local told = {}
for client in string.gmatch(clients, '%S+') do
  if not told[client] then
    told[client] = true
    redis.call('PUBLISH', ARGV[8] .. client, 'progress\n' .. ARGV[7] .. '\n' .. ARGV[5])
  end
end
return 1
