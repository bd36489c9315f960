-- push: keep tasks, ready ones and such that are due later, each unless its id is known.
--
-- Atomic because an entry without a record could not be told from a stranger, and a record without an entry would be a
-- lost task.
--
-- Parts: enter.
--
-- ARGV  per task: its envelope
-- Returns 1 (kept) or 0 (known already) per task. Cost: O(log n) per task.
local kept = {}
for i = 1, #ARGV, ENVELOPE do
  kept[#kept + 1] = enter(envelope_at(i))
end
announce()
return kept
