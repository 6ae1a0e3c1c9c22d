"""Rules between parameters: the `[[rule]]` tables of a model file."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from modellix_server.catalogue.inputs import NOTHING, Array, Input, Integer

Params = Mapping[str, Any]
Test = Callable[[Params, Params], bool]
"""Called with the parameters, defaults filled in, and with the caller's body."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where `when` and `given` hold, everything else must hold too.

    Values are compared with defaults filled in; "given" means given by the caller and not empty.
    """

    message: str = ""
    """The message of the refusal. A rule with `defaults` alone refuses nothing and needs none."""
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

    def condition(self) -> tuple[str | None, Sequence[object], Test | None]:
        """When the rule applies, compiled, as it is evaluated for every request.

        It applies when this parameter (if any) has one of these values and this test (if any) is true.
        """
        name = next(iter(self.when), None)
        choices = _choices(self.when[name]) if name else ()
        others = [_value(other, wanted) for other, wanted in self.when.items() if other != name]
        tests = [*others, *map(_given, self.given)]
        return name, choices, _all(tests) if tests else None

    def violation(self) -> Test:
        """Whether parameters that the rule applies to violate it, compiled too."""
        found = [
            *[_none([_value(name, wanted)]) for name, wanted in self.needs.items()],
            *[_none([_given(name)]) for name in self.requires],
            *map(_given, self.excludes),
            *([_none([*map(_given, self.one_of)])] if self.one_of else []),
            *([_unequal(self.same_length)] if self.same_length else []),
            *[_more(names.split("+"), most) for names, most in self.together.items()],
        ]
        return _any(found)

    def check(self, inputs: Mapping[str, Input]) -> None:
        """Raise ValueError for unknown inputs, impossible values, and a rule without a condition to satisfy."""
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


def _value(name: str, wanted: object) -> Test:
    choices = _choices(wanted)
    return lambda params, _: params.get(name) in choices


def _choices(wanted: object) -> Sequence[object]:
    return tuple(wanted) if isinstance(wanted, list) else (wanted,)


def _given(name: str) -> Test:
    return lambda _, body: name in body and body[name] not in NOTHING


def _unequal(names: Sequence[str]) -> Test:
    def unequal(_: Params, body: Params) -> bool:
        length = None
        for name in names:
            if name in body:
                if length is not None and length != len(body[name]):
                    return True
                length = len(body[name])
        return False

    return unequal


def _more(names: Sequence[str], most: int) -> Test:
    def more(_: Params, body: Params) -> bool:
        total = 0
        for name in names:
            if name in body:
                total += len(body[name])
        return total > most

    return more


def _all(tests: Sequence[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def every(params: Params, body: Params) -> bool:
        for test in tests:  # noqa: SIM110 - this is asked for every request, and all() costs more
            if not test(params, body):
                return False
        return True

    return every


def _any(tests: Sequence[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def some(params: Params, body: Params) -> bool:
        for test in tests:  # noqa: SIM110 - as above
            if test(params, body):
                return True
        return False

    return some


def _none(tests: Sequence[Test]) -> Test:
    some = _any(tests)
    return lambda params, body: not some(params, body)


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
