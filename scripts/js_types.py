"""Types of the JavaScript client, made from the API's own description.

python scripts/js_types.py            # write clients/js/src/types.ts
python scripts/js_types.py --check    # say whether it is not what it should be, and change nothing
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modellix_server.openapi.schemas import SCHEMAS

Schema = dict[str, Any]

FILE = Path(__file__).parents[1] / "clients/js/src/types.ts"
NOTE = "// Made from the API's own description by scripts/js_types.py: change it there.\n"
NAMES = {
    "AcceptedTask": "AcceptedTask",
    "PendingTask": "PendingTask",
    "SucceededTask": "SucceededTask",
    "FailedTask": "FailedTask",
    "Task": "TaskState",
    "Resource": "Resource",
    "Event": "StreamedEvent",
    "ListedTask": "ListedTask",
    "Model": "Model",
    "ModelDetails": "ModelDetails",
    "Quote": "Quote",
    "File": "UploadedFile",
    "Video": "Video",
}
"""What the client uses: schema -> its name there."""
WORDS = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def main() -> int:
    """Write or check the file; the exit status."""
    text = NOTE + "".join(f"\n{one}" for one in declarations())
    if "--check" not in sys.argv[1:]:
        FILE.write_text(text, encoding="utf-8")
    elif FILE.read_text(encoding="utf-8") != text:
        print(f"{FILE.name} is not what the API describes: run scripts/js_types.py")  # noqa: T201 - its purpose
        return 1
    return 0


def declarations() -> Iterator[str]:
    """One exported type after the other."""
    for schema, name in NAMES.items():
        said = SCHEMAS[schema]
        note = comment(said, "")
        if "properties" in said:
            yield f"{note}export interface {name} {type_of(said, '')}\n"
        else:
            yield f"{note}export type {name} = {type_of(said, '')};\n"


def type_of(said: Schema, indent: str) -> str:
    """A schema as a type. KeyError for what none of the schemas has."""
    if "contentSchema" in said:  # the client parses it
        return type_of(said["contentSchema"], indent)
    if reference := said.get("$ref"):
        return NAMES[reference.rpartition("/")[2]]
    if choices := said.get("oneOf"):
        return " | ".join(type_of(one, indent) for one in choices)
    if "const" in said:
        return json.dumps(said["const"])
    if "enum" in said:
        return " | ".join(json.dumps(one) for one in said["enum"])
    kinds = said.get("type", [])
    if kinds == "array":
        choice = {"oneOf", "enum"} & said["items"].keys() or isinstance(said["items"].get("type"), list)
        items = type_of(said["items"], indent)
        return f"({items})[]" if choice else f"{items}[]"
    several = [kinds] if isinstance(kinds, str) else kinds
    return " | ".join(object_of(said, indent) if kind == "object" else WORDS[kind] for kind in several) or "unknown"


def object_of(said: Schema, indent: str) -> str:
    """The fields of an object, each with what the description says about it."""
    deeper = indent + "  "
    lines = []
    for name, field in said.get("properties", {}).items():
        mark = "" if name in said.get("required", ()) else "?"
        lines.append(f"{comment(field, deeper)}{deeper}{name}{mark}: {type_of(field, deeper)};\n")
    if said.get("additionalProperties") or not lines:
        lines.append(f"{deeper}[name: string]: unknown;\n")
    return "{\n" + "".join(lines) + indent + "}"


def comment(said: Schema, indent: str) -> str:
    """What the description says, as documentation."""
    return f"{indent}/** {said['description']} */\n" if "description" in said else ""


if __name__ == "__main__":
    sys.exit(main())
