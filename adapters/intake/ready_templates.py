"""The templates that come with the house, written as in `[templates]`; docs/intakes.md shows a body for each."""

from __future__ import annotations

from typing import Final

READY: Final = r"""
[tradingview]
# A strategy's alert: either TradingView's own sentence, or an object of its placeholders.
text = '''
.*?order (?P<action>buy|sell) @ (?P<contracts>[0-9.eE+-]+) filled on (?P<ticker>\S+)\. New strategy position is .*'''
ignore = ["interval", "close", "comment", "position_size", "prev_market_position"]
require = { "exchange?" = ["BINANCE"] }
spot = { "market_position?" = ["long", "flat"] }
[tradingview.fields]
symbol = "{ticker}"
side = "{action}"
quantity = "{contracts}"
price = "{price?}"
timestamp = "{timenow?}"
id = "{strategy?}/{ticker}/{order_id?}/{action}/{time?}"

[3commas]
# The signal bot's message, for strategies (buy, sell) and for its own kind of signal (enter_long, ...).
ignore = ["secret", "bot_uuid", "strategy_info.*"]
require = { "tv_exchange?" = ["BINANCE"] }
spot = { "strategy_info.market_position?" = ["long", "flat"] }
[3commas.fields]
symbol = "{tv_instrument}"
side = "{action}"
amount = "{order.amount}"
unit = "{order.currency_type}"
price = "{trigger_price?}"
timestamp = "{timestamp?}"
ttl_seconds = "{max_lag?}"
[3commas.words.side]
enter_long = "buy"
exit_long = "sell"
enter_short = "short"
exit_short = "short"

[tvhub]
ignore = ["token", "apiKey", "delay", "retries"]
spot = { exchange = ["binance"] }
[tvhub.require]
"isMarket?" = ["true", "false"]
"isLimit?" = ["true", "false"]
"isClose?" = ["false"]
"useFixedSize?" = ["true", "false"]
[tvhub.fields]
symbol = "{pair}"
side = ["{isBuy?}/{isSell?}", "{isBuy?}/", "/{isSell?}"]
amount = "{units?}"
unit = "{unitsType?}"
quote_quantity = "{fixedQuoteSize?}"
limit_price = "{price?}"
id = "{alertTimestamp?}"
[tvhub.defaults]
unit = "absolute"
[tvhub.words.side]
"true/" = "buy"
"true/false" = "buy"
"/true" = "sell"
"false/true" = "sell"
[tvhub.words.unit]
absolute = "base"

[hummingbot]
# TWAPExecutorConfig as JSON.
ignore = ["type", "controller_id", "limit_order_buffer", "order_resubmission_time"]
spot = { connector_name = ["binance"], "leverage?" = ["1"] }
[hummingbot.fields]
symbol = "{trading_pair}"
side = "{side}"
quote_quantity = "{total_amount_quote}"
id = "{id?}"
"twap.duration_seconds" = "{total_duration}"
"twap.interval_seconds" = "{order_interval}"
"twap.child" = "{mode?}"
[hummingbot.words.side]
1 = "buy"
2 = "sell"
[hummingbot.words."twap.child"]
taker = "market"
maker = "passive"

[freqtrade]
# The body of forceenter.
require = { "ordertype?" = ["market", "limit"], "order_type?" = ["market", "limit"] }
spot = { "leverage?" = ["1", "1.0"] }
[freqtrade.fields]
symbol = "{pair}"
side = "{side?}"
quote_quantity = ["{stakeamount?}", "{stake_amount}"]
limit_price = "{price?}"
tag = ["{entry_tag?}", "{enter_tag?}"]
[freqtrade.defaults]
side = "long"
[freqtrade.words.side]
long = "buy"
short = "short"
"""
