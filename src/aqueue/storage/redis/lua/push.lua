-- push: keep tasks of one lane, ready ones and such that are due later, each unless its id is known.
--
-- Atomic because an entry without a record could not be told from a stranger, and a record without an entry would be a
-- lost task.
--
-- Parts: enter.
--
-- ARGV  1 lane   2 how many are ready   then per ready task: id, payload; then per other task: id, payload, when it is
--       due
-- Returns 1 (kept) or 0 (known already) per task. Cost: O(1) per ready task, O(log n) per other task.
local lane, kept = ARGV[1], {}
local first_due = 3 + 2 * ARGV[2]
for i = 3, first_due - 1, 2 do
  kept[#kept + 1] = enter(ARGV[i], ARGV[i + 1], lane, 0)
end
for i = first_due, #ARGV, 3 do
  kept[#kept + 1] = enter(ARGV[i], ARGV[i + 1], lane, instant(ARGV[i + 2]))
end
announce()
return kept
