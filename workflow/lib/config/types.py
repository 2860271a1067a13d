"""What the blocks of the configuration are made of: strict blocks, numbers, draws, memory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    PlainValidator,
    Tag,
    TypeAdapter,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from lib.config.faults import shown
from lib.core.errors import InputError

Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, lt=1)]
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,99}$")]
Kernels = Literal["compiled", "vmap"]
Precision = Literal["float32", "tf32", "bf16"]
NAMES = "names"  # says in the schema that a list of names may stand where blocks by name do
UNITS = {"": 10**6, "MB": 10**6, "GB": 10**9, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def parse_memory(value: int | float | str) -> int:
    """Bytes, from a number of megabytes or text such as `4 GiB`.

    Raises:
        ValueError: it is neither.
    """
    found = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*([A-Za-z]*)\s*", str(value))
    if not found or found[2].upper() not in UNITS or not float(found[1]) > 0:
        raise ValueError(
            f"must be a number of megabytes or text such as 4 GiB or 500 MB, got {shown(value)}"
        )
    return int(float(found[1]) * UNITS[found[2].upper()])


def _memory(value: Any) -> int | float | str:
    if not isinstance(value, int | float | str):
        raise ValueError(f"must be a number of megabytes or text such as 4 GiB, got {shown(value)}")
    parse_memory(value)
    return value


Memory = Annotated[
    int | float | str,
    PlainValidator(_memory),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string"}]}),
]


class ConfigError(InputError):
    """The configuration is not one the study can run; the message lists every field at fault."""


class Block(BaseModel):
    """A block of the configuration: unknown keys are errors, values do not change."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[info.field_name].annotation
        values = value if isinstance(value, list | tuple) else [value]
        if bool not in (annotation, *get_args(annotation)) and any(
            v is True or v is False for v in values
        ):
            raise ValueError(f"true and false are not allowed here, got {shown(value)}")
        return value


class OwnDefaults(Block):
    """A block that has defaults of its own for the blocks inside: keys left out are at those."""

    @field_validator("*", mode="before")
    @classmethod
    def _over_own_defaults(cls, value: Any, info: ValidationInfo) -> Any:
        default = cls.model_fields[info.field_name].default
        if isinstance(value, Mapping) and isinstance(default, Block):
            return default.model_dump() | dict(value)
        return value


def by_kind(first: type[Block], second: type[Block]) -> Any:
    """The type of a block that is one of two, told apart by its key `kind`."""
    kinds = [block.model_fields["kind"].default for block in (first, second)]

    def kind(value: Any) -> str | None:
        return value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)

    return Annotated[
        Annotated[first, Tag(kinds[0])] | Annotated[second, Tag(kinds[1])], Discriminator(kind)
    ]


class Drawn(Block):
    """How a number is drawn for each network: exactly one of these."""

    choices: tuple[float, ...] | None = Field(
        None, min_length=1, description="one of these, each as likely"
    )
    in_turn: tuple[float, ...] | None = Field(
        None, min_length=1, description="these in turn, by the number of the network"
    )
    uniform: tuple[float, float] | None = Field(
        None, description="evenly between the lowest and the highest value"
    )
    log_uniform: tuple[float, float] | None = Field(
        None, description="evenly on a logarithmic scale between the lowest and the highest value"
    )

    @model_validator(mode="after")
    def _one_way(self) -> Drawn:
        ways = self.ways()
        if len(ways) != 1:
            raise ValueError(
                "expected exactly one of choices, in_turn, uniform and log_uniform, "
                f"got {len(ways)}"
            )
        name, values = next(iter(ways.items()))
        if "uniform" in name and not values[0] < values[1]:
            raise ValueError(f"{name} must rise from lowest to highest, got {list(values)}")
        if name == "log_uniform" and values[0] <= 0:
            raise ValueError(f"log_uniform must lie above 0, got {list(values)}")
        return self

    def ways(self) -> dict[str, tuple[float, ...]]:
        """The one that was given, as plain data."""
        ways = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: values for name, values in ways.items() if values is not None}

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest number that can be drawn."""
        (values,) = self.ways().values()
        return min(values), max(values)


def per_network(kind: Any) -> Any:
    """The type of a setting that is a `kind`, or how to draw one for each network."""
    number, numbers = TypeAdapter(kind), TypeAdapter(dict[str, tuple[kind, ...]])

    def check(value: Any) -> Any:
        if not isinstance(value, Mapping | Drawn):
            return number.validate_python(value)
        drawn = Drawn.model_validate(value)
        return drawn.model_copy(update=numbers.validate_python(drawn.ways()))

    plain, shape = number.json_schema(), Drawn.model_json_schema()
    block = shape | {"description": "drawn"}
    return Annotated[
        kind | Drawn,
        PlainValidator(check),
        PlainSerializer(lambda value: value.ways() if isinstance(value, Drawn) else value),
        WithJsonSchema({"anyOf": [plain, block]}),
    ]


def bounds(value: float | Drawn) -> tuple[float, float]:
    """The lowest and the highest value of a setting that may be drawn for each network."""
    return value.bounds if isinstance(value, Drawn) else (value, value)
