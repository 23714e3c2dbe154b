"""What became of each order, from everything that the venue says about it."""
