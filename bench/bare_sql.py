"""The transforms as a person would write them in DuckDB's SQL: what Ibis expressions are measured against.

Each query reads the views of `VIEWS` and gives the columns of the transform it stands for, in the same types.
"""

from retail_assets.tables import gold, silver
from retail_assets.tables.silver import EVERY
from retail_assets.transforms.limits import MAX_LINE_UNITS, MAX_LINE_VALUE, MAX_PRICE
from retail_assets.windows import Window

VIEWS = {
    "bare_sales": silver.SALES,
    "bare_inventory": gold.FACT_INVENTORY,
    "bare_stores": silver.STORES,
    "bare_products": silver.PRODUCTS,
    "bare_assortment": silver.ASSORTMENT,
    "bare_prices": silver.PRICES,
    "bare_promotions": silver.PROMOTIONS,
    "bare_events": silver.EVENTS,
}

FACT_SALES = """
    SELECT sale_line_id, sale_id, business_date, store_id, product_id, customer_id, quantity, unit_price,
           (quantity * unit_price)::DECIMAL(18, 4) AS gross_value,
           coalesce(discount_value, 0)::DECIMAL(18, 4) AS discount_value,
           ((quantity * unit_price)::DECIMAL(18, 4) - coalesce(discount_value, 0))::DECIMAL(18, 4) AS net_value,
           quantity < 0 AS is_return, extracted_at
    FROM bare_sales"""

SALES_SUMMARY = f"""
    SELECT business_date, store_id, coalesce(department, 'unknown') AS department,
           count(*) AS line_count, count(DISTINCT sale_id) AS basket_count,
           coalesce(sum(quantity::DOUBLE) FILTER (NOT is_return), 0) AS sold_units,
           coalesce(-sum(quantity::DOUBLE) FILTER (is_return), 0) AS returned_units,
           sum(gross_value)::DECIMAL(18, 4) AS gross_value,
           sum(discount_value)::DECIMAL(18, 4) AS discount_value,
           sum(net_value)::DECIMAL(18, 4) AS net_value
    FROM ({FACT_SALES}) LEFT JOIN bare_products USING (product_id)
    GROUP BY ALL"""

_CONTENT = "sale_id, store_id, product_id, customer_id, quantity, unit_price, discount_value, currency"
_IDS = ("sale_line_id", "sale_id", "store_id", "product_id", "customer_id")
_BLANKS = " \t\n\r\v\f"
_SOUND_RULES = f"""
    WHEN unparsed IS NOT NULL THEN 'wrong_type'
    WHEN sale_line_id IS NULL OR business_date IS NULL OR store_id IS NULL OR product_id IS NULL
        OR quantity IS NULL OR unit_price IS NULL THEN 'missing_value'
    WHEN NOT is_known_store THEN 'unknown_store'
    WHEN NOT is_known_product THEN 'unknown_product'
    WHEN unit_price < 0 THEN 'negative_price'
    WHEN quantity = 0 THEN 'zero_quantity'
    WHEN abs(quantity) > {MAX_LINE_UNITS} THEN 'absurd_quantity'
    WHEN unit_price > {MAX_PRICE} OR abs(discount_value) > {MAX_LINE_VALUE} THEN 'absurd_money'"""


def _spellings(table: str, column: str) -> str:
    """CTEs of what a table knows: ids as they are written, and those that no other one resembles by upper case."""
    return f"""
    exact_{table} AS (SELECT DISTINCT {column} AS id FROM bare_{table}),
    alike_{table} AS (
        SELECT upper(id) AS folded_id, min(id) AS id FROM exact_{table} GROUP BY folded_id HAVING count(*) = 1
    )"""


def _known(table: str, column: str) -> str:
    """The joins of `_spellings` to `n`; only what is not known as written is looked up by upper case."""
    return f"""
        LEFT JOIN exact_{table} ON n.{column} = exact_{table}.id
        LEFT JOIN alike_{table}
            ON CASE WHEN exact_{table}.id IS NULL THEN upper(n.{column}) END = alike_{table}.folded_id"""


