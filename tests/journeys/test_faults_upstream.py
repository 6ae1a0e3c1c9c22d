"""A vendor that misbehaves in every way the sandbox knows: right end, right money, one accepted POST at most."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from modellix_server import vault
from modellix_server.base.ids import parse_task_name
from modellix_server.base.settings import load
from modellix_server.catalogue.registry import BUILT_IN
from modellix_server.sandbox.directives import KNOWN

PICTURE, MANY, FILM = "alibaba/qwen-image-plus", "alibaba/wan2.6-t2i", "alibaba/wan2.6-t2v"
HURRIED, HURRIED_EDIT = "alibaba/hurried", "alibaba/hurried-edit"
"""An operator's models whose deadlines, of the task and of its submission, are short enough to be waited for."""
EDIT = "alibaba/qwen-image-edit-plus"

NOT_SENT_AGAIN = "the connection to the vendor was lost; the task was not charged and was not sent again"
UNCLEAR = (
    "submission_outcome_unknown",
    (
        "Submission outcome unknown: the vendor's answer does not say whether it took the task on; "
        "the task was not charged and was not sent again"
    ),
)
UNKNOWN = ("submission_outcome_unknown", f"Submission outcome unknown: {NOT_SENT_AGAIN}")
NOT_FINISHED = ("upstream_refused", "Upstream refused: the vendor could not finish the task")
DEADLINE = ("deadline", "Deadline: the vendor did not finish in time")
PRICES = {PICTURE: 17_200, HURRIED: 17_200, MANY: 30_000, FILM: 100_000, EDIT: 30_000, HURRIED_EDIT: 30_000}


@dataclass(frozen=True)
class Fault:
    """What is asked of the sandbox, and what must come of it."""

    mark: str
    error: tuple[str, str] | None = None
    """Code and message; None for success."""
    model: str = PICTURE
    posts: tuple[bool, ...] = (True,)
    """The POSTs the vendor gets, and whether it accepts each."""
    units: int = 0
    """Pictures or seconds that we charge."""
    vendor_units: int | None = None
    """What the vendor charges us; None: the same."""
    review: str = ""
    """How the note for the operator begins; empty for none."""


FAULTS = (
    Fault(
        "refuse", ("invalid_input", "Invalid input: The request was refused, as its prompt asked for."), posts=(False,)
    ),
    Fault(
        "moderate",
        ("content_rejected", "Content rejected: Input data may contain inappropriate content."),
        posts=(False,),
    ),
    Fault("throttle", posts=(False, True), units=1),
    Fault("throttle=2", posts=(False, False, True), units=1),
    Fault("error", UNCLEAR, posts=(False,), review="submission outcome unknown"),
    Fault("error=1", UNCLEAR, posts=(False,), review="submission outcome unknown"),
    Fault("error-accepted", UNCLEAR, vendor_units=1, review="submission outcome unknown"),
    Fault("lost", UNKNOWN, vendor_units=1, review="submission outcome unknown"),
    Fault("garbage", UNCLEAR, vendor_units=1, review="submission outcome unknown"),
    Fault("queue=1", units=1),
    Fault("slow=1", units=1),
    Fault("slow=1", model=FILM, units=2),
    Fault("badword=1", units=1, review="unmapped answer"),
    Fault("fail", NOT_FINISHED),
    Fault("fail=InternalError.Timeout", NOT_FINISHED),
    Fault(
        "fail=DataInspectionFailed", ("content_rejected", "Content rejected: The task failed, as its prompt asked for.")
    ),
    Fault("fail=InvalidParameter.X", ("invalid_input", "Invalid input: The task failed, as its prompt asked for.")),
    Fault("fail=NeverHeardOf", NOT_FINISHED),
    Fault("partial", NOT_FINISHED),
    Fault("partial", model=MANY, units=3),
    Fault("overbill", units=1, vendor_units=2, review="measurements differ"),
    Fault("overbill", model=FILM, units=2, vendor_units=4, review="measurements differ"),
    Fault(
        "vanish",
        ("result_unavailable", "Result unavailable: the vendor answered 404 for the result file"),
        vendor_units=1,
        review="result unavailable",
    ),
    Fault(
        "huge",
        ("result_unavailable", "Result unavailable: the image could not be fetched: the answer is larger than allowed"),
        vendor_units=1,
        review="result unavailable",
    ),
    Fault(
        "mistyped",
        (
            "result_unavailable",
            "Result unavailable: the file is not a supported image, video or audio file: its format is HTML",
        ),
        vendor_units=1,
        review="result unavailable",
    ),
    Fault("never", DEADLINE, model=HURRIED),
    Fault(
        "arrears", ("deadline", "Deadline: the task could not be started in time"), model=HURRIED, posts=(False, False)
    ),
    Fault("lost", UNKNOWN, model=EDIT, vendor_units=1, review="submission outcome unknown"),
    Fault("fail=InternalError", UNCLEAR, model=EDIT, review="submission outcome unknown"),
    Fault("slow=1", model=EDIT, units=1),
    Fault("slow=3", UNKNOWN, model=HURRIED_EDIT, vendor_units=1, review="submission outcome unknown"),
)


