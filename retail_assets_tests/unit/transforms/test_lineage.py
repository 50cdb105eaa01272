"""Columns followed through expressions to the tables they come from."""

import ibis
import numpy as np
import pandas as pd
import pytest

from retail_assets.tables import bronze, gold, silver
from retail_assets.tables.catalog import BY_PATH
from retail_assets.tables.contract import Table
from retail_assets.transforms import demand
from retail_assets.transforms import gold as to_gold
from retail_assets.transforms import silver as to_silver
from retail_assets.transforms.lineage import ColumnSources, Source, column_sources, followed, own_columns
from retail_assets.windows import Window

DAY = pd.Timestamp(2025, 3, 1)


def _rows(table: Table) -> ibis.Table:
    """A table of the catalogue without a database, named by its path."""
    return ibis.table(ibis.schema(table.schema), name=table.path)


def _known(name: str) -> ColumnSources:
    return own_columns(BY_PATH[name]) if name in BY_PATH else {}


def _sources(rows: ibis.Table) -> dict[str, set[str]]:
    found = column_sources(rows, _known)
    return {name: {f"{source.path}.{source.column}" for source in sources} for name, sources in found.items()}


def _of_sales(*names: str) -> set[str]:
    return {f"silver/sales.{name}" for name in names}


def test_the_money_of_the_fact_comes_from_units_price_and_discount_and_nothing_else() -> None:
    found = _sources(to_gold.fact_sales(_rows(silver.SALES)))
    assert found["net_value"] == _of_sales("quantity", "unit_price", "discount_value")
    assert found["gross_value"] == _of_sales("quantity", "unit_price")
    assert found["is_return"] == _of_sales("quantity")
    assert found["store_id"] == _of_sales("store_id")
    assert set(found) == set(gold.FACT_SALES.column_names)


def test_an_id_that_takes_the_spelling_of_a_list_comes_from_both() -> None:
    validated = to_silver.validated_sales(
        _rows(bronze.SALES), stores=_rows(silver.STORES), products=_rows(silver.PRODUCTS)
    )
    found = _sources(to_silver.sales(validated))
    assert found["store_id"] == {"bronze/sales.store_id", "silver/stores.store_id"}
    assert found["quantity"] == {"bronze/sales.quantity"}


def test_a_renamed_and_an_added_column_follow_by_themselves() -> None:
    fact = to_gold.fact_sales(_rows(silver.SALES))
    changed = fact.rename(revenue="net_value").mutate(unit_revenue=lambda t: t.revenue / t.quantity)
    found = _sources(changed)
    assert found["revenue"] == _of_sales("quantity", "unit_price", "discount_value") == found["unit_revenue"]
    assert "net_value" not in found


def test_what_only_picks_rows_is_no_source() -> None:
    sales, stores = _rows(silver.SALES), _rows(silver.STORES)
    joined = sales.filter(sales.unit_price > 0).join(stores, "store_id").group_by("region")
    found = _sources(joined.aggregate(units=ibis._.quantity.sum(), lines=ibis._.count()))
    assert found == {"region": {"silver/stores.region"}, "units": _of_sales("quantity"), "lines": set()}


def test_unions_windows_and_subqueries_are_followed() -> None:
    sales, stores = _rows(silver.SALES), _rows(silver.STORES)
    both = sales.select(name="product_id").union(stores.select(name="store_name"))
    assert _sources(both) == {"name": {"silver/sales.product_id", "silver/stores.store_name"}}
    previous = sales.quantity.lag().over(ibis.window(group_by="store_id", order_by="business_date"))
    assert _sources(sales.select(previous=previous))["previous"] == _of_sales("quantity", "store_id", "business_date")
    most = sales.select(share=sales.quantity / stores.trading_hours.max().as_scalar())
    assert _sources(most)["share"] == {*_of_sales("quantity"), "silver/stores.trading_hours"}


def test_constants_and_tables_of_python_have_no_sources() -> None:
    made = ibis.memtable({"product_id": ["P1"], "weight": [2.0]})
    joined = _rows(silver.SALES).join(made, "product_id").select("weight", currency=ibis.literal("EUR"))
    assert _sources(joined) == {"weight": set(), "currency": set()}


def test_a_python_function_is_followed_by_what_it_says_it_reads() -> None:
    given = {"a": frozenset([Source("silver/sales", "quantity")])}
    assert followed({"x": ("a", "unknown"), "y": ()}, given) == {"x": given["a"], "y": frozenset()}


_SERIES = ["store_id", "product_id"]
DAYS = demand.LOOKBACK_DAYS + 14


def _observed(rng: np.random.Generator) -> pd.DataFrame:
    """Dense rows of six series in three stores, some of their days sold out, some closed."""
    size = 6 * DAYS
    series, day = np.divmod(np.arange(size), DAYS)
    stock = rng.choice([0.0, 0.0, -9.0, 9.0, np.nan], size)
    return pd.DataFrame(
        {
            "business_date": DAY + pd.to_timedelta(day, "D"),
            "store_id": [f"S{n % 3}" for n in series],
            "product_id": [f"P{n // 3}" for n in series],
            "sold_units": rng.poisson(0.7, size).astype(float),
            "returned_units": rng.random(size),
            "net_value": rng.random(size),
            "unit_price": np.where(rng.random(size) > 0.5, rng.random(size), np.nan),
            "line_price": np.where(rng.random(size) > 0.99, rng.random(size), np.nan),
            "price_source": rng.choice(["prices", "list_price"], size),
            "discount_rate": rng.choice([0.0, 0.3], size),
            "is_promoted": rng.random(size) > 0.5,
            "is_open": rng.random(size) > 0.3,
            "is_feed_missing": rng.random(size) > 0.5,
            "on_hand_units": stock,
            "stock_out_hours": np.where(stock == 0, rng.choice([2.0, 5.0, np.nan], size), 0.0),
            "unit_step": 1.0,
            "trading_hours": 12.0,
        }
    )


def _changed(rows: pd.DataFrame, column: str, rng: np.random.Generator) -> pd.DataFrame:
    values = rows[column]
    if values.dtype == bool:
        return rows.assign(**{column: rng.permutation(values.to_numpy())})
    if column in ("unit_step", "trading_hours"):  # of a product and of a store
        return rows.assign(**{column: values / 2})
    if column == "discount_rate":
        return rows.assign(**{column: rng.choice([0.0, 0.5], len(rows))})
    changed = rng.permutation(values.to_numpy())
    return rows.assign(**{column: changed + 1 if column == "sold_units" else changed})


@pytest.mark.parametrize("column", list(_observed(np.random.default_rng(0)).columns.drop(["business_date", *_SERIES])))
def test_the_estimate_of_demand_reads_what_it_says_and_nothing_else(column: str) -> None:
    """Only the columns that are said to come from one change with it; each of them does in one of the examples."""
    window = Window((DAY + pd.Timedelta(days=demand.LOOKBACK_DAYS)).date(), (DAY + pd.Timedelta(days=DAYS - 1)).date())
    found: set[str] = set()
    for seed in range(3):
        rng = np.random.default_rng(seed)
        rows = _observed(rng)
        before, after = (demand.unconstrained(frame, window) for frame in (rows, _changed(rows, column, rng)))
        found |= {name for name in before if not before[name].equals(after[name])}
    assert found == {name for name, read in demand.COMPUTED_FROM.items() if column in read}
