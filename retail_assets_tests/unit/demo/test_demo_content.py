"""What the demo retailer does, judged from its database alone: stock, demand, orders, plans and known faults."""

import sqlite3
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retail_assets.demo.retailer import write_days
from retail_assets.demo.world import DemoSize
from retail_assets.sources.mapping import load_mapping
from retail_assets.tables.entities import SOURCE_ENTITIES, Entity

START, THROUGH = date(2025, 10, 20), date(2026, 1, 4)
SIZE = DemoSize(stores=4, products=48, customers=120, opening_after_days=25)
KEY = ["business_date", "store_id", "product_id"]
Frame = Any  # the annotations of pandas lose track of a frame at its first boolean index


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "source.db"
    write_days(f"sqlite:///{path}", start=START, through=THROUGH, size=SIZE)
    return path


@pytest.fixture(scope="module")
def tables(path: Path) -> dict[str, Frame]:
    with sqlite3.connect(path) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: pd.read_sql_query(f"SELECT * FROM {name}", connection) for name in names}


@pytest.fixture(scope="module")
def truth(tables: dict[str, Frame]) -> Frame:
    frame = tables["true_demand"].merge(tables["stock_closing"], on=KEY, validate="one_to_one")
    assert len(frame) == len(tables["true_demand"]) == len(tables["stock_closing"])
    frame["sold_units"] = frame.demanded_units - frame.lost_units
    return frame


def _promoted(tables: dict[str, Frame], truth: Frame) -> Frame:
    """Discount rate of each row of the truth, 0 without a promotion."""
    items = tables["promotion_item"].merge(tables["promotion"], on="promotion_id")
    joined = truth.reset_index().merge(items, on="product_id", suffixes=("", "_item"))
    here = joined.store_id_item.isna() | (joined.store_id_item == joined.store_id)
    running = joined.business_date.between(joined.start_date, joined.end_date)
    rates = joined[here & running].groupby("index").discount_rate.agg(["max", "count"])
    assert (rates["count"] == 1).all(), "two promotions of one product at once"
    return rates["max"].reindex(truth.index, fill_value=0.0)


def test_stock_is_conserved_every_day(tables: dict[str, Frame], truth: Frame) -> None:
    orders = tables["purchase_order_line"].merge(tables["purchase_order"], on="purchase_order_id")
    received = orders.groupby(["received_date", "store_id", "product_id"]).received_units.sum()
    frame = truth.sort_values(["store_id", "product_id", "business_date"])
    frame["received"] = received.reindex(pd.MultiIndex.from_frame(frame[KEY])).fillna(0).to_numpy()
    frame["opening"] = frame.groupby(["store_id", "product_id"]).on_hand_units.shift(1)
    first_dates = frame.groupby(["store_id", "product_id"]).business_date.transform("min")
    launched = (frame.business_date == first_dates) & (frame.business_date > START.isoformat())
    frame.loc[launched, "opening"] = 0
    known = frame.dropna(subset="opening")
    assert launched.sum() > 40 and len(known) > 10_000
    closing = known.opening + known.received - known.sold_units + known.returned_units
    assert (closing == known.on_hand_units).all()
    assert known.received.sum() == received[received.index.get_level_values(0) > START.isoformat()].sum()


def test_movements_sales_and_returns_explain_every_change_of_the_stock(tables: dict[str, Frame], truth: Frame) -> None:
    moves = tables["stock_movement"]
    counts = moves.movement_type.value_counts()
    assert set(counts.index) == {"receipt", "waste", "count"} and counts.min() > 2
    assert moves.movement_id.is_unique and (moves[moves.movement_type == "receipt"].quantity > 0).all()
    received = tables["purchase_order_line"].received_units.sum()
    assert moves[moves.movement_type == "receipt"].quantity.sum() == received
    days = pd.date_range(START, THROUGH).strftime("%Y-%m-%d")
    moved = moves.groupby(KEY).quantity.sum()
    change = truth.set_index(KEY)
    change = (change.returned_units - change.sold_units).add(moved, fill_value=0).unstack(0).reindex(columns=days)
    stock = truth.set_index(KEY).on_hand_units.unstack(0).reindex(columns=days).fillna(0)
    differing = stock.diff(axis=1).iloc[:, 1:] != change.reindex(stock.index).fillna(0).iloc[:, 1:]
    assert len(stock) > 100 and not differing.to_numpy().any()