SLOW = (FILM, HURRIED, HURRIED_EDIT, "throttle=2", "vanish")
"""Models and marks that take five seconds and more."""


def test_every_directive_is_tried() -> None:
    assert {fault.mark.partition("=")[0] for fault in FAULTS} == set(KNOWN)


@pytest.fixture(scope="module")
async def hurried(postgres_server, tmp_path_factory, stage):
    """A platform whose operator has added two models in a hurry."""
    folder: Path = tmp_path_factory.mktemp("hurried")
    place = folder / "catalogue/alibaba"
    place.mkdir(parents=True)
    for name, source, was, becomes in (
        ("hurried", "qwen-image-plus", "\ndeadline_s = 12600 ", "\ndeadline_s = 4 "),
        ("hurried-edit", "qwen-image-edit-plus", "\nsubmit_deadline_s = 300 ", "\nsubmit_deadline_s = 1 "),
    ):
        told = (BUILT_IN / f"alibaba/{source}.toml").read_text()
        assert was in told
        (place / f"{name}.toml").write_text(told.replace(was, becomes).replace(f'"{source}"\n', f'"{name}"\n', 1))
    async with stage(postgres_server, folder, catalogue_dir=str(folder / "catalogue")) as opened:
        yield opened
        await opened.books_are_clean()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, marks=pytest.mark.full if fault.model in SLOW or fault.mark in SLOW else ())
        for fault in FAULTS
    ],
    ids=lambda fault: f"{fault.mark}-{fault.model.partition('/')[2]}",
)
async def test_a_fault(hurried, draw, fault: Fault) -> None:
    team = await hurried.team()
    given = {"prompt": f"[sandbox:{fault.mark}] {fault.model}"}
    if fault.model == FILM:
        given |= {"size": "1280*720", "duration": 2}
    if fault.model in (EDIT, HURRIED_EDIT):
        given["images"] = [draw.data_uri(draw.picture())]
    task = (await team.submit(fault.model, **given)).data["task_id"]
    quote = (await hurried.row(task))["quote"]
    # By the ledger: some of these tasks end before their balance could be looked at.
    held = "select amount from ledger.transfer where task_id = $1 and kind = 'hold'"
    assert await hurried.pool.fetch(held, parse_task_name(task)) == [(quote,)]
    data = await team.finish(task, 90)

    error = (data["error"]["code"], data["error"]["message"]) if "error" in data else None
    assert error == fault.error
    assert data["status"] == ("failed" if fault.error else "success")
    charged = fault.units * PRICES[fault.model]
    assert data["billing"]["amount"] == charged / 1e6
    assert await hurried.balance_of(team) == (100_000_000 - charged, 0)
    kinds = await hurried.pool.fetch("select kind from ledger.transfer where team_id = $1 order by id", team.id)
    ends = [row["kind"] for row in kinds][2:]
    assert len([kind for kind in ends if kind in ("capture", "release")]) == len(ends) <= 2
    assert ends.count("capture") == (charged > 0)

    bill = await settled_bill(hurried, task, fault)
    assert tuple(line["accepted"] for line in bill) == fault.posts
    assert len({line["attempt"] for line in bill}) == len(bill)
    vendor_units = fault.units if fault.vendor_units is None else fault.vendor_units
    assert sum(line["images"] or line["seconds"] for line in bill) == vendor_units
    reviews = await hurried.reviews(task)
    assert len(reviews) == bool(fault.review)
    assert all(reason.startswith(fault.review) for reason in reviews), reviews


async def settled_bill(platform, task: str, fault: Fault) -> list[dict]:
    """The vendor's bill once it has ended what it accepted, except what never ends."""
    give_up = time.monotonic() + 60
    while True:
        bill = await platform.bill(task)
        open_lines = [line for line in bill if line["accepted"] and line["finished_at"] is None]
        if not open_lines or fault.mark == "never":
            return bill
        assert time.monotonic() < give_up
        await asyncio.sleep(0.1)


async def test_a_vendor_that_is_gone(hurried) -> None:
    """Nobody listens there: nothing was sent, so it is tried again until the deadline."""
    team = await hurried.team(live=True)
    settings = load(hurried.env)
    await vault.set_account(
        hurried.pool, settings.keyring, "dashscope", "sk-x", base_url="http://127.0.0.1:9", region="cn"
    )
    while (answer := await team.submit(HURRIED, prompt="a")).status == 503:
        pass
    data = await team.finish(answer.data["task_id"])
    assert data["error"]["code"] == "deadline"
    assert await hurried.balance_of(team) == (100_000_000, 0)
