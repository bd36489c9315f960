-- lent: a page of what is lent at one level.
--
-- KEYS  1 stream of the level
-- ARGV  1 group   2 entry after which the page begins ('' for the first)   3 most tasks   4 lease ms
-- Returns {entry, fields, consumer, instant at which the lease runs out, deliveries} per task. Cost: O(log n) per task.
local time = redis.call('TIME')
local lease_end = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[4])
local from = ARGV[2] == '' and '-' or '(' .. ARGV[2]
local page = {}
for _, pending in ipairs(redis.pcall('XPENDING', KEYS[1], ARGV[1], from, '+', ARGV[3])) do
  local found = redis.call('XRANGE', KEYS[1], pending[1], pending[1])[1]
  page[#page + 1] = { pending[1], found and found[2] or {}, pending[2], lease_end - pending[3], pending[4] }
end
return page
