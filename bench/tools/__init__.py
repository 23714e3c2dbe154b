"""What the measurements share: figures, a daemon to measure, a venue that costs nothing, plain threads."""
