"""A run that checks stop says table, rule, day, share and examples; the command it names shows the rows, and the alert
says the same. What did not stop it is printed at its end."""

import re
import shlex
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest
import yaml

from retail_assets.command_line import cli
from retail_assets.graph.sensors import alert_on_failure

FIRST = date(2026, 9, 28)
DAYS = [FIRST + timedelta(days=n) for n in range(4)]
LAST = DAYS[-1]
QUERIES = {
    "stores": "SELECT 'N' AS store_id, 'North' AS store_name",
    "products": "SELECT id AS product_id, name AS product_name, price AS list_price FROM item",
    "sales": "SELECT id AS sale_line_id, day AS business_date, 'N' AS store_id, item AS product_id, 'Ann Smith' AS "
    "customer_id, 1 AS quantity, price AS unit_price FROM line WHERE day BETWEEN :start AND :end",
    "inventory": "SELECT day AS business_date, 'N' AS store_id, 'A' AS product_id, 5 AS on_hand_units FROM stock "
    "WHERE day BETWEEN :start AND :end",
}
pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")  # of ibis, met in a run


@pytest.fixture
def shop(tmp_path: Path) -> Callable[..., None]:
    """A shop of four days with 40 lines each; takes statements that spoil it."""
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("""
            CREATE TABLE item (id TEXT, name TEXT, price NUMERIC);
            CREATE TABLE line (id INTEGER PRIMARY KEY, day TEXT, item TEXT, price);
            CREATE TABLE stock (day TEXT);
            INSERT INTO item VALUES ('A', 'Apple', 2), ('B', 'Bread', 3);
        """)
        lines = [(str(day), "AB"[n % 2], 2) for day in DAYS for n in range(40)]
        connection.executemany("INSERT INTO line (day, item, price) VALUES (?, ?, ?)", lines)
        connection.executemany("INSERT INTO stock VALUES (?)", [(str(day),) for day in DAYS])
        connection.commit()

    def spoilt(*statements: str) -> None:
        with closing(sqlite3.connect(path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    return spoilt


@pytest.fixture
def command(tmp_path, monkeypatch, typed, shop) -> Callable[..., tuple[int, str, str]]:
    bound = {name: {"query": query, "source_tables": [name]} for name, query in QUERIES.items()}
    content = {"name": "mine", "timezone": "UTC", "country": "GB", "currency": "GBP", "entities": bound}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RETAIL_SOURCE_MAPPING", "mine.yaml")
    monkeypatch.setenv("RETAIL_SOURCE_URL", f"sqlite:///{tmp_path / 'shop.db'}")
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RETAIL_START_DATE", str(FIRST))
    monkeypatch.setattr(cli.console, "width", 300)
    return typed


def _shown(command: Callable[..., tuple[int, str, str]], sentence: str) -> str:
    """What the command that the sentence names prints."""
    found = re.search(r"To see the rows: retail-assets (show .*?)(?: Also |$)", sentence)
    assert found, sentence
    code, printed, error = command(*shlex.split(found[1]))
    assert (code, error) == (0, "")
    return printed


class RecordedNotifier:
    def __init__(self) -> None:
        self.sent: list[tuple[str, str, dict]] = []

    def send(self, title: str, text: str, *, facts: dict) -> bool:
        self.sent.append((title, text, facts))
        return True


def _alert(home: Path) -> str:
    """The text that the daemon's sensor sends about the newest failed run."""
    notifier = RecordedNotifier()
    with dg.DagsterInstance.from_config(str(home / "mine" / "dagster")) as instance:
        [run] = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]), limit=1)
        [failure] = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
        context = dg.build_run_status_sensor_context(
            sensor_name="alert_on_failure",
            dagster_event=failure.dagster_event,
            dagster_instance=instance,
            dagster_run=run,
        )
        with context.for_run_failure() as failed:
            alert_on_failure(failed, notifier=notifier)
    [(_, text, facts)] = notifier.sent
    assert facts["run"] == run.run_id
    return text


