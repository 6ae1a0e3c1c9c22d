"""Every operation has a row in the table, and asks for that permission before anything else."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from modellix_server import operations
from modellix_server.operations.principal import OF_AN_OPERATOR, Forbidden, Permission, Principal
from modellix_server.operations.table import OPERATIONS

ROOM = Path(operations.__file__).parent
CONTEXTS = {"Context", "ServingContext"}


def public_operations(module: str, source: str) -> Iterator[tuple[str, str | None]]:
    """`module.function` and the permission that its first statement requires, if it does."""
    for node in ast.parse(source).body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        kinds = [ast.unparse(one.annotation) if one.annotation else "" for one in node.args.args[:2]]
        if len(kinds) == 2 and kinds[0] in CONTEXTS and kinds[1] == "Principal":
            yield f"{module}.{node.name}", required(node)


def required(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str | None:
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    match body[0]:
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(value=ast.Name(id="who"), attr="require"),
                args=[ast.Attribute(value=ast.Name(id="Permission"), attr=name), *_],
            )
        ):
            return Permission[name]
    return None


def found() -> dict[str, str | None]:
    return {
        name: permission
        for path in sorted(ROOM.rglob("*.py"))
        for name, permission in public_operations(
            ".".join(path.relative_to(ROOM).with_suffix("").parts), path.read_text(encoding="utf-8")
        )
    }


def test_every_operation_has_a_row_and_asks_for_its_permission_first() -> None:
    assert found() == dict(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
async def test_who_has_not_the_permission_is_refused_before_anything_is_touched(name: str) -> None:
    """With every other permission, and nothing in the place of the context and of what else is asked for."""
    module, _, function = name.rpartition(".")
    operation = getattr(import_module(f"modellix_server.operations.{module}"), function)
    required = [one for one in inspect.signature(operation).parameters.values() if one.default is one.empty][2:]
    places = [None for one in required if one.kind is one.POSITIONAL_OR_KEYWORD]
    names = {one.name: None for one in required if one.kind is one.KEYWORD_ONLY}
    who = Principal("somebody", OF_AN_OPERATOR - {OPERATIONS[name]}, "here")

    async def call() -> None:
        done = operation(None, who, *places, **names)
        if inspect.isawaitable(done):
            await done

    with pytest.raises(Forbidden, match=f"you may not {OPERATIONS[name]}"):
        await call()


def test_an_operation_without_a_row_or_a_check_is_found() -> None:
    source = '''
async def careless(ctx: Context, who: Principal) -> None:
    """Do it."""
    await ctx.db.execute("x")

async def careful(ctx: ServingContext, who: Principal, of: int) -> None:
    who.require(Permission.OPERATE)

async def helper(ctx: Context) -> None:
    pass
'''
    assert list(public_operations("m", source)) == [("m.careless", None), ("m.careful", Permission.OPERATE)]
