"""What the platform says in English below the pages, for `scripts/texts.py`: refusals, findings, notes.

The code that says it stays plain: `raise NotFound(f"key {key_id} not found")`. Here its f-strings become templates,
`key %(key_id)s not found`, by which `console.said` reads such a sentence back and says it in the reader's language.
A value that a sentence is given is followed to where the same module makes it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import TypeGuard

from modellix_server.console.words import detail_name

_NOT_SHOWN = {"api", "cli", "console", "docsite", "embedded", "mcp", "openapi", "processes", "sandbox", "web"}
"""Rooms that no page passes on; the pages' own texts are marked where they stand."""
_TELLERS = {"BadMedia", "Busy", "Failed", "FetchLater", "FetchNever", "Finding", "Release", "review", "too_large"}
"""What else is made with a sentence, which is stored and shown later; and the names of arguments that hold one."""
_SENTENCES = {"alert", "error_message", "note", "review", "too_late", "why"}
_GRADES = {"good", "warning", "bad"}
_MOST_FORMS = 16
_LETTERS = re.compile(r"[A-Za-z]")
_NO_SENTENCE = re.compile(r"\n|::|\$\d|sha256|_at\b")

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Functions = dict[str, list[tuple[_Function, ast.Module]]]
"""By name, each with its module."""
_Part = str | ast.expr
"""Of a template: its own words, or a value."""


def collect_said(source: Path) -> set[str]:
    """Every template of the rooms below `source` that a page may show."""
    modules = [
        ast.parse(file.read_text(encoding="utf-8"))
        for file in sorted(source.rglob("*.py"))
        if file.relative_to(source).parts[0] not in _NOT_SHOWN
    ]
    refusals = _subclasses(modules, "PlatformError")
    functions: _Functions = {}
    for module in modules:
        for one in filter(_answers_text, _functions_in(module)):
            functions.setdefault(one.name, []).append((one, module))
    return {text for module in modules for text in _Module(module, refusals, functions).texts()}


def _subclasses(modules: Sequence[ast.Module], name: str) -> set[str]:
    bases = {
        one.name: {_last_name(base) for base in one.bases}
        for module in modules
        for one in ast.walk(module)
        if isinstance(one, ast.ClassDef)
    }
    found: set[str] = {name}
    while more := {one for one, of in bases.items() if of & found} - found:
        found |= more
    return found


class _Module:
    """One module, and what its names and functions stand for."""

    def __init__(self, module: ast.Module, refusals: set[str], functions: _Functions) -> None:
        self._module = module
        self._refusals = refusals
        self._own = _functions_in(module)
        self._functions = {**functions, **{one.name: [(one, module)] for one in self._own if _answers_text(one)}}
        self._found: set[str] = set()
        self._followed: set[str] = set()

    def texts(self) -> set[str]:
        for within in (self._module, *self._own):
            for said in self._sentences(within):
                self._collect(said, (within, self._module), alone=True)
        return self._found | set(_audited(self._module))

    def _sentences(self, within: ast.AST) -> Iterator[ast.expr]:
        for one in _own_nodes(within):
            match one:
                case ast.Call(func=func, args=args) if _last_name(func) in self._refusals | _TELLERS:
                    yield from args
                case ast.keyword(arg=name, value=value) if name in _SENTENCES:
                    yield value
                case ast.Tuple(elts=[ast.Constant(value=grade), says]) if grade in _GRADES:
                    yield says

    def _collect(self, said: ast.expr, within: Sequence[ast.AST], *, alone: bool = False) -> None:
        for parts in _forms(said):
            text = _template(parts)
            words = re.sub(r"%\(\w+\)s", "", text)
            if _NO_SENTENCE.search(words):
                continue
            if (_LETTERS.search(words) and " " in words and text.strip() == text) or (alone and text.isalpha()):
                self._found.add(text)
            for value in parts:
                if isinstance(value, ast.expr):
                    self._follow(value, within)

    def _follow(self, value: ast.expr, within: Sequence[ast.AST]) -> None:
        """Collect what a value may be, where that can be seen: the name's assignments, the function's answers."""
        for one in ast.walk(value):
            match one:
                case ast.Name(id=name) if self._is_new(f"{id(within[0])} {name}"):
                    for assigned in (found for place in within for found in _assigned(name, place)):
                        self._collect(assigned, within)
                case ast.Call(func=func) if self._is_new(_last_name(func)):
                    for called, module in self._functions.get(_last_name(func), ()):
                        for answer in _own_nodes(called):
                            if isinstance(answer, ast.Return) and answer.value is not None:
                                self._collect(answer.value, (called, module))
                case ast.Subscript(value=ast.Name(id=name)):
                    for known in (found for place in within for found in _assigned(name, place)):
                        for chosen in known.values if isinstance(known, ast.Dict) else ():
                            self._collect(chosen, within)
                case ast.IfExp():
                    self._collect(one, within)

    def _is_new(self, followed: str) -> bool:
        new = followed not in self._followed
        self._followed.add(followed)
        return new


def _audited(module: ast.Module) -> Iterator[str]:
    """The names of what a module's audit entries hold, as pages show them."""
    nodes = list(ast.walk(module))
    calls = [one for one in nodes if isinstance(one, ast.Call) and ast.unparse(one.func) == "audit.record"]
    for given in (given for call in calls for given in call.keywords):
        if given.arg is not None:
            yield detail_name(given.arg)
    for one in nodes if any(given.arg is None for call in calls for given in call.keywords) else ():
        if isinstance(one, ast.Dict):
            yield from (detail_name(key.value) for key in one.keys if _is_text(key))


def _is_text(node: ast.expr | None) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _forms(said: ast.expr) -> list[list[_Part]]:
    """What an expression may say, each as parts."""
    match said:
        case ast.Constant(value=str(text)):
            return [[text]]
        case ast.JoinedStr(values=values):
            return _joined([_forms(one) for one in values])
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _joined([_forms(left), _forms(right)])
        case ast.IfExp(body=body, orelse=orelse):
            return _forms(body) + _forms(orelse)
        case ast.FormattedValue(value=value):
            return [[value]]
        case _:
            return [[said]]


def _functions_in(module: ast.Module) -> list[_Function]:
    return [one for one in ast.walk(module) if isinstance(one, _Function)]


def _answers_text(function: _Function) -> bool:
    return function.returns is not None and ast.unparse(function.returns) in ("str", "str | None")


def _own_nodes(within: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function or module without those of the functions in it."""
    for one in ast.iter_child_nodes(within):
        if not isinstance(one, _Function):
            yield one
            yield from _own_nodes(one)


def _assigned(name: str, within: ast.AST) -> Iterator[ast.expr]:
    for one in _own_nodes(within):
        match one:
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                yield value
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                yield from (
                    value
                    for target, value in zip(names, values, strict=False)
                    if isinstance(target, ast.Name) and target.id == name
                )


def _joined(options: Sequence[list[list[_Part]]]) -> list[list[_Part]]:
    forms = [[part for parts in chosen for part in parts] for chosen in product(*options)]
    return forms[:_MOST_FORMS]


def _template(parts: Sequence[_Part]) -> str:
    text, used = "", dict[str, int]()
    for part in parts:
        if isinstance(part, str):
            text += part
        else:
            name = (re.findall(r"[A-Za-z]\w*", ast.unparse(part)) or ["value"])[-1].lower()
            used[name] = used.get(name, 0) + 1
            text += f"%({name}{used[name] if used[name] > 1 else ''})s"
    return text


def _last_name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""
