-- verdicts: the states that end a task.
local is_verdict = { done = true, failed = true, cancelled = true, expired = true, dead = true }
