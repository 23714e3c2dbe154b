"""The one door to the venue: what may go out, how much of it, and how fast."""
