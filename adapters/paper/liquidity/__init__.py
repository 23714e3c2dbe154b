"""Where the paper exchange's liquidity comes from: drawn by a seed, replayed from a recording, or set by hand."""