def test_a_series_has_a_row_every_day_it_is_carried(tables: dict[str, Frame], truth: Frame) -> None:
    carried = tables["store_assortment"]
    first = carried.valid_from.clip(lower=START.isoformat())
    last = carried.valid_to.fillna(THROUGH.isoformat()).clip(upper=THROUGH.isoformat())
    days = (pd.to_datetime(last) - pd.to_datetime(first)).dt.days + 1
    assert days.clip(lower=0).sum() == len(truth)
    assert not truth.duplicated(KEY).any()


def test_stock_runs_out_now_and_then_and_sales_are_lost(truth: Frame) -> None:
    assert 0.03 < (truth.stock_out_hours > 0).mean() < 0.07
    assert 0.01 < (truth.lost_units > 0).mean() < 0.06
    assert 0 < (truth.on_hand_units < 0).mean() < 0.003
    lost = truth[truth.lost_units > 0]
    assert (lost.on_hand_units - lost.returned_units <= 0).all() and (lost.stock_out_hours > 0).all()
    assert truth.stock_out_hours.between(0, 14).all()


def test_demand_scatters_around_its_mean_like_a_negative_binomial(truth: Frame) -> None:
    total, expected = truth.demanded_units.sum(), truth.expected_units.sum()
    assert abs(total - expected) < 4 * np.sqrt(expected * 3)
    busy = truth[truth.expected_units > 3]
    poisson_ratio = ((busy.demanded_units - busy.expected_units) ** 2 / busy.expected_units).mean()
    assert 1.4 < poisson_ratio < 5
    by_day = truth.groupby("business_date")[["demanded_units", "expected_units"]].sum()
    assert np.corrcoef(by_day.demanded_units, by_day.expected_units)[0, 1] > 0.9


def test_the_week_december_and_closed_days_show(truth: Frame) -> None:
    established = truth[(truth.business_date < "2025-12-01") & truth.store_id.isin(["S001", "S002"])]
    weekday = pd.to_datetime(established.business_date).dt.dayofweek
    by_weekday = established.groupby(weekday).demanded_units.mean()
    assert by_weekday[5] > 1.3 * by_weekday[0] and by_weekday[5] == by_weekday.max()
    daily = truth.groupby("business_date").demanded_units.sum()
    before_christmas = daily["2025-12-17":"2025-12-23"].mean()
    assert before_christmas > 1.2 * daily["2025-11-26":"2025-12-02"].mean()
    assert daily["2025-12-25"] == 0 and daily.drop("2025-12-25").min() > 0


def test_promotions_lift_demand(tables: dict[str, Frame], truth: Frame) -> None:
    rates = _promoted(tables, truth)
    series = [truth.store_id, truth.product_id]
    usual = truth.demanded_units.where(rates == 0).groupby(series).transform("mean")
    both = (usual > 0.5) & (rates > 0)
    deep = both & (rates >= 0.2)
    assert 0.03 < both.mean() < 0.2
    assert 1.3 < truth.demanded_units[both].sum() / usual[both].sum() < 3.5
    shallow = both & (rates < 0.2)
    lift = [truth.demanded_units[some].sum() / usual[some].sum() for some in (shallow, deep)]
    assert lift[0] < lift[1]


def test_volumes_are_skewed_and_a_quarter_of_the_series_is_intermittent(truth: Frame) -> None:
    by_series = truth.groupby(["store_id", "product_id"]).demanded_units
    mean, idle = by_series.mean(), by_series.agg(lambda units: (units == 0).mean())
    assert 0.18 < (idle > 0.7).mean() < 0.33
    assert mean.max() > 8 and mean.mean() > 1.3 * mean.median()


def test_sales_are_lines_in_baskets_of_one_store_day_and_customer(tables: dict[str, Frame]) -> None:
    lines = tables["pos_sale_line"]
    clean = lines[~lines.line_id.isin(tables["injected_fault"].line_id)]
    baskets = clean.groupby("sale_id")
    assert (baskets[["store_id", "business_date"]].nunique() == 1).all(axis=None)
    assert (baskets.customer_id.nunique(dropna=False) == 1).all()
    assert 2 < baskets.size().mean() < 4
    assert 0.3 < clean.customer_id.notna().mean() < 0.5
    assert clean.customer_id.dropna().isin(tables["customer"].customer_id).all()
    assert 0.005 < (clean.quantity.astype(int) < 0).mean() < 0.02


