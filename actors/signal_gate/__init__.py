"""The gate: lets each signal through once and only once, and starts its execution."""
