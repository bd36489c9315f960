"""Declaring work: tasks, their options, hooks, schedules and workflows."""