def test_every_clean_line_is_plainly_clean(tables: dict[str, Frame]) -> None:
    lines = tables["pos_sale_line"]
    clean = lines[~lines.line_id.isin(tables["injected_fault"].line_id)]
    quantity, price = clean.quantity.astype(int), clean.unit_price.astype(float)
    assert quantity.abs().between(1, 50).all() and price.between(0.2, 50).all()
    assert clean.store_id.isin(tables["store"].store_id).all()
    assert clean.product_id.isin(tables["product"].product_id).all()
    assert (clean.revision == 1).all() and not clean.line_id.duplicated().any()
    assert (clean.modified_at.str[:10] == clean.business_date).all()


def test_prices_and_discounts_of_clean_lines_follow_the_lists(tables: dict[str, Frame]) -> None:
    lines = tables["pos_sale_line"]
    clean = lines[~lines.line_id.isin(tables["injected_fault"].line_id)].reset_index(drop=True)
    prices = tables["price_list"].sort_values("valid_from")
    prices["valid_from"] = pd.to_datetime(prices.valid_from)
    asked = clean.assign(day=pd.to_datetime(clean.business_date)).sort_values("day")
    general = pd.merge_asof(
        asked, prices[prices.store_id.isna()], by="product_id", left_on="day", right_on="valid_from",
        suffixes=("", "_listed"),
    )  # fmt: skip
    asked = general.drop(columns=["valid_from", "price_id", "store_id_listed"])
    local = pd.merge_asof(
        asked, prices[prices.store_id.notna()], by=["product_id", "store_id"], left_on="day", right_on="valid_from",
        suffixes=("", "_local"),
    )  # fmt: skip
    expected = local.unit_price_local.fillna(local.unit_price_listed)
    assert np.allclose(local.unit_price.astype(float), expected)
    assert local.unit_price_local.notna().any()
    discount = _promoted(tables, local) * expected * local.quantity.astype(int)
    assert np.allclose(local.discount_value, discount, atol=0.0051)
    assert (local.discount_value > 0).mean() > 0.05


SIGNS = {
    "unknown_product": lambda row: row.product_id.startswith("X"),
    "unknown_store": lambda row: row.store_id.startswith("X"),
    "negative_price": lambda row: float(row.unit_price) < 0,
    "wrong_type": lambda row: row.quantity == "two" or row.unit_price == "n/a",
    "missing_quantity": lambda row: row.quantity is None,
    "zero_quantity": lambda row: row.quantity == "0",
    "absurd_quantity": lambda row: row.quantity == "1000000",
}


def test_every_class_of_fault_is_there_and_recorded_where_it_is(tables: dict[str, Frame]) -> None:
    faults, feed = tables["injected_fault"], tables["pos_sale_line"].set_index("feed_id")
    rates = faults.fault_class.value_counts() / len(feed)
    assert set(rates.index) == {*SIGNS, "duplicate", "late", "corrected", "missing_feed"}
    assert rates.drop("missing_feed").between(0.0002, 0.004).all()
    assert not faults.feed_id.dropna().duplicated().any()
    for fault_class, is_so in SIGNS.items():
        for fault in faults[faults.fault_class == fault_class].itertuples():
            assert is_so(feed.loc[fault.feed_id]), fault_class
            assert fault.arrival_date == fault.business_date


def test_a_duplicate_repeats_its_line_exactly(tables: dict[str, Frame]) -> None:
    faults, feed = tables["injected_fault"], tables["pos_sale_line"].set_index("feed_id")
    for fault in faults[faults.fault_class == "duplicate"].itertuples():
        twins = feed[feed.line_id == fault.line_id]
        assert len(twins) == 2 and fault.feed_id in twins.index
        assert twins.drop_duplicates().shape[0] == 1


