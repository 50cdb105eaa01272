"""Inventory: orders with reasons, health of the stock, transfers, and the replay that proves the policy."""

from retail_assets.tables.contract import (
    COUNT,
    DATE,
    DAYS,
    MONEY,
    NULLABLE,
    RATE,
    TEXT,
    UNITS,
    Column,
    Layout,
    Partitioning,
    Table,
    code,
    described,
)

_AS_OF = Column("as_of_date", DATE, "Closed day the plan knew.")
_SERIES = described(("store_id", TEXT, "Store."), ("product_id", TEXT, "Product."))


def _daily(name: str, meaning: str, key: tuple[str, ...], columns: tuple[Column, ...]) -> Table:
    return Table(
        layer="inventory",
        name=name,
        meaning=meaning,
        grain=", ".join(column.removesuffix("_id").replace("_", " ") for column in key),
        key=key,
        columns=columns,
        partition_column="as_of_date",
        partitioning=Partitioning.DAILY,
        layout=Layout.DAY,
        sort_by=key[1:],
        retention_days=90,
    )


REPLENISHMENT_PLAN = _daily(
    "replenishment_plan",
    "What to order, when, how much and why: a row for each product that needs an order or attention.",
    ("as_of_date", "store_id", "product_id"),
    (
        _AS_OF,
        *_SERIES,
        *described(
            ("supplier_id", TEXT, "Supplier; empty when the sourcing has none for the product."),
            (
                "proposal_id",
                TEXT,
                "Stable name of the proposal: uuid5 of store, product, supplier, order cycle; numbered when an earlier "
                "proposal of the cycle is approved.",
            ),
            ("order_date", DATE, "Day the order leaves."),
            ("expected_delivery_date", DATE, "Day it can be sold."),
            ("next_order_date", DATE, "Next chance to order."),
            ("next_delivery_date", DATE, "Arrival of that next chance."),
            ("lead_time_days", DAYS, "Promised days from order to delivery.", "days"),
            ("review_period_days", DAYS, "Days from this order to the next chance.", "days"),
            ("protection_days", DAYS, "Days of demand this order must cover, from as_of_date.", "days"),
        ),
        code("service_measure", "cycle or fill.", "cycle", "fill"),
        *described(
            ("service_level", RATE, "Nominal target before clamping.", "0–1"),
            ("target_service_rate", RATE, "Target used.", "0–1"),
            (
                "predicted_service_rate",
                RATE,
                "Service the ordered quantity gives, lost sales and waste included.",
                "0–1",
            ),
            (
                "expected_waste_units",
                UNITS,
                "Units expected to outlive their shelf life before the next delivery.",
                "units",
                NULLABLE,
            ),
            ("on_hand_units", UNITS, "Stock at closing.", "units"),
            ("on_order_units", UNITS, "Everything on order.", "units"),
            ("on_order_counted_units", UNITS, "On order that arrives before the next delivery.", "units"),
            ("on_order_late_units", UNITS, "On order and overdue.", "units"),
            ("on_order_beyond_units", UNITS, "On order that arrives later.", "units"),
            ("inventory_position_units", UNITS, "On hand plus counted on order.", "units"),
            ("demand_mean_units", UNITS, "Expected demand over the protection days.", "units"),
            ("reorder_point_units", UNITS, "Order when the position is at or below this.", "units"),
            ("order_up_to_units", UNITS, "Position right after ordering.", "units"),
            ("safety_stock_units", UNITS, "Reorder point plus one step, less expected demand.", "units"),
            ("pack_units", UNITS, "Units in a pack.", "units"),
            ("qty_need_units", UNITS, "What is missing to exceed the reorder point.", "units"),
            ("qty_after_minimum_units", UNITS, "After the line minimum.", "units"),
            ("qty_after_pack_units", UNITS, "After rounding to packs.", "units"),
            ("qty_after_cap_units", UNITS, "After the shelf and shelf-life cap.", "units"),
            ("qty_after_supplier_minimum_units", UNITS, "After the supplier's order minimum.", "units"),
            ("qty_after_budget_units", UNITS, "After the budget of the order day.", "units", NULLABLE),
            ("order_units", UNITS, "Proposed order.", "units"),
            ("unit_cost", MONEY, "Cost of one unit.", "currency", NULLABLE),
            ("order_value", MONEY, "Order at cost.", "currency", NULLABLE),
            (
                "expected_shortage_units",
                UNITS,
                "Expected lost sales before the next delivery without the order.",
                "units",
            ),
            ("lost_margin_avoided_value", MONEY, "Margin the order saves.", "currency"),
            ("reason", TEXT, "Why this quantity."),
            ("exception", TEXT, "What needs a person: expedite, overdue order, missing data.", "", NULLABLE),
        ),
    ),
)
INVENTORY_HEALTH = _daily(
    "inventory_health",
    "State of every product in every store.",
    ("as_of_date", "store_id", "product_id"),
    (
        _AS_OF,
        *_SERIES,
        *described(
            ("on_hand_units", UNITS, "Stock at closing.", "units"),
            ("on_order_units", UNITS, "Everything on order.", "units"),
            ("stock_value", MONEY, "Stock at cost.", "currency", NULLABLE),
            ("mean_daily_units", UNITS, "Expected demand a day.", "units"),
            ("days_of_cover", UNITS, "Stock over daily demand; empty without demand.", "days", NULLABLE),
            ("stock_out_probability", RATE, "Probability to run out before the next possible delivery.", "0–1"),
            ("expected_lost_units", UNITS, "Expected lost sales until then.", "units"),
            ("expected_lost_value", MONEY, "Their sales value.", "currency"),
            ("excess_units", UNITS, "Stock above the 0.99 quantile of 28 days' demand.", "units"),
            ("excess_value", MONEY, "The same at cost.", "currency", NULLABLE),
            ("days_since_sale", DAYS, "Days since the last sale.", "days", NULLABLE),
        ),
        code(
            "status",
            "out_of_stock, at_risk, healthy, excess, dead or phantom_suspected.",
            *("out_of_stock", "at_risk", "healthy", "excess", "dead", "phantom_suspected"),
        ),
    ),
)
TRANSFER_PROPOSALS = _daily(
    "transfer_proposals",
    "Moves of excess stock to stores about to run out, when they pay.",
    ("as_of_date", "product_id", "from_store_id", "to_store_id"),
    (
        _AS_OF,
        *described(
            ("product_id", TEXT, "Product."),
            ("from_store_id", TEXT, "Giving store."),
            ("to_store_id", TEXT, "Receiving store."),
            ("transfer_units", UNITS, "Units to move.", "units"),
            ("lost_margin_avoided_value", MONEY, "Margin saved at the receiving store.", "currency"),
            ("transfer_cost_value", MONEY, "Cost of moving.", "currency"),
            ("net_benefit_value", MONEY, "Saved less cost.", "currency"),
            ("reason", TEXT, "Why."),
        ),
    ),
)
POLICY_REPLAY = Table(
    layer="inventory",
    name="policy_replay",
    meaning="Past weeks replayed in one simulator under each policy: service predicted and achieved, stock and cost.",
    grain="policy, target and class",
    key=("policy", "target_service_rate", "abc_class"),
    columns=described(
        ("policy", TEXT, "forecast, days_of_cover, min_max or history."),
        ("target_service_rate", RATE, "Nominal target.", "0–1"),
        ("abc_class", TEXT, "ABC class, or all."),
        ("from_date", DATE, "First day scored."),
        ("to_date", DATE, "Last day scored."),
        ("series_count", COUNT, "Series replayed."),
        ("cycle_count", COUNT, "Order cycles scored."),
        (
            "predicted_service_rate",
            RATE,
            "Mean predicted cycle service, lost sales and waste included.",
            "0–1",
            NULLABLE,
        ),
        ("achieved_cycle_rate", RATE, "Cycles without unmet demand.", "0–1"),
        ("achieved_fill_rate", RATE, "Demand served from stock.", "0–1"),
        ("mean_stock_units", UNITS, "Mean closing stock.", "units"),
        ("mean_stock_value", MONEY, "The same at cost.", "currency"),
        ("lost_units", UNITS, "Unmet demand.", "units"),
        ("lost_margin_value", MONEY, "Its margin.", "currency"),
        ("wasted_units", UNITS, "Units that outlived their shelf life.", "units", NULLABLE),
        ("wasted_value", MONEY, "The same at cost.", "currency", NULLABLE),
        ("order_count", COUNT, "Order lines."),
        ("holding_cost_value", MONEY, "Cost of holding the stock.", "currency"),
        ("ordering_cost_value", MONEY, "Cost of the order lines.", "currency", NULLABLE),
        ("total_cost_value", MONEY, "Holding, ordering, waste and lost margin.", "currency"),
        ("assumptions", TEXT, "What was assumed, such as lead times; empty when all was known.", "", NULLABLE),
    ),
    sort_by=("policy", "target_service_rate", "abc_class"),
)
TABLES = (REPLENISHMENT_PLAN, INVENTORY_HEALTH, TRANSFER_PROPOSALS, POLICY_REPLAY)