JUDGED_SALES = f"""
    WITH normal AS (
        SELECT * REPLACE (
                   {", ".join(f"nullif(trim({name}, '{_BLANKS}'), '') AS {name}" for name in _IDS)},
                   nullif(upper(trim(currency, '{_BLANKS}')), '') AS currency
               ), NULL AS unparsed
        FROM bare_sales
    ),
    {_spellings("stores", "store_id")},
    {_spellings("products", "product_id")},
    known AS (
        SELECT n.* REPLACE (
                   coalesce(exact_stores.id, alike_stores.id, n.store_id) AS store_id,
                   coalesce(exact_products.id, alike_products.id, n.product_id) AS product_id
               ),
               coalesce(exact_stores.id, alike_stores.id) IS NOT NULL AS is_known_store,
               coalesce(exact_products.id, alike_products.id) IS NOT NULL AS is_known_product
        FROM normal n
        {_known("stores", "store_id")}
        {_known("products", "product_id")}
    ),
    first_verdict AS (SELECT *, CASE {_SOUND_RULES} END AS verdict FROM known),
    ranked AS (
        SELECT *, row_number() OVER newest AS position, first_value(row({_CONTENT})) OVER newest AS kept
        FROM first_verdict
        WINDOW newest AS (
            PARTITION BY business_date, sale_line_id, verdict IS NULL
            ORDER BY modified_at DESC NULLS LAST, extracted_at DESC, {_CONTENT}
        )
    )
    SELECT sale_line_id, sale_id, business_date, store_id, product_id, customer_id, quantity, unit_price,
           discount_value, currency, modified_at, extracted_at,
           CASE WHEN verdict IS NOT NULL THEN verdict
                WHEN position > 1 AND row({_CONTENT}) IS NOT DISTINCT FROM kept THEN 'duplicate'
                WHEN position > 1 THEN 'superseded' END AS broken_rule
    FROM ranked"""


FAULTY_SALES = f"""
    WITH numbered AS (
        SELECT *, row_number() OVER (ORDER BY business_date, sale_line_id) % 20 AS n
        FROM (SELECT * FROM bare_sales ORDER BY business_date, sale_line_id LIMIT 20_000)
    )
    SELECT * EXCLUDE (n) REPLACE (
        CASE n WHEN 1 THEN 'again' ELSE sale_line_id END AS sale_line_id,
        CASE n WHEN 2 THEN lower(store_id) WHEN 3 THEN '?' ELSE store_id END AS store_id,
        CASE n WHEN 4 THEN lower(product_id) WHEN 5 THEN chr(9) || product_id || ' ' WHEN 6 THEN ' ' WHEN 7 THEN '?'
               ELSE product_id END AS product_id,
        CASE n WHEN 8 THEN 0 WHEN 9 THEN {2 * MAX_LINE_UNITS} ELSE quantity END AS quantity,
        CASE n WHEN 10 THEN {2 * MAX_PRICE} WHEN 11 THEN -1 ELSE unit_price END AS unit_price,
        CASE n WHEN 12 THEN {2 * MAX_LINE_VALUE} ELSE discount_value END AS discount_value,
        CASE n WHEN 13 THEN ' eur ' ELSE currency END AS currency
    )
    FROM numbered
    UNION ALL SELECT * EXCLUDE (n) FROM numbered WHERE n IN (14, 15)"""
"""Twenty thousand sale lines, most of which break a rule or spell an id in another way."""


