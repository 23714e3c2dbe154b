"""The paper exchange: a spot exchange of our own with Binance's manners, and markets to try it on."""