def test_late_lines_and_corrections_come_one_to_three_days_later(tables: dict[str, Frame]) -> None:
    faults, feed = tables["injected_fault"], tables["pos_sale_line"].set_index("feed_id")
    waiting = faults[faults.fault_class.isin(["late", "corrected"])]
    waited = pd.to_datetime(waiting.arrival_date) - pd.to_datetime(waiting.business_date)
    assert set(waited.dt.days) == {1, 2, 3}
    arrived = waiting[waiting.arrival_date <= THROUGH.isoformat()]
    for fault in arrived.itertuples():
        rows = feed[feed.line_id == fault.line_id].sort_values("revision")
        assert rows.modified_at.iloc[-1][:10] == fault.arrival_date
        assert list(rows.revision) == ([1] if fault.fault_class == "late" else [1, 2])
        assert int(rows.quantity.iloc[-1]) == fault.true_quantity
        assert float(rows.unit_price.iloc[-1]) == fault.true_unit_price
        if fault.fault_class == "corrected":
            assert rows.index[0] == fault.feed_id
            assert tuple(rows.iloc[0][["quantity", "unit_price"]]) != tuple(rows.iloc[1][["quantity", "unit_price"]])


def test_a_late_line_is_not_in_the_feed_before_its_day(tables: dict[str, Frame], tmp_path: Path) -> None:
    faults = tables["injected_fault"]
    late = faults[(faults.fault_class == "late") & (faults.arrival_date > faults.business_date)].iloc[0]
    url = f"sqlite:///{tmp_path / 'early.db'}"
    arrival = date.fromisoformat(late.arrival_date)
    seen = []
    for through in (arrival - timedelta(days=1), arrival):
        write_days(url, start=START, through=through, size=SIZE)
        with sqlite3.connect(tmp_path / "early.db") as connection:
            for table in ("pos_sale_line", "till_queue"):
                query = f"SELECT COUNT(*) FROM {table} WHERE feed_id = ?"
                seen.append(connection.execute(query, [int(late.feed_id)]).fetchone()[0])
    assert seen == [0, 1, 1, 0]


def test_the_feed_without_its_faults_is_the_truth(tables: dict[str, Frame], truth: Frame) -> None:
    faults, feed = tables["injected_fault"], tables["pos_sale_line"]
    clean = feed[~feed.line_id.isin(faults.line_id)].assign(units=lambda frame: frame.quantity.astype(int))
    mended = faults.dropna(subset="line_id").rename(columns={"true_quantity": "units"})
    lines = pd.concat([clean[[*KEY, "units"]], mended[[*KEY, "units"]]])
    index = pd.MultiIndex.from_frame(truth[KEY])
    sold = lines[lines.units > 0].groupby(KEY).units.sum().reindex(index, fill_value=0).to_numpy()
    returned = -lines[lines.units < 0].groupby(KEY).units.sum().reindex(index, fill_value=0).to_numpy()
    silent = faults[faults.fault_class == "missing_feed"]
    is_silent = (truth.business_date + truth.store_id).isin(silent.business_date + silent.store_id)
    assert (sold[~is_silent] == truth.sold_units[~is_silent]).all()
    assert (returned[~is_silent] == truth.returned_units[~is_silent]).all()
    assert lines.units[lines.units > 0].sum() == truth.sold_units[~is_silent].sum()


def test_the_feed_of_a_store_is_missing_for_a_day_while_it_trades(tables: dict[str, Frame], truth: Frame) -> None:
    faults, feed = tables["injected_fault"], tables["pos_sale_line"]
    silent = faults[faults.fault_class == "missing_feed"]
    assert len(silent) == 1
    day, store = silent.business_date.iloc[0], silent.store_id.iloc[0]
    assert feed[(feed.business_date == day) & (feed.store_id == store)].empty
    assert truth[(truth.business_date == day) & (truth.store_id == store)].sold_units.sum() > 0
    covered = feed.groupby("business_date").store_id.nunique()
    assert covered[day] >= 2


