import re
import time
from urllib.parse import urlsplit

import pytest

from modellix_server.base.errors import InvalidFormat, NotFound
from modellix_server.base.ids import uuid7
from modellix_server.base.secret import Secret
from modellix_server.base.settings import Settings
from modellix_server.results import RangeNotSatisfiable, check_link, link, own_link, own_sample


def made(secret=b"s" * 32):
    return Settings(
        database_url="", owner_database_url="", storage_url="", secret=Secret(secret), master_key=Secret(b"m" * 32),
        sandbox_url="", public_url="https://gate.example/base/",
    )  # fmt: skip


SETTINGS = made()
SOON = int(time.time()) + 3600


def opened(url, settings=SETTINGS):
    path, _, query = url.removeprefix("https://gate.example/base").partition("?")
    return check_link(settings, path, query)


def test_a_link_leads_to_its_file_and_back():
    task = uuid7()
    url = link(SETTINGS, task, 2, "mp4", SOON)
    assert url.startswith(f"https://gate.example/base/results/task-{task.hex}/2.mp4?expires={SOON}&signature=")
    assert urlsplit(url).path.endswith("/2.mp4")
    assert opened(url) == f"results/{task.hex}/2.mp4"
    for own in (url, f"{url}#t=2", url.replace("https://gate", "HTTPS://Gate")):
        assert own_link(SETTINGS, own) == f"results/{task.hex}/2.mp4"


def test_any_change_to_a_link_breaks_it():
    url = link(SETTINGS, uuid7(), 0, "png", SOON)
    for change in (
        url.replace("/0.png", "/1.png"),
        url.replace(".png", ".html"),
        url.replace(f"expires={SOON}", f"expires={SOON + 1}"),
        url[:-1] + ("0" if url[-1] != "0" else "1"),
        re.sub(r"task-.", "task-f", url),
        url + "&x=1",
        url.replace("/results/", "/results/../results/"),
        url.partition("?")[0],
        url.replace("signature=", "signature=%30"),
    ):
        with pytest.raises(NotFound):
            opened(change)
        with pytest.raises(InvalidFormat):
            own_link(SETTINGS, change)
    with pytest.raises(NotFound):
        opened(url, made(b"other" * 8))
    with pytest.raises(NotFound):
        opened(link(SETTINGS, uuid7(), 0, "png", int(time.time())))


def test_foreign_links_are_not_ours():
    for url in (
        "https://example.com/results/task-0/0.png",
        "https://gate.example/results/x",
        "https://gate.example/base",
    ):
        assert own_link(SETTINGS, url) is None


def test_samples_are_known_by_their_exact_link():
    cat = own_sample(SETTINGS, "https://gate.example/base/samples/cat.jpg")
    assert cat is not None
    assert cat.read_bytes()[:3] == b"\xff\xd8\xff"
    for url in ("https://gate.example/samples/cat.jpg", "https://example.com/base/samples/cat.jpg", "cat.jpg"):
        assert own_sample(SETTINGS, url) is None
    for name in ("", "dog.jpg", "cat.jpg?x=1", "../samples.py", "%2e%2e/samples.py", "cat.jpg/"):
        with pytest.raises(InvalidFormat):
            own_sample(SETTINGS, f"https://gate.example/base/samples/{name}")


async def drained(file):
    return b"".join([chunk async for chunk in file.chunks])


DATA = bytes(range(256)) * 4000


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        (None, 0, len(DATA)), ("", 0, len(DATA)), ("bytes=0-0", 0, 1), ("bytes=0-", 0, len(DATA)), ("bytes=5-9", 5, 10),
        ("bytes=1000000-99999999", 1000000, len(DATA)), ("bytes=-7", len(DATA) - 7, len(DATA)),
        ("bytes=-99999999", 0, len(DATA)), ("bytes=0-1,5-6", 0, len(DATA)), ("bytes=9-5", 0, len(DATA)),
        ("bytes=-", 0, len(DATA)), ("items=0-1", 0, len(DATA)), ("bytes=a-b", 0, len(DATA)),
    ],
)  # fmt: skip
async def test_ranges(storage, header, start, end):
    await storage.put("results/x/0.mp4", DATA)
    file = await storage.open("results/x/0.mp4", header)
    assert (file.size, file.start, file.end) == (len(DATA), start, end)
    assert file.partial == (end - start < len(DATA))
    assert await drained(file) == DATA[start:end]


async def test_ranges_beyond_the_end_and_missing_files(storage):
    await storage.put("a", b"12345")
    for header in ("bytes=5-", "bytes=5-6", "bytes=-0", f"bytes={10**18}-"):
        with pytest.raises(RangeNotSatisfiable) as caught:
            await storage.open("a", header)
        assert caught.value.size == 5
    for header in (None, "bytes=0-1"):
        with pytest.raises(FileNotFoundError):
            await storage.open("b", header)
    await storage.delete(["b", "a", "b"])
    with pytest.raises(FileNotFoundError):
        await storage.read("a")
