"""One request as code: what a program sends to get what the playground shows. The key stays in the environment."""

from __future__ import annotations

import json
import pprint
import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

from modellix_server.catalogue import Model


class Sample(NamedTuple):
    """The request in one language."""

    language: str
    text: str


def samples(origin: str, model: Model, body: Mapping[str, Any]) -> list[Sample]:
    """The request as a shell, Python, JavaScript and the command line of our client send it."""
    url = f"{origin}/api/v1/{model.type}/{model.slug}/async"
    return [
        Sample("curl", _curl(url, body)),
        Sample("Python", _python(url, body)),
        Sample("JavaScript", _javascript(url, body)),
        Sample("CLI", _command(model, body)),
    ]


def pretty(body: Mapping[str, Any]) -> str:
    """JSON for reading."""
    return json.dumps(body, ensure_ascii=False, indent=2)


def _curl(url: str, body: Mapping[str, Any]) -> str:
    return (
        f"curl -sS -X POST {shlex.quote(url)} \\\n"
        '  -H "Authorization: Bearer $MODELLIX_API_KEY" \\\n'
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(pretty(body))}"
    )


def _command(model: Model, body: Mapping[str, Any]) -> str:
    """The command `modellix` of clients/python: a flag for each parameter."""
    words = []
    for name, value in body.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
            continue
        simple = isinstance(value, list) and all(isinstance(one, str | int | float) for one in value)
        for one in value if simple else [value]:
            text = one if isinstance(one, str) else json.dumps(one, ensure_ascii=False)
            words.append(f"{flag} {shlex.quote(text)}" if not text.startswith("-") else f"{flag}={shlex.quote(text)}")
    return " \\\n  ".join([f"modellix run {model.slug}", *words])


def _python(url: str, body: Mapping[str, Any]) -> str:
    literal = pprint.pformat(dict(body), sort_dicts=False, width=88)
    return f"""import json
import os
import time
import urllib.request


def call(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {{"Authorization": f"Bearer {{os.environ['MODELLIX_API_KEY']}}", "Content-Type": "application/json"}}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as answer:
        return json.load(answer)["data"]


body = {literal}
task = call({url!r}, body)
while task["status"] == "pending":
    time.sleep(1)
    task = call({url.partition("/api/")[0] + "/api/v1/tasks/"!r} + task["task_id"])
print([resource["url"] for resource in task["result"]["resources"]])"""


def _javascript(url: str, body: Mapping[str, Any]) -> str:
    return f"""const headers = {{
  Authorization: `Bearer ${{process.env.MODELLIX_API_KEY}}`,
  "Content-Type": "application/json",
}};
const call = async (url, body) => {{
  const answer = await fetch(url, {{ method: body ? "POST" : "GET", headers, body }});
  if (!answer.ok) throw new Error(await answer.text());
  return (await answer.json()).data;
}};

const body = {pretty(body)};
let task = await call({json.dumps(url)}, JSON.stringify(body));
while (task.status === "pending") {{
  await new Promise((resolve) => setTimeout(resolve, 1000));
  task = await call(`{url.partition("/api/")[0]}/api/v1/tasks/${{task.task_id}}`);
}}
console.log(task.result.resources.map((resource) => resource.url));"""
