-- usage: how many calls the present window has admitted.
--
-- Parts: window.
--
-- ARGV  1-3 those of window
-- Returns their number. Cost: O(log calls).
return count_calls()