_OBSERVED = f"""\
    closed AS (
        SELECT DISTINCT event_date AS business_date, store_id
        FROM bare_events e JOIN bare_stores s ON e.region = '{EVERY}' OR e.region = s.region
        WHERE event_type = 'closed'
    ),
    carried AS (
        SELECT DISTINCT business_date, store_id, product_id
        FROM days JOIN spans ON business_date BETWEEN first AND last
    ),
    sold AS (
        SELECT business_date, store_id, product_id,
               sum(CASE WHEN quantity > 0 THEN quantity::DOUBLE ELSE 0 END) AS sold_units,
               sum(CASE WHEN quantity < 0 THEN -quantity::DOUBLE ELSE 0 END) AS returned_units,
               sum(((quantity * unit_price)::DECIMAL(18, 4) - coalesce(discount_value, 0))::DECIMAL(18, 4)) AS net_value
        FROM bare_sales GROUP BY ALL
    ),
    asked AS (
        SELECT business_date, store_id, product_id, median(unit_price::DOUBLE) AS line_price
        FROM bare_sales ANTI JOIN (SELECT product_id FROM bare_products WHERE list_price IS NOT NULL) USING (product_id)
        WHERE quantity > 0 AND unit_price > 0 GROUP BY ALL
    ),
    fed AS (SELECT DISTINCT business_date, store_id, true AS is_fed FROM sold),
    spine AS (
        SELECT business_date, store_id, product_id, sold_units, returned_units, net_value,
               carried.store_id IS NULL OR closed.store_id IS NULL AS is_open
        FROM carried
        FULL JOIN sold USING (business_date, store_id, product_id)
        LEFT JOIN closed USING (business_date, store_id)
    ),
    every_price AS (SELECT * FROM bare_prices WHERE store_id = '{EVERY}'),
    discounts AS (
        SELECT business_date, store_id, product_id, max(coalesce(discount_rate, 0)) AS rate
        FROM days JOIN bare_promotions ON business_date BETWEEN start_date AND end_date
        GROUP BY ALL
    ),
    joined AS (
        SELECT s.*, line_price, s.is_open AND is_fed IS NULL AS is_feed_missing, i.on_hand_units, i.stock_out_hours,
               coalesce(own.unit_price, ep.unit_price)::DOUBLE AS planned_price, list_price::DOUBLE AS list_price,
               coalesce(d.rate, de.rate) AS rate, unit_step, trading_hours
        FROM spine s
        LEFT JOIN asked USING (business_date, store_id, product_id)
        LEFT JOIN fed USING (business_date, store_id)
        LEFT JOIN bare_inventory i USING (business_date, store_id, product_id)
        LEFT JOIN bare_products USING (product_id)
        LEFT JOIN bare_stores USING (store_id)
        ASOF LEFT JOIN bare_prices own ON s.store_id = own.store_id AND s.product_id = own.product_id
            AND s.business_date >= own.valid_from
        ASOF LEFT JOIN every_price ep ON s.product_id = ep.product_id AND s.business_date >= ep.valid_from
        LEFT JOIN discounts d ON s.business_date = d.business_date AND s.store_id = d.store_id
            AND s.product_id = d.product_id
        LEFT JOIN discounts de ON de.store_id = '{EVERY}' AND s.business_date = de.business_date
            AND s.product_id = de.product_id
    )
    SELECT business_date, store_id, product_id, is_open, on_hand_units::DOUBLE AS on_hand_units, stock_out_hours,
           CASE WHEN NOT is_feed_missing THEN coalesce(sold_units, 0) END AS sold_units,
           CASE WHEN NOT is_feed_missing THEN coalesce(returned_units, 0) END AS returned_units,
           CASE WHEN NOT is_feed_missing THEN coalesce(net_value, 0)::DECIMAL(18, 4) END AS net_value,
           is_feed_missing, coalesce(planned_price, list_price) AS unit_price, line_price,
           CASE WHEN planned_price IS NOT NULL THEN 'prices' WHEN list_price IS NOT NULL THEN 'list_price' END
               AS price_source, coalesce(rate, 0.0) AS discount_rate,
           rate IS NOT NULL AS is_promoted, unit_step, trading_hours
    FROM joined"""
"""The steps after the days and the spans of the series, and what is selected of them."""


def observed_demand(window: Window) -> str:
    """Dense demand of the days with what was sold, left and asked; the window is the one looked at."""
    first, last = f"DATE '{window.first}'", f"DATE '{window.last}'"
    return f"""
    WITH days AS (
        SELECT unnest(generate_series({first}, {last}, INTERVAL 1 DAY))::DATE AS business_date
    ),
    spans AS (
        SELECT store_id, product_id,
               greatest(valid_from, coalesce(opened_date, {first}), coalesce(introduced_date, {first})) AS first,
               least(coalesce(valid_to, DATE '9999-12-31'), coalesce(closed_date, DATE '9999-12-31'),
                     coalesce(discontinued_date, DATE '9999-12-31')) AS last
        FROM bare_assortment JOIN bare_stores USING (store_id) JOIN bare_products USING (product_id)
    ),
{_OBSERVED}"""
