-- lay_out: write the note about the layout of a namespace that has none, or an older one, and say what it says then.
--
-- Atomic because of two processes that know different layouts the one that knows the later one is right.
--
-- Parts: layout.
--
-- ARGV  none
-- Returns {layout, lowest layout that a process must know to use it, version that wrote it}. Cost: O(1).
state_layout()
return redis.call('HMGET', key.layout, 'layout', 'oldest_reader', 'written_by')
