"""The vocabulary: what actors and adapters say to each other. Frozen values, no behaviour of their own."""
