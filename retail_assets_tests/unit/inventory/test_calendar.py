"""Order opportunities against a walk through the days, horizons in use, and delays by hand."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_assets.failures import PermanentFailure
from retail_assets.inventory.delays import delivery_delays
from retail_assets.inventory.order_days import (
    are_order_days_known,
    horizons_in_use,
    order_opportunities,
    order_weekdays,
)
from retail_assets.settings import Settings
from retail_assets.windows import LONGEST_FORECAST_DAYS

DAY = timedelta(days=1)
MONDAY = date(2024, 1, 1)
NO_DELAY = pd.DataFrame(columns=["supplier_id", "delay_days", "probability"])


def calendar(**weekdays: list[int]) -> pd.DataFrame:
    rows = [(supplier, day) for supplier, days in weekdays.items() for day in days]
    return pd.DataFrame(rows, columns=["supplier_id", "order_weekday"])


def sourcing(**lead_times: int | None) -> pd.DataFrame:
    return pd.DataFrame({"supplier_id": list(lead_times), "lead_time_days": list(lead_times.values())})


def walked(as_of: date, weekdays: set[int]) -> tuple[date, date]:
    """The next two days after `as_of` on which an order can leave."""
    days = [as_of + DAY * k for k in range(1, 22)]
    first, second, *_ = [day for day in days if day.isoweekday() in weekdays or not weekdays]
    return first, second


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.sets(st.integers(1, 7)), st.integers(0, 30))
def test_the_next_two_chances_are_those_a_walk_finds(as_of, weekdays, lead):
    chance = order_opportunities(as_of, order_weekdays(calendar(A=sorted(weekdays)), ["A"]), lead_time_days=lead)
    first, second = walked(as_of, weekdays)
    found = (
        chance.order_date,
        chance.expected_delivery_date,
        chance.next_order_date,
        chance.next_delivery_date,
    )
    assert [dates[0].item() for dates in found] == [first, first + DAY * lead, second, second + DAY * lead]
    assert chance.protection_days[0] == (second + DAY * lead - as_of).days - 1
    assert chance.before_delivery_days[0] == (first + DAY * lead - as_of).days - 1
    assert chance.review_period_days[0] == (second - first).days


def test_daily_ordering_protects_review_plus_lead_time():
    chance = order_opportunities(MONDAY, order_weekdays(calendar(), ["A"]), lead_time_days=3)
    assert chance.protection_days.tolist() == [1 + 3]


def test_monday_and_thursday_protect_different_spans():
    days = order_weekdays(calendar(A=[1, 4]), ["A"])
    spans = [order_opportunities(MONDAY + DAY * k, days, lead_time_days=2).protection_days[0] for k in range(7)]
    assert spans == [8, 7, 6, 8, 7, 6, 5]


def test_receipts_after_trading_add_a_day():
    days = order_weekdays(calendar(A=[3]), ["A"])
    before = order_opportunities(MONDAY, days, lead_time_days=2)
    after = order_opportunities(MONDAY, days, lead_time_days=2, receipt_delay_days=1)
    assert after.protection_days[0] == before.protection_days[0] + 1
    assert after.expected_delivery_date[0] == before.expected_delivery_date[0] + np.timedelta64(1, "D")


def test_every_row_has_its_own_calendar_and_lead_time():
    days = order_weekdays(calendar(A=[1, 4], B=[7], Z=[2]), ["B", "A", "C", "A"])
    chance = order_opportunities(MONDAY, days, lead_time_days=[1, 2, 0, 9])
    assert chance.order_date.astype(str).tolist() == ["2024-01-07", "2024-01-04", "2024-01-02", "2024-01-04"]
    assert chance.protection_days.tolist() == [13, 8, 1, 15]


def test_an_impossible_weekday_is_named():
    with pytest.raises(PermanentFailure, match=r"Supplier A has order weekday 0: .* 1 \(Monday\) to 7 \(Sunday\)"):
        order_weekdays(calendar(A=[0]), ["A"])


def test_horizons_cover_every_weekday_delay_and_the_reported_ones():
    delays = pd.DataFrame({"supplier_id": ["A", "A"], "delay_days": [0, 3], "probability": [0.8, 0.2]})
    found = horizons_in_use(sourcing(A=2, B=3), delays, horizon_days=28, order_days=calendar(A=[1, 4]))
    own = {5, 6, 7, 8}
    assert found == sorted(own | {h + 3 for h in own} | {4} | {7, 14, 28})


def test_horizons_of_a_fill_rate_and_of_a_shelf_life():
    terms = sourcing(B=3).assign(shelf_life_days=5)
    plain = horizons_in_use(terms, NO_DELAY, horizon_days=28, order_days=calendar())
    fill = horizons_in_use(terms, NO_DELAY, horizon_days=28, order_days=calendar(), service_measure="fill")
    assert plain == [4, 5, 7, 8, 14, 28]
    assert fill == [3, 4, 5, 7, 8, 14, 28]


def test_the_days_of_a_store_stand_in_place_of_those_for_every_store() -> None:
    rows = [("A", "*", 1), ("A", "S2", 3), ("B", "S2", 5)]
    order_days = pd.DataFrame(rows, columns=["supplier_id", "location_id", "order_weekday"])
    found = order_weekdays(order_days, ["A", "A", "B", "B"], ["S1", "S2", "S1", "S2"])
    assert [tuple(np.flatnonzero(row) + 1) for row in found] == [(1,), (3,), (1, 2, 3, 4, 5, 6, 7), (5,)]
    assert [tuple(np.flatnonzero(row) + 1) for row in order_weekdays(order_days, ["A"])] == [(1,)]
    assert order_weekdays(order_days, [], []).shape == (0, 7)


def test_whose_days_are_known_is_told_for_each_store() -> None:
    rows = [("A", "*", 1), ("B", "S2", 5)]
    order_days = pd.DataFrame(rows, columns=["supplier_id", "location_id", "order_weekday"])
    found = are_order_days_known(order_days, ["A", "B", "B", "C"], ["S1", "S1", "S2", "S1"])
    assert found.tolist() == [True, False, True, False]
    assert are_order_days_known(order_days.iloc[:0], ["A"], ["S1"]).tolist() == [False]


def test_suppliers_without_lead_time_need_no_horizon():
    assert horizons_in_use(sourcing(A=None), NO_DELAY, horizon_days=14, order_days=calendar()) == [7, 14]


def late_by(**days: int) -> pd.DataFrame:
    """Half of what each supplier delivers is on time, half so many days late."""
    rows = [(supplier, late, 0.5) for supplier, most in days.items() for late in (0, most)]
    return pd.DataFrame(rows, columns=["supplier_id", "delay_days", "probability"])


SHORT = "The forecast of 28 days is too short for supplier FAR: with a lead time of "
AT_LEAST = "; set RETAIL_HORIZON_DAYS to at least "
TOO_FAR = "; correct its lead time, for RETAIL_HORIZON_DAYS goes up to 90."


@pytest.mark.parametrize(
    ("lead", "order_days", "late", "words"),
    [
        (20, [3], 6, "20 days an order must cover 33 days and deliveries were up to 6 days late" + AT_LEAST + "39."),
        (28, [], 0, "28 days an order must cover 29 days" + AT_LEAST + "29."),
        (0, [3], 16, "0 days an order must cover 13 days and deliveries were up to 16 days late" + AT_LEAST + "29."),
        (89, [], 0, "89 days an order must cover 90 days" + AT_LEAST + "90."),
        (90, [], 0, "90 days an order must cover 91 days" + TOO_FAR),
        (3000, [1], 2, "3000 days an order must cover 3013 days and deliveries were up to 2 days late" + TOO_FAR),
    ],
)
def test_a_forecast_that_is_too_short_names_the_supplier_and_the_way_out(lead, order_days, late, words):
    terms, delays = sourcing(NEAR=1, FAR=lead, LATE=2), late_by(LATE=14, FAR=late)
    with pytest.raises(PermanentFailure) as failure:
        horizons_in_use(terms, delays, horizon_days=28, order_days=calendar(FAR=order_days))
    assert str(failure.value) == SHORT + words


@pytest.mark.parametrize(("lead", "late"), [(0, 0), (27, 0), (0, 27), (25, 2)])
def test_a_forecast_that_reaches_the_last_day_is_long_enough(lead, late):
    found = horizons_in_use(sourcing(FAR=lead), late_by(FAR=late), horizon_days=28, order_days=calendar())
    assert max(found) == 28 and lead + 1 in found


def test_a_day_of_receipt_delay_may_be_the_day_too_many():
    days = {"horizon_days": 28, "order_days": calendar()}
    assert 28 in horizons_in_use(sourcing(FAR=27), NO_DELAY, **days)
    with pytest.raises(PermanentFailure, match="of 27 days an order must cover 29 days;"):
        horizons_in_use(sourcing(FAR=27), NO_DELAY, **days, receipt_delay_days=1)


def test_the_longest_forecast_is_what_the_setting_allows():
    limits = [limit.le for limit in Settings.model_fields["horizon_days"].metadata if hasattr(limit, "le")]
    assert limits == [LONGEST_FORECAST_DAYS]


def purchase_orders(*lines: tuple[str, int, int | None]) -> pd.DataFrame:
    """Lines promised on day 10 from MONDAY: supplier, ordered day, received day."""
    return pd.DataFrame(
        [
            {
                "supplier_id": supplier,
                "ordered_date": MONDAY + DAY * ordered,
                "promised_date": MONDAY + DAY * 10,
                "received_date": None if received is None else MONDAY + DAY * received,
                "cancelled_date": None,
            }
            for supplier, ordered, received in lines
        ],
        columns=["supplier_id", "ordered_date", "promised_date", "received_date", "cancelled_date"],
    )


def chances(frame: pd.DataFrame, supplier: str = "A") -> dict[int, float]:
    own = frame[frame["supplier_id"] == supplier]
    return dict(zip(own["delay_days"], own["probability"], strict=True))


def test_delays_count_from_the_promised_date_and_early_is_not_late():
    lines = purchase_orders(*[("A", 1, 8)] * 15, *[("A", 1, 10)] * 10, *[("A", 1, 13)] * 25)
    assert chances(delivery_delays(lines, MONDAY + DAY * 30)) == pytest.approx({0: 0.5, 3: 0.5})


def test_open_overdue_lines_are_censored():
    received = [("A", 1, 10)] * 12 + [("A", 1, 12)] * 6 + [("A", 1, 15)] * 2
    lines = purchase_orders(*received, *[("A", 1, None)] * 4)
    # on day 13 the lines received on day 15 are open as well: 6 of 24 outlast day 3
    assert chances(delivery_delays(lines, MONDAY + DAY * 13)) == pytest.approx(
        {0: 0.9 * 12 / 24 + 0.1 * 12 / 24, 2: 6 / 24, 4: 6 / 24}
    )
    assert chances(delivery_delays(lines, MONDAY + DAY * 60)) == pytest.approx({0: 0.5, 2: 0.25, 5: 2 / 24, 14: 4 / 24})


def test_a_censored_line_leaves_the_risk_set_after_its_last_day():
    lines = purchase_orders(*[("A", 1, 10)] * 10, *[("A", 1, 13)] * 10)
    lines = pd.concat([lines, lines.tail(5).assign(received_date=None, cancelled_date=MONDAY + DAY * 12)])
    # the cancelled five were seen until day 11, one day late: at risk at 0, gone at 3
    assert chances(delivery_delays(lines, MONDAY + DAY * 30)) == pytest.approx({0: 10 / 25, 3: 15 / 25})


def test_what_happens_later_is_not_known():
    lines = purchase_orders(*[("A", 1, 10)] * 20, *[("A", 1, 14)] * 30, *[("A", 20, 30)] * 50)
    earlier = lines[lines["ordered_date"] <= MONDAY + DAY * 10].assign(
        received_date=lambda f: f["received_date"].where(f["received_date"] <= MONDAY + DAY * 10)
    )
    as_of = MONDAY + DAY * 10
    pd.testing.assert_frame_equal(delivery_delays(lines, as_of), delivery_delays(earlier, as_of))


def test_few_receipts_lean_on_all_suppliers():
    lines = purchase_orders(*[("A", 1, 12)] * 5, *[("B", 1, 10)] * 15)
    found = delivery_delays(lines, MONDAY + DAY * 30, supplier_ids=["NEW"])
    assert chances(found, "A") == pytest.approx({0: 0.75 * 0.75, 2: 0.25 + 0.75 * 0.25})
    assert chances(found, "NEW") == pytest.approx({0: 0.75, 2: 0.25})


def test_twenty_receipts_stand_alone():
    lines = purchase_orders(*[("A", 1, 12)] * 20, *[("B", 1, 10)] * 80)
    assert chances(delivery_delays(lines, MONDAY + DAY * 30)) == pytest.approx({2: 1.0})


def test_no_purchase_orders_is_no_delay():
    found = delivery_delays(purchase_orders(), MONDAY, supplier_ids=["A"])
    assert chances(found) == {0: 1.0}
    assert delivery_delays(purchase_orders(), MONDAY).empty


def test_longest_delay_told_apart():
    lines = purchase_orders(*[("A", 1, 60)] * 20)
    assert chances(delivery_delays(lines, MONDAY + DAY * 90, delay_days_max=9)) == pytest.approx({9: 1.0})


@given(st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 20), st.none() | st.integers(5, 60)), max_size=40))
def test_probabilities_of_a_supplier_sum_to_one(lines):
    found = delivery_delays(purchase_orders(*lines), MONDAY + DAY * 25, supplier_ids=["A", "B"])
    assert found.groupby("supplier_id")["probability"].sum().to_dict() == pytest.approx({"A": 1.0, "B": 1.0})
    assert found["delay_days"].between(0, 14).all() and (found["probability"] > 0).all()
