"""How the plan decides: one parameter set for everything, and others for a class, supplier, store or product.

A new parameter is one field here with its limits, and one line in docs/inventory.md. Reading files belongs elsewhere.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retail_assets.failures import PermanentFailure
from retail_assets.inventory.policies import critical_ratio

Array = NDArray[np.float64]

SCOPES = ("classes", "suppliers", "stores", "products")
"""From the widest to the narrowest: the narrowest that names a parameter wins."""
CRITICAL_RATIO = "critical_ratio"
"""Instead of a service level: the target that balances margin against holding cost or waste."""


@dataclass(frozen=True)
class PlanPolicy:
    """How the plan decides.

    Without a `service_level` the target is the critical ratio of each line, clamped to 0.80 … 0.99.
    `expedite_probability`: chance to run out before an order could arrive from which a person is called.
    `shelf_life_cap`: an order of goods that spoil stops where another pack would not pay, or, with `target`, only
    where the service target is reached. `receipt_delay_days`: 0 when goods arrive before opening, 1 when they arrive
    after trading. `budget_value`: most that all orders leaving on one day may cost.
    """

    service_level: float | None = 0.95
    service_measure: Literal["cycle", "fill"] = "cycle"
    overdue_days_max: int = 14
    holding_rate: float = 0.25
    goodwill_value: float = 0.0
    salvage_rate: float = 0.0
    min_remaining_days: int = 0
    shelf_life_cap: Literal["paying", "target"] = "paying"
    expedite_probability: float = 0.5
    receipt_delay_days: int = 0
    budget_value: float | None = None


_LIMITS: dict[str, tuple[float, float]] = {
    "service_level": (0.5, 0.9999),
    "overdue_days_max": (0, 365),
    "holding_rate": (0, 5),
    "goodwill_value": (0, 1e6),
    "salvage_rate": (0, 1),
    "min_remaining_days": (0, 365),
    "expedite_probability": (0, 1),
    "receipt_delay_days": (0, 1),
    "budget_value": (0, 1e12),
}
_WHOLE = ("overdue_days_max", "min_remaining_days", "receipt_delay_days")
_CHOICES = {"service_measure": ("cycle", "fill"), "shelf_life_cap": ("paying", "target")}
_OF_LINES = (
    *("service_level", "service_measure", "holding_rate", "goodwill_value", "salvage_rate"),
    *("min_remaining_days", "shelf_life_cap", "expedite_probability"),
)
"""Parameters that may differ from line to line; the others hold for the whole plan."""


@dataclass(frozen=True)
class LineParameters:
    """The parameters of n lines, (n,) each; `service_level` is NaN where the critical ratio is the target."""

    service_level: Array
    is_fill: NDArray[np.bool_]
    holding_rate: Array
    goodwill_value: Array
    salvage_rate: Array
    min_remaining_days: NDArray[np.int64]
    caps_at_target: NDArray[np.bool_]
    expedite_probability: Array

    def take(self, rows: NDArray[np.int64]) -> "LineParameters":
        return LineParameters(**{item.name: getattr(self, item.name)[rows] for item in fields(self)})

    def shelf_life_ratio(self, *, margin: Array, unit_cost: Array, target: Array) -> Array:
        """Critical ratio of a unit that may spoil; the target where it caps the order or a cost is unknown."""
        ratio = critical_ratio(margin, unit_cost * (1 - self.salvage_rate), goodwill=self.goodwill_value)
        ratio = np.where(self.caps_at_target, np.fmax(ratio, target), ratio)
        return np.where(np.isnan(ratio), target, ratio)


@dataclass(frozen=True)
class Policies:
    """Parameters of the whole plan and, by scope and identifier, those that differ."""

    plan: PlanPolicy = field(default_factory=PlanPolicy)
    scopes: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)

    @classmethod
    def of(cls, read: Any, *, plan: PlanPolicy | None = None) -> "Policies":
        """Parameters as a file gives them: `default`, `classes`, `suppliers`, `stores`, `products`.

        Args:
            read: a mapping of the scopes, each but `default` from identifier to parameters.
            plan: what holds where the file says nothing.

        Raises:
            PermanentFailure: a scope, a parameter or a value is wrong; one sentence names it.

        >>> found = Policies.of({"classes": {"A": {"service_level": 0.98}}})
        >>> found.plan.service_level, found.scopes["classes"]["A"]["service_level"]
        (0.95, 0.98)
        """
        known = _mapping(read or {}, "the policies")
        for scope in known:
            if scope not in ("default", *SCOPES):
                raise PermanentFailure(f"The policies have no part {scope}: known are default, {', '.join(SCOPES)}.")
        names = [item.name for item in fields(PlanPolicy)]
        default = _checked(known.get("default") or {}, "default", allowed=names)
        scopes = {
            scope: {
                _identifier(name, scope): _checked(values, f"{scope} {name}", allowed=_OF_LINES)
                for name, values in _mapping(known.get(scope) or {}, scope).items()
            }
            for scope in SCOPES
        }
        return cls(replace(plan or PlanPolicy(), **default), scopes)

    @property
    def service_measure(self) -> Literal["cycle", "fill"]:
        """`fill` as soon as any line may target it: its horizons hold those of `cycle`."""
        given = [values for of_scope in self.scopes.values() for values in of_scope.values()]
        is_fill = "fill" in (self.plan.service_measure, *(values.get("service_measure") for values in given))
        return "fill" if is_fill else "cycle"

    def of_lines(self, series: pd.MultiIndex, *, supplier_ids: NDArray[Any], classes: NDArray[Any]) -> LineParameters:
        """Parameters of each store and product, narrower scopes before wider ones."""
        keys = {
            "classes": classes,
            "suppliers": supplier_ids,
            "stores": series.get_level_values(0),
            "products": series.get_level_values(1),
        }
        values = {name: self._values(name, keys, len(series)) for name in _OF_LINES}
        level = np.array([np.nan if value is None else value for value in values["service_level"]], dtype=np.float64)
        return LineParameters(
            service_level=level,
            is_fill=values["service_measure"] == "fill",
            min_remaining_days=values["min_remaining_days"].astype(np.int64),
            caps_at_target=values["shelf_life_cap"] == "target",
            **{
                name: values[name].astype(np.float64)
                for name in ("holding_rate", "goodwill_value", "salvage_rate", "expedite_probability")
            },
        )

    def unmatched(self, known: Mapping[str, Collection[str]]) -> tuple[str, ...]:
        """Scope and identifier of what matches nothing among the `known` identifiers of each scope.

        >>> Policies.of({"stores": {"S1": {}, "S9": {}}}).unmatched({"stores": ["S1"]})
        ('stores S9',)
        """
        return tuple(
            f"{scope} {identifier}"
            for scope in SCOPES
            for identifier in self.scopes.get(scope, {})
            if identifier not in known.get(scope, ())
        )

    def own_levels(self) -> int:
        """Scopes that set a service level of their own, which that of the whole plan does not reach."""
        return sum("service_level" in given for scope in self.scopes.values() for given in scope.values())

    def _values(self, name: str, keys: Mapping[str, Any], count: int) -> NDArray[np.object_]:
        found = np.full(count, getattr(self.plan, name), dtype=object)
        for scope in SCOPES:
            ids = np.asarray(keys[scope], dtype=object).astype(str)
            for identifier, given in self.scopes.get(scope, {}).items():
                if name in given:
                    found[ids == identifier] = given[name]
        return found


def _mapping(read: Any, what: str) -> Mapping[Any, Any]:
    if not isinstance(read, Mapping):
        raise PermanentFailure(f"The policies are wrong: {what} must be a mapping, got {read!r}.")
    return read


def _identifier(name: Any, scope: str) -> str:
    """YAML reads unquoted digits as numbers, 010 as 8, and words such as no as truth values: the text is lost."""
    if not isinstance(name, str):
        raise PermanentFailure(
            f"The policies are wrong: {scope} has the identifier {name!r}, which is no text: "
            "put every identifier in quotes."
        )
    return name


def _checked(read: Any, what: str, *, allowed: list[str] | tuple[str, ...]) -> dict[str, Any]:
    return {name: _value(name, value, what, allowed=allowed) for name, value in _mapping(read, what).items()}


def _value(name: str, value: Any, what: str, *, allowed: list[str] | tuple[str, ...]) -> Any:
    if name not in allowed:
        raise PermanentFailure(f"The policies are wrong: {what} knows no {name}, only {', '.join(allowed)}.")
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            wanted = " or ".join(_CHOICES[name])
            raise PermanentFailure(f"The policies are wrong: {name} of {what} is {value!r}, wanted {wanted}.")
        return value
    if (name == "service_level" and value == CRITICAL_RATIO) or (name == "budget_value" and value is None):
        return None
    low, high = _LIMITS[name]
    kind = "a whole number" if name in _WHOLE else "a number"
    is_number = isinstance(value, int if name in _WHOLE else int | float) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:
        also = f" or {CRITICAL_RATIO}" if name == "service_level" else ""
        raise PermanentFailure(
            f"The policies are wrong: {name} of {what} is {value!r}, wanted {kind} from {low:g} to {high:g}{also}."
        )
    return value
