"""Runs the examples of models against a running platform, as any client with a test key does."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

_MOST_ANSWER_BYTES = 512 * 1024 * 1024
_MOST_REFUSALS = 40


class NoSuccessError(Exception):
    """A call or a task did not succeed; the message is the platform's, or says what happened to the connection."""


@dataclass(frozen=True, slots=True)
class GalleryFile:
    """A file that went in or came out."""

    name: str
    kind: str
    """image, video or audio."""
    data: bytes


@dataclass(slots=True)
class GalleryRun:
    """One example of one model and what became of it."""

    slug: str
    type: str
    price: str
    """In words."""
    submit_url: str
    example: dict[str, Any]
    inputs: list[GalleryFile] = field(default_factory=list)
    results: list[GalleryFile] = field(default_factory=list)
    error: str | None = None
    amount_usd: float | None = None
    seconds: float = 0.0
    """From submission to the end, as the platform tells it: what the gallery itself waited for is not in it."""

    @property
    def words(self) -> str:
        """What tells this example from others: its text, or else its parameters."""
        given = {key: value for key, value in self.example.items() if not any(_links(value))}
        said = [_plain(given.pop(key)) for key in ("function", "text", "prompt", "ref_prompt") if key in given]
        return " - ".join(said) or ", ".join(f"{key} {value}" for key, value in given.items())


class Client:
    """A client of the platform at `origin` with one key. Waits where it is told to."""

    def __init__(self, http: aiohttp.ClientSession, origin: str, key: str) -> None:
        self._http = http
        self._origin = origin
        self._headers = {"Authorization": f"Bearer {key}"}

    async def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """The `data` of a success; `path` may be a whole URL. Raises NoSuccessError."""
        data = None if body is None else msgspec.json.encode(body)
        headers = {**self._headers, "Content-Type": "application/json"}
        url = path if path.startswith("http") else self._origin + path
        for _ in range(_MOST_REFUSALS):
            try:
                async with self._http.request(method, url, headers=headers, data=data) as answer:
                    told = msgspec.json.decode(await answer.read())
                    wait = answer.headers.get("Retry-After")
            except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
                raise NoSuccessError(f"{self._origin} does not answer as it should: {error!r}") from error
            if answer.status == 200:
                found: dict[str, Any] = told["data"]
                return found
            if answer.status not in (429, 503) or wait is None:
                break
            await asyncio.sleep(int(wait) + 0.1)
        raise NoSuccessError(str(told["message"]))

    async def load(self, url: str) -> bytes:
        """A file behind a link. Raises NoSuccessError."""
        try:
            async with self._http.get(url, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise NoSuccessError(f"a file answers with HTTP {answer.status}")
                data = await answer.content.read(_MOST_ANSWER_BYTES)
                while more := await answer.content.read(_MOST_ANSWER_BYTES):
                    data += more
                    if len(data) > _MOST_ANSWER_BYTES:
                        raise NoSuccessError("a file is too large for a gallery")
                return data
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NoSuccessError(f"a file cannot be loaded: {error!r}") from error


async def runs_of(client: Client, slug: str) -> list[GalleryRun]:
    """One for every example on the page of a model. Raises NoSuccessError."""
    page = await client.call("GET", f"/api/v1/models/{slug}")
    price, url = _price(page.get("price")), page["submit"]["url"]
    return [GalleryRun(slug, page["type"], price, url, example) for example in page["schema"]["examples"]]


async def carry_out(client: Client, run: GalleryRun) -> None:
    """Run the example; whatever happens is noted in it."""
    try:
        await _run(client, run)
    except NoSuccessError as error:
        run.error = str(error)


async def _run(client: Client, run: GalleryRun) -> None:
    receipt = await client.call("POST", run.submit_url, run.example)
    for url in _links(run.example):
        with contextlib.suppress(NoSuccessError):  # an operator's example may have a link that only the vendor reaches
            run.inputs.append(GalleryFile(_name(url), _kind(url), await client.load(url)))
    task = receipt
    while task["status"] == "pending":  # until the task's own deadline
        task = await client.call("GET", f"/api/v1/tasks/{receipt['task_id']}?wait=true")
    run.seconds = task["duration"] / 1000
    if task["status"] != "success":
        raise NoSuccessError(task["error"]["message"])
    run.amount_usd = task["billing"]["amount"]
    for resource in task["result"]["resources"]:
        url = resource["url"]
        run.results.append(GalleryFile(_name(url), resource["type"], await client.load(url)))


def _plain(value: object) -> str:
    return ", ".join(map(str, value.values())) if isinstance(value, dict) else str(value)


def _price(price: dict[str, Any] | None) -> str:
    if price is None:
        return "no list price"
    if "fixed" in price:
        return f"{price['fixed']:g} {price['unit']}"
    return f"{price['min']:g} to {price['max']:g} {price['unit']}"


def _links(value: object) -> Iterator[str]:
    """Links in an example, at any depth, in order."""
    if isinstance(value, str):
        if value.startswith(("http://", "https://")):
            yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _links(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _links(part)


def _name(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


def _kind(url: str) -> str:
    suffix = _name(url).rpartition(".")[2].lower()
    return {"mp4": "video", "mov": "video", "mp3": "audio", "wav": "audio"}.get(suffix, "image")
