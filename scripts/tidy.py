"""House rules that no linter knows: sizes, names, import cycles, SQL, left-over notes, paths of one machine.

Usage: tidy.py [DIRECTORY]. Prints `file:line: what` and ends with status 1 when a rule is broken.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

from sql_rules import sql_rules

FILE_LINES, FUNCTION_LINES = 400, 70
CODE = ("src", "tests", "bench", "scripts", "clients", "examples")
SOURCES = ("src", "clients/python/src")
"""Where packages are, each of which may not import itself in a circle."""
TEXT = {".py", ".md", ".sql", ".toml", ".yaml", ".yml", ".sh", ".html", ".js", ".mjs", ".ts", ".css", ".txt", ".json"}
BANNED_NAMES = {"util", "utils"}
# The bracketed letters keep this file from breaking its own rules.
NOTES = re.compile(r"\b(TO[D]O|FIX[M]E|XX[X])\b")
# Former words -> the term of docs/glossary.md. They are refused in names of files, and in any name in Python.
FORMER_WORDS = {
    "afterlook": "late results",
    "bury": "release dead workers",
    "contactsheet": "model gallery",
    "desk": "context",
    "doorbell": "callback notifier",
    "leftover": "orphan cleanup",
    "nudge": "signal",
    "patience": "time budget",
    "purse": "team",
    "thaw": "unfreeze",
    "trail": "request context",
    "trait": "capabilities",
}
NAME_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
MACHINE_PATHS = re.compile(r"(?<!\w)/(h[o]me/\w+/|U[s]ers/\w+/|w[o]rk/|r[o]ot/\.)")


def main(top: Path) -> int:
    """Check the tree and return the exit status."""
    broken = [*texts(top), *classes_twice(top / "src"), *sql_rules(top)]
    for source in SOURCES:
        broken += cycles(top / source)
    for folder in CODE:
        broken += [*code(top / folder), *former_words(top / folder)]
    for finding in broken:
        print(finding)  # noqa: T201 - its purpose
    return 1 if broken else 0


def files(top: Path) -> Iterator[Path]:
    """Yield the files below a folder, hidden folders and locked requirements aside."""
    for path in sorted(top.rglob("*")):
        parts = path.relative_to(top).parts
        ours = not any(part.startswith(".") or part in {"__pycache__", "node_modules", "data"} for part in parts)
        if ours and path.is_file() and path.suffix in TEXT and "requirements" not in parts:
            yield path


def texts(top: Path) -> Iterator[str]:
    """Find left-over notes and paths of one machine in any text file."""
    for path in files(top):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for rule, what in ((NOTES, "left-over note"), (MACHINE_PATHS, "path of one machine")):
                if found := rule.search(line):
                    yield f"{path}:{number}: {what}: {found[0]}"


def code(folder: Path) -> Iterator[str]:
    """Find files and functions that are too long, and names that say nothing."""
    for path in files(folder):
        if path.suffix != ".py":
            continue
        text = path.read_text(encoding="utf-8")
        if (lines := len(text.splitlines())) > FILE_LINES:
            yield f"{path}:1: {lines} lines; at most {FILE_LINES}"
        if BANNED_NAMES & {path.stem, path.parent.name}:
            yield f"{path}:1: name it after what it does"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES:
                    yield f"{path}:{node.lineno}: {node.name} has {length} lines; at most {FUNCTION_LINES}"


def classes_twice(source: Path) -> Iterator[str]:
    """Find public classes that have the name of another one."""
    first: dict[str, Path] = {}
    for path in files(source):
        if path.suffix == ".py":
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                public = isinstance(node, ast.ClassDef) and not node.name.startswith("_")
                if public and first.setdefault(node.name, path) != path:
                    yield f"{path}:{node.lineno}: a class {node.name} is in {first[node.name].relative_to(source)} too"


def former_words(folder: Path) -> Iterator[str]:
    """Find words in names that the glossary has replaced."""
    for path in files(folder):
        if path.suffix != ".py":
            continue
        named = [(1, path.stem), *names(ast.parse(path.read_text(encoding="utf-8")))]
        for word in sorted({(line, word) for line, name in named for word in FORMER_WORDS.keys() & words(name)}):
            yield f"{path}:{word[0]}: '{word[1]}' is called '{FORMER_WORDS[word[1]]}' now"


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield every name that Python code defines or uses, with its line."""
    for node in ast.walk(tree):
        match node:
            case (
                ast.Name(id=name)
                | ast.Attribute(attr=name)
                | ast.arg(arg=name)
                | ast.keyword(arg=str(name))
                | ast.alias(name=name)
                | ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                yield node.lineno, name


def words(name: str) -> set[str]:
    """Return the words of a name in the singular, and each two neighbours as one."""
    parts = [part.lower().removesuffix("s") for part in NAME_PART.findall(name)]
    return {*parts, *(one + other for one, other in pairwise(parts))}


def cycles(source: Path) -> Iterator[str]:
    """Find modules that import each other when they are loaded."""
    modules = {module_name(path, source): path for path in files(source) if path.suffix == ".py"}
    graph = {name: imports(name, path, modules) for name, path in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield f"{source}: import cycle: {' <- '.join(error.args[1])}"


def module_name(path: Path, source: Path) -> str:
    """Return the dotted name of a file."""
    parts = path.relative_to(source).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(name: str, path: Path, modules: dict[str, Path]) -> set[str]:
    """Return what of ours is imported while the module is loaded: not in functions, not for type checking."""
    wanted: set[str] = set()
    pending: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            pending += node.orelse
            continue
        if isinstance(node, ast.Import):
            wanted |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            known = members & modules.keys()
            # A name that is no module of its own comes from the package's own code.
            wanted |= known | ({node.module} if known != members else set())
        pending += ast.iter_child_nodes(node)
    return (wanted & modules.keys()) - {name}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1])))
