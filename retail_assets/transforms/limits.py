"""What no line of a retailer exceeds. Beyond it a number is a typing error, and money would not fit its type."""

MAX_LINE_UNITS = 10_000
"""More than this on one line is a typing error."""

MAX_STOCK_UNITS = 100 * MAX_LINE_UNITS
"""The same for one stock count or one movement of a product in a store."""

MAX_UNITS = 10**9
"""No pack, order or minimum holds as much."""

MAX_PRICE = 10**9
"""In any currency; the value of the largest line at this price still fits decimal(18, 4)."""

MAX_LINE_VALUE = MAX_LINE_UNITS * MAX_PRICE

MAX_VALUE = 9 * 10**13
"""Money beyond this fits no decimal(18, 4)."""
