"""Executions: the schedule, the guards, the state machine and the report, and the actor around them."""