def test_orders_keep_to_the_calendar_the_packs_and_the_lead_times(tables: dict[str, Frame]) -> None:
    orders = (
        tables["purchase_order_line"]
        .merge(tables["purchase_order"], on="purchase_order_id")
        .merge(tables["supplier"], on="supplier_id")
        .merge(tables["product_supplier"][["product_id", "supplier_id", "pack_units", "min_order_units"]],
               on=["product_id", "supplier_id"], validate="many_to_one")
    )  # fmt: skip
    assert len(orders) == len(tables["purchase_order_line"])
    assert (orders.ordered_units % orders.pack_units == 0).all() and (
        orders.ordered_units >= orders.min_order_units
    ).all()
    ordered, promised = pd.to_datetime(orders.ordered_date), pd.to_datetime(orders.promised_date)
    calendar = set(tables["supplier_order_day"].itertuples(index=False, name=None))
    assert set(zip(orders.supplier_id, ordered.dt.dayofweek + 1, strict=True)) <= calendar
    assert ((promised - ordered).dt.days >= orders.lead_time_days).all()
    assert ((promised - ordered).dt.days == orders.lead_time_days).mean() > 0.9
    assert "2025-12-25" not in {*orders.ordered_date, *orders.promised_date, *orders.received_date}
    late = (pd.to_datetime(orders.received_date) - promised).dt.days.dropna()
    assert late.between(0, 6).all() and 0.75 < (late == 0).mean() < 0.97 and late.max() >= 4
    open_lines = orders.received_date.isna() & orders.cancelled_date.isna()
    assert open_lines.any() and (orders.proposal_id.isna()).all()
    short = orders[orders.received_units < orders.ordered_units]
    assert len(short) and (short.cancelled_date == short.received_date).all()


def test_plans_are_entered_ahead_and_not_too_early(tables: dict[str, Frame]) -> None:
    for days_ahead, latest in (
        (28, tables["promotion"].start_date.max()),
        (28, tables["store_event"].event_date.max()),
    ):
        assert latest >= (THROUGH + timedelta(days=days_ahead)).isoformat()
    limit = (THROUGH + timedelta(days=42)).isoformat()
    assert tables["promotion"].start_date.max() <= limit
    assert THROUGH.isoformat() < tables["price_list"].valid_from.max() <= limit
    closed = tables["store_event"][tables["store_event"].event_type == "closed"]
    assert closed.event_date.tolist() == ["2025-12-25"]
    assert {"Christmas Day", "Boxing Day", "New Year's Day"} <= set(tables["store_event"].event_name)


def test_a_store_opens_and_products_come_and_go(tables: dict[str, Frame], truth: Frame) -> None:
    opened = tables["store"].set_index("store_id").opened_date["S004"]
    assert opened == (START + timedelta(days=25)).isoformat() == truth[truth.store_id == "S004"].business_date.min()
    products = tables["product"]
    new = products[products.introduced_date > START.isoformat()]
    ended = products[products.discontinued_date <= THROUGH.isoformat()]
    assert len(new) and len(ended)
    sold = truth.groupby("product_id").business_date.agg(["min", "max"])
    arrived = new[new.introduced_date <= THROUGH.isoformat()].set_index("product_id").introduced_date
    assert (sold["min"][arrived.index] == arrived).all()
    assert (sold["max"][ended.product_id].to_numpy() == ended.discontinued_date.to_numpy()).all()
    assorted = tables["store_assortment"].merge(ended, on="product_id")
    assert (assorted.valid_to == assorted.discontinued_date).all()
    per_store = tables["store_assortment"].groupby("store_id").product_id.nunique()
    assert per_store.min() < len(products)


LEFT_TO_THE_DEFAULT = {
    "stores": {"opening_weekdays", "trading_hours"},
    "sales": {"currency"},
    "supplier_calendar": {"location_id", "order_date", "delivery_days", "cutoff_time"},
    "sourcing": {"priority", "presentation_min_units", "valid_from", "valid_to"},
}
"""What this retailer does not keep."""


@pytest.mark.parametrize("entity", SOURCE_ENTITIES, ids=lambda entity: entity.name)
def test_the_mapping_delivers_the_columns_of_every_entity(path: Path, entity: Entity) -> None:
    binding = load_mapping("demo").entities[entity.name]
    window = {"start": "2025-12-01", "end": "2025-12-02"}
    with sqlite3.connect(path) as connection:
        frame = pd.read_sql_query(binding.query, connection, params=window if entity.is_daily else None)
        existing = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    kept = [name for name in entity.column_names if name not in LEFT_TO_THE_DEFAULT.get(entity.name, set())]
    wanted = {binding.source_column(column) for column in kept}
    assert set(frame.columns) == wanted and len(frame) > 0
    assert set(binding.source_tables) <= existing - {"true_demand", "injected_fault", "till_queue", "demo_setting"}
    if entity.is_daily:
        assert set(frame.business_date) == {"2025-12-01", "2025-12-02"}
        return
    key = [binding.source_column(column) for column in entity.key if column in kept]
    assert not frame.duplicated(key).any()
