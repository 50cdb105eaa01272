"""The DDL made of the contracts is the one that existing databases were created with."""

from retail_assets_tests.unit import warehouse_ddl


def test_the_ddl_of_every_table_is_the_stored_one() -> None:
    assert warehouse_ddl.text().splitlines() == warehouse_ddl.FILE.read_text(encoding="utf-8").splitlines()
