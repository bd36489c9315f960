-- window: the calls that a rate limit has admitted, and where its present window begins.
--
-- Parts: clock.
--
-- ARGV  1 name   2 ms of a window   3 1: any such span is a window, 0: each multiple begins one
local now = clock()
local per, is_sliding = tonumber(ARGV[2]), ARGV[3] == '1'
local calls = prefix.rates .. ARGV[2] .. ':' .. ARGV[1]
local begin = is_sliding and now - per + 1 or now - now % per

local function count_calls()
  return redis.call('ZCOUNT', calls, string.format('%.0f', begin), '+inf')
end
