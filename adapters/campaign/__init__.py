"""The fault campaign: the whole daemon on many seeds, each with a weather of its own, each audited."""
