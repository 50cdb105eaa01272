"""How the plan decides: one parameter set for everything, and others for a class, supplier, store or product.

A new parameter is one field of `PlanPolicy`, one with its limits of `LineRules` or `PlanRules`, and one line in
docs/inventory.md. Reading files belongs elsewhere.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from retail_assets.arrays import Array
from retail_assets.failures import PermanentFailure
from retail_assets.inventory.policies import critical_ratio

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


_STRICT = ConfigDict(extra="forbid", strict=True)


@with_config(_STRICT)
class LineRules(TypedDict, total=False):
    """Parameters that a file may set for some lines, and their limits."""

    service_level: Annotated[
        Annotated[float, Field(ge=0.5, le=0.9999)] | Literal["critical_ratio"],
        AfterValidator(lambda level: None if level == CRITICAL_RATIO else level),
    ]
    service_measure: Literal["cycle", "fill"]
    holding_rate: Annotated[float, Field(ge=0, le=5)]
    goodwill_value: Annotated[float, Field(ge=0, le=1e6)]
    salvage_rate: Annotated[float, Field(ge=0, le=1)]
    min_remaining_days: Annotated[int, Field(ge=0, le=365)]
    shelf_life_cap: Literal["paying", "target"]
    expedite_probability: Annotated[float, Field(ge=0, le=1)]


@with_config(_STRICT)
class PlanRules(LineRules, total=False):
    """Parameters that a file may set for the whole plan, and their limits."""

    overdue_days_max: Annotated[int, Field(ge=0, le=365)]
    receipt_delay_days: Annotated[int, Field(ge=0, le=1)]
    budget_value: Annotated[float, Field(ge=0, le=1e12)] | None


@with_config(_STRICT)
class PolicyFile(TypedDict, total=False):
    """What a file holds."""

    default: PlanRules
    classes: dict[str, LineRules]
    suppliers: dict[str, LineRules]
    stores: dict[str, LineRules]
    products: dict[str, LineRules]


_FILE = TypeAdapter(PolicyFile)


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
        given = {name: part or {} for name, part in read.items()} if isinstance(read, Mapping) else read or {}
        try:
            found: dict[str, Any] = dict(_FILE.validate_python(given))
        except ValidationError as error:
            raise PermanentFailure(_sentence(error)) from None
        return cls(replace(plan or PlanPolicy(), **found.pop("default", {})), found)

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
        values = {name: self._values(name, keys, len(series)) for name in LineRules.__annotations__}
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


def _sentence(error: ValidationError) -> str:
    """The first thing that is wrong, with its place and what is allowed there."""
    first = error.errors()[0]
    place, given = [str(part) for part in first["loc"]], first["input"]
    if first["type"] == "extra_forbidden" and len(place) == 1:
        return f"The policies have no part {place[0]}: known are default, {', '.join(SCOPES)}."
    if first["type"] == "dict_type":
        return f"The policies are wrong: {' '.join(place) or 'the policies'} must be a mapping, got {given!r}."
    if place[-1] == "[key]":
        # YAML reads unquoted digits as numbers, 010 as 8, and words such as no as truth values: the text is lost
        return (
            f"The policies are wrong: {place[0]} has the identifier {given!r}, which is no text: "
            "put every identifier in quotes."
        )
    depth = 1 if place[0] == "default" else 2
    what, name = " ".join(place[:depth]), place[depth]
    allowed = TypeAdapter(PlanRules if depth == 1 else LineRules).json_schema()["properties"]
    if name not in allowed:
        return f"The policies are wrong: {what} knows no {name}, only {', '.join(allowed)}."
    return f"The policies are wrong: {name} of {what} is {given!r}, wanted {_wanted(allowed[name])}."


def _wanted(allowed: Mapping[str, Any]) -> str:
    """What a field's JSON Schema allows, in words.

    >>> _wanted({"type": "integer", "minimum": 0, "maximum": 365})
    'a whole number from 0 to 365'
    """
    if "anyOf" in allowed:
        return " or ".join(_wanted(one) for one in allowed["anyOf"] if one.get("type") != "null")
    if "enum" in allowed or "const" in allowed:
        return " or ".join(allowed.get("enum") or [allowed["const"]])
    kind = "a whole number" if allowed["type"] == "integer" else "a number"
    return f"{kind} from {allowed['minimum']:g} to {allowed['maximum']:g}"
