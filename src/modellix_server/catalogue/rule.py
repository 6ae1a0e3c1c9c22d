"""What parameters have to do with each other: the `[[rule]]` tables of a model file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from modellix_server.catalogue.inputs import Array, Input, Integer, given

Params = Mapping[str, Any]


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where `when` and `given` hold, everything else must hold too.

    Values are compared with defaults filled in; "given" means given by the caller and not empty.
    """

    message: str = ""
    """What the caller is told. With `defaults` alone nothing can go wrong, and it may be left out."""
    when: dict[str, Any] = {}
    """Parameter -> its value, or a list of values."""
    given: tuple[str, ...] = ()
    """All of them are given."""
    needs: dict[str, Any] = {}
    """Parameter -> the value, or the list of values, that it must have."""
    requires: tuple[str, ...] = ()
    """All of them must be given."""
    excludes: tuple[str, ...] = ()
    """None of them may be given."""
    one_of: tuple[str, ...] = ()
    """At least one of them must be given."""
    same_length: tuple[str, ...] = ()
    """Lists that must be equally long, where given."""
    together: dict[str, int] = {}
    """Lists, all names in one key with `+` between them -> the most items they may have together."""
    defaults: dict[str, Any] = {}
    """Parameter -> its default in this case, in place of its usual one."""

    def applies(self, params: Params, body: Params) -> bool:
        """Whether the rule has anything to say about these parameters."""
        for name, wanted in self.when.items():
            value = params.get(name)
            if not (value in wanted if isinstance(wanted, list) else value == wanted):
                return False
        for name in self.given:  # noqa: SIM110 - this is asked for every request, and any() costs more
            if not given(body, name):
                return False
        return True

    def broken(self, params: Params, body: Params) -> bool:
        """Whether parameters that the rule applies to go against it."""
        return (
            (bool(self.needs) and not all(_is(params.get(name), wanted) for name, wanted in self.needs.items()))
            or (bool(self.requires) and not all(given(body, name) for name in self.requires))
            or (bool(self.excludes) and any(given(body, name) for name in self.excludes))
            or (bool(self.one_of) and not any(given(body, name) for name in self.one_of))
            or (bool(self.same_length) and len({len(body[name]) for name in self.same_length if name in body}) > 1)
            or any(_items(body, names) > most for names, most in self.together.items())
        )

    def check(self, inputs: Mapping[str, Input]) -> None:
        """Raise ValueError for names that are no inputs, values that can never be, and a rule that asks nothing."""
        for name, value in (*self.when.items(), *self.needs.items(), *self.defaults.items()):
            for one in value if isinstance(value, list) else (value,):
                if not _can_be(_known(inputs, name), one):
                    raise ValueError(f"rule: {name} can never be {one!r}")
        for name in (*self.given, *self.requires, *self.excludes, *self.one_of):
            _known(inputs, name)
        for name in (*self.same_length, *[name for names in self.together for name in names.split("+")]):
            if _known(inputs, name).schema()["type"] != "array":
                raise ValueError(f"rule: {name} is not a list")
        demands = (self.needs, self.requires, self.excludes, self.one_of, self.same_length, self.together)
        if any(demands) != bool(self.message) or not (any(demands) or self.defaults):
            raise ValueError("rule: it needs something to ask for, and a message that says so")


def _is(value: object, wanted: object) -> bool:
    return value in wanted if isinstance(wanted, list) else value == wanted


def _items(body: Params, names: str) -> int:
    return sum(len(body.get(name, ())) for name in names.split("+"))


def _known(inputs: Mapping[str, Input], name: str) -> Input:
    if name not in inputs:
        raise ValueError(f"rule: {name} is not an input")
    return inputs[name]


def _can_be(spec: Input, value: object) -> bool:
    if isinstance(spec, Array):
        return isinstance(value, list) and all(one in spec.items.choices() for one in value)
    if isinstance(spec, Integer) and spec.min is not None and spec.max is not None:
        return type(value) is int and spec.min <= value <= spec.max
    return value in spec.choices()
