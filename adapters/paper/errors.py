"""How the paper exchange refuses: Binance's codes and texts, as data."""

from __future__ import annotations

from typing import NoReturn


class ExchangeError(Exception):
    """The exchange refuses a request; nothing of it was done (protocol §5.9, §11).

    `code` and `message` are Binance's, `http_status` what REST would answer with, `until` the moment
    (microseconds since 1970, exchange clock) before which asking again is in vain, where one is known.
    """

    def __init__(self, code: int, message: str, http_status: int = 400, until: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.http_status, self.until = code, message, http_status, until


INSUFFICIENT_BALANCE = (-2010, "Account has insufficient balance for requested action.")
DUPLICATE_ORDER = (-2010, "Duplicate order sent.")
MARKET_CLOSED = (-2010, "Market is closed.")
WOULD_TAKE = (-2010, "Order would immediately match and take.")
WOULD_TRIGGER = (-2010, "Stop price would trigger immediately.")
THIN_BOOK = (-2010, "Order book liquidity is less than `LOT_SIZE` filter minimum quantity.")
EMPTY_BOOK = (-2010, "Order book liquidity is less than symbol minimum quantity.")
UNSUPPORTED_COMBINATION = (-2010, "Unsupported order combination")
UNKNOWN_ORDER = (-2011, "Unknown order sent.")
CANCEL_RESTRICTED = (-2011, "Order was not canceled due to cancel restrictions.")
AMEND_UNKNOWN = (-2038, "Unknown order sent.")
AMEND_LARGER = (-2038, "Order amend (quantity increase) is not supported.")
AMEND_NOTHING = (-2038, "The requested action would change no state; rejecting.")
AMEND_TOO_OFTEN = (-2038, "Filter failure: MAX_NUM_ORDER_AMENDS")
NO_SUCH_ORDER = (-2013, "Order does not exist.")
ID_MISMATCH = (-2039, "Client order ID is not correct for this order ID.")
INVALID_SYMBOL = (-1121, "Invalid symbol.")
INVALID_SIDE = (-1117, "Invalid side.")
INVALID_TYPE = (-1116, "Invalid orderType.")
INVALID_TIME_IN_FORCE = (-1115, "Invalid timeInForce.")
INVALID_QUANTITY = (-1013, "Invalid quantity.")
INVALID_PRICE = (-1013, "Invalid price.")
TOO_OLD = (-1021, "Timestamp for this request is outside of the recvWindow.")
TOO_EARLY = (-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
WINDOW_TOO_LARGE = (-1131, "recvWindow must be less than 60000.")
BAD_STRATEGY_TYPE = (-1134, "`strategyType` was less than 1000000.")
BAD_RESTRICTION = (-1145, "`cancelRestrictions` has to be either `ONLY_NEW` or `ONLY_PARTIALLY_FILLED`.")
BAD_COMBINATION = (-1128, "Combination of optional parameters invalid.")
TOO_LONG_SPAN = (-1127, "More than 24 hours between startTime and endTime.")


def refuse(reason: tuple[int, str], http_status: int = 400) -> NoReturn:
    """Raise one of the reasons above as an `ExchangeError`."""
    raise ExchangeError(*reason, http_status)


def filter_failure(name: str) -> ExchangeError:
    """Say which filter an order fails, in Binance's words (protocol §9)."""
    return ExchangeError(-1013, f"Filter failure: {name}")


def missing(name: str) -> ExchangeError:
    """Say that a mandatory parameter is missing or malformed."""
    return ExchangeError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def both_missing(one: str, other: str) -> ExchangeError:
    """Say that neither of two parameters was sent, one of which must be."""
    return ExchangeError(-1102, f"Param '{one}' or '{other}' must be sent, but both were empty/null!")


def too_many(most: int, sent: int) -> ExchangeError:
    """Say that more parameters were sent than an endpoint has."""
    return ExchangeError(-1101, f"Too many parameters; expected '{most}' and received '{sent}'.")


def unread(read: int, sent: int) -> ExchangeError:
    """Say that some of the parameters that were sent are none of this endpoint's."""
    return ExchangeError(-1104, f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'.")


def not_required(name: str) -> ExchangeError:
    """Say that a parameter was sent where there must be none."""
    return ExchangeError(-1106, f"Parameter '{name}' sent when not required.")


def illegal(name: str, pattern: str) -> ExchangeError:
    """Say that a parameter has characters that it must not have."""
    return ExchangeError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'.")


def too_precise(name: str) -> ExchangeError:
    """Say that a parameter has more decimals than its asset."""
    return ExchangeError(-1111, f"Parameter '{name}' has too much precision.")


def not_supported(kind: str) -> ExchangeError:
    """Say that a symbol does not have this kind of orders."""
    return ExchangeError(-2010, f"{kind} orders are not supported for this symbol.")
