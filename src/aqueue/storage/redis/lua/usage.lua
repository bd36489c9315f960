-- usage: how many calls the present window has admitted.
--
-- KEYS  1 calls that were admitted, by instant
-- ARGV  1 ms of a window   2 1: any such span is a window, 0: each multiple begins one
-- Returns their number. Cost: O(log calls).
local per = tonumber(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local begin = ARGV[2] == '1' and now - per + 1 or now - now % per
return redis.call('ZCOUNT', KEYS[1], string.format('%.0f', begin), '+inf')
