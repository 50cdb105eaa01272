# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported
"""CSV files that a spreadsheet opens: text that it would run as a formula is marked as text.

Every CSV that leaves for people goes through here. Parquet and the tables of the lake keep the text as it is.
"""

import pyarrow as pa
import pyarrow.compute as pc

_BLANKS = r"\s\x{0085}\x{00A0}\x{1680}\x{180E}\x{2000}-\x{200F}\x{2028}\x{2029}\x{202F}\x{205F}\x{2060}\x{3000}\x{FEFF}"
_QUOTES = r"\"'`\x{2018}\x{2019}\x{201C}\x{201D}"
_SIGNS = r"=+\-@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}"
_FORMULA = rf"^(?:[\t\r\n]|[{_BLANKS}{_QUOTES}]*[{_SIGNS}])"
"""Tab and line ends, or = + - @ (also full width) after any blanks and quotes, as OWASP lists them: "CSV Injection"."""
_MARK = "'"


def safe_cells(rows: pa.Table) -> pa.Table:
    """The rows with `'` before every text that a spreadsheet would run as a formula; other columns stay as they are.

    >>> safe_cells(pa.table({"name": ["=1+1", "Milk"], "units": [-2.0, 3.0]})).to_pydict()
    {'name': ["'=1+1", 'Milk'], 'units': [-2.0, 3.0]}
    """
    for place, field in enumerate(rows.schema):
        if _is_text(field.type):
            rows = rows.set_column(place, field, _marked(rows.column(place)))
    return rows


def _is_text(type_: pa.DataType) -> bool:
    return pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_)


def _marked(values: pa.ChunkedArray) -> pa.ChunkedArray:
    text = values.cast(pa.string())
    is_formula = pc.fill_null(pc.match_substring_regex(text, _FORMULA), False)
    marked = pc.binary_join_element_wise(pa.scalar(_MARK), text, "")
    return pc.if_else(is_formula, marked, text).cast(values.type)
