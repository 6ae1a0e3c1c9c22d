"""Request bodies of one model that are accepted, or that one rule refuses."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import msgspec
from tests.support.input_values import TYPE, bad, good

from modellix_server.base.errors import InvalidParameters
from modellix_server.catalogue import Model
from modellix_server.catalogue.modelfile import ModelFile, inherit
from modellix_server.catalogue.registry import BUILT_IN
from modellix_server.catalogue.rule import Rule

MOST_MENDS = 6


@cache
def file_of(slug: str) -> ModelFile:
    """The model's file, complete: what it is like is filled in."""

    def raw(name: str) -> dict[str, Any]:
        return tomllib.loads((BUILT_IN / f"{name}.toml").read_text(encoding="utf-8"))

    own = raw(slug)
    return msgspec.convert(inherit(own, raw(own["like"])) if "like" in own else own, ModelFile)


class Allowed:
    """Bodies of one model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.file = file_of(model.slug)
        self.inputs = self.file.input
        self.ends = {name: good(spec) for name, spec in self.inputs.items()}
        self.values = dict(self.ends)
        for rule in self.file.rule:  # a rule without a condition is a list of all there is
            self.values |= {} if rule.when or rule.given else rule.needs
        self.messages = {f"{TYPE}: {rule.message}": rule for rule in self.file.rule if rule.message}

    def bad(self, name: str) -> list[tuple[Any, str]]:
        return list(bad(self.inputs[name]))

    def telling(self, name: str) -> Any:
        """A value that counts as given."""
        return next(value for value in reversed(self.values[name]) if value not in ("", []))

    def broken_rule(self, body: Mapping[str, Any]) -> Rule | None:
        """The cross-field rule that refuses the body; None when it is accepted. Any other refusal is raised."""
        try:
            self.model.check(dict(body))
        except InvalidParameters as error:
            if error.message not in self.messages:
                raise
            return self.messages[error.message]
        return None

    def settle(self, body: Mapping[str, Any], keep: set[str], *, broken: Rule | None = None) -> dict[str, Any] | None:
        """The body with other parameters changed until it is accepted, or `broken` is the rule that refuses it."""
        seen: set[str] = set()
        edge = [dict(body)]
        for _ in range(MOST_MENDS):
            following = []
            for one in edge:
                rule = self.broken_rule(one)
                if rule is broken:
                    return one
                if rule is not None:
                    following += [found for found in self._mended(rule, one, keep) if new(found, seen)]
            edge = following[:400]
        return None

    def _mended(self, rule: Rule, body: dict[str, Any], keep: set[str]) -> Iterator[dict[str, Any]]:
        free = {name for name in (*rule.needs, *rule.when) if name not in keep}
        free |= {name for name in (*rule.given, *rule.excludes) if name not in keep and not self.inputs[name].required}
        for name, wanted in rule.needs.items():
            if name in free:
                yield from (body | {name: one} for one in (wanted if isinstance(wanted, list) else [wanted]))
        absent = [name for name in (*rule.requires, *rule.one_of) if not body.get(name) and name not in keep]
        if rule.requires and absent:
            yield body | {name: self.telling(name) for name in absent}
        yield from (body | {name: self.telling(name)} for name in absent)
        yield from (without(body, name) for name in (*rule.excludes, *rule.given) if name in free)
        for name in rule.when:
            choices = self.inputs[name].choices() if name in free else ()
            yield from (body | {name: one} for one in choices)
        lists = [*rule.same_length, *(name for names in rule.together for name in names.split("+"))]
        for name in {*lists} - keep:
            if name in body and not self.inputs[name].required:
                yield without(body, name)
            lengths = {1, *(len(body[other]) for other in lists if other in body)}
            yield from (body | {name: self.telling(name)[:1] * length} for length in lengths)


def new(body: dict[str, Any], seen: set[str]) -> bool:
    key = json.dumps(body, sort_keys=True)
    found = key not in seen
    seen.add(key)
    return found


def without(body: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key not in names}