def test_products_that_are_in_no_list_are_named_before_and_by_the_run(command, shop, tmp_path):
    shop("UPDATE line SET item = item || '-1'")
    code, printed, _ = command("check-source")
    assert code == 2
    assert (
        "mapping mine, entity sales: 0 of 40 sampled product ids are among products, for example 'A-1' is not, where "
        "products have 'A'; give both queries the same ids." in printed
    )
    code, _, error = command("run")
    assert code == 2
    assert error.startswith(
        f"ingest {FIRST} … {LAST} stopped: silver/sales fails refusals_are_few: 100.00% of 160 rows "
    )
    assert f"at worst 100.00% on {LAST} (warning 2%, stop 20%)." in error
    assert (
        f"For example on {LAST} 40 rows break unknown_product: The product is not among the products, such as "
        "(sale_line_id=121; store_id=N; product_id=A-1; quantity=1.000; unit_price=2.0000)" in error
    )
    assert "Ann" not in error and "blocking asset checks" not in error
    shown = _shown(command, error)
    assert shown.count("unknown_product") == 20 and "A-1" in shown
    alert = _alert(tmp_path / "home")
    assert error.split("stopped: ")[1] in alert


def test_half_of_the_prices_of_a_day_are_negative(command, shop, tmp_path):
    shop(f"UPDATE line SET price = -2 WHERE day = '{DAYS[1]}' AND id % 2 = 0")
    code, _, error = command("run")
    assert code == 2
    assert f"silver/sales fails refusals_are_few: 12.50% of 160 rows refused, at worst 50.00% on {DAYS[1]}" in error
    assert f"on {DAYS[1]} 20 rows break negative_price: The price is below zero, such as (sale_line_id=42; " in error
    assert "unit_price=-2.0000" in error
    shown = _shown(command, error)
    assert shown.count("negative_price") == 20 and str(DAYS[1]) in shown
    assert "negative_price" in _alert(tmp_path / "home")


def test_values_of_another_type_stop_before_silver_and_are_shown(command, shop):
    shop(f"UPDATE line SET price = 'n/a' WHERE day = '{LAST}' AND id % 8 = 0")
    code, _, error = command("run")
    assert code == 2
    assert "bronze/sales fails values_fit_their_types: On 1 days more than 5% of the rows hold a misfit, the " in error
    assert f"first on {LAST}." in error
    assert 'For example {"unit_price": "n/a"}.' in error
    assert _shown(command, error).count("n/a") == 5


def test_a_list_with_wrong_values_is_named_by_its_keys(command, shop):
    shop(*(f"INSERT INTO item VALUES ('P{n}', 'Secret name', -1)" for n in range(30)))
    code, _, error = command("run")
    assert code == 2
    assert "silver/products fails refusals_are_few: 93.75% of 32 rows refused" in error
    assert "negative_money: list_price, unit_cost is below zero, such as (product_id=P0), (product_id=P1)" in error
    assert "Secret name" not in error
    assert "P0" in _shown(command, error)


def test_what_did_not_stop_the_run_is_printed_at_its_end(command, shop):
    shop(f"DELETE FROM line WHERE day = '{DAYS[1]}'", f"DELETE FROM stock WHERE day = '{LAST}'")
    code, printed, error = command("run")
    assert (code, error) == (0, "")
    assert "Warning: bronze/sales fails sales_arrived: Sales arrived for 3 of 4 days." in printed
    assert (
        f"Warning: bronze/inventory fails newest_day_arrived: No row arrived for {LAST}; the newest with "
        f"rows is {DAYS[2]}." in printed
    )
    assert printed.index("Lake:") < printed.index("Warning:")


def test_warnings_of_a_run_that_stops_are_printed_too(command, shop):
    shop(f"DELETE FROM line WHERE day = '{DAYS[1]}'", "UPDATE line SET price = -2")
    code, printed, _ = command("run")
    assert code == 2
    assert "Warning: bronze/sales fails sales_arrived: Sales arrived for 3 of 4 days." in printed
