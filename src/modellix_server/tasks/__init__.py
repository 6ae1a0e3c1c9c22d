"""The engine: tasks from accept to settlement. The only room that knows money, results and upstreams together."""

from modellix_server.tasks.accounts import Account, FindAccount, api_path
from modellix_server.tasks.engine import HINT_CHANNEL, Worker
from modellix_server.tasks.errors import ConcurrencyExceeded, IdempotencyMismatch, NotCancelable, TooManyFollowers
from modellix_server.tasks.follow import Hub, Watch
from modellix_server.tasks.media import Media, StoredResult
from modellix_server.tasks.public import public_form
from modellix_server.tasks.read import Question, Reader, TaskView, cancel, views
from modellix_server.tasks.store import forget_idempotency_keys, review
from modellix_server.tasks.story import Review, Story, reviews, story
from modellix_server.tasks.submit import Accepted, Submission, Submissions
from modellix_server.tasks.tools import Tools
from modellix_server.tasks.verify import verify

__all__ = [
    "HINT_CHANNEL",
    "Accepted",
    "Account",
    "ConcurrencyExceeded",
    "FindAccount",
    "Hub",
    "IdempotencyMismatch",
    "Media",
    "NotCancelable",
    "Question",
    "Reader",
    "Review",
    "StoredResult",
    "Story",
    "Submission",
    "Submissions",
    "TaskView",
    "TooManyFollowers",
    "Tools",
    "Watch",
    "Worker",
    "api_path",
    "cancel",
    "forget_idempotency_keys",
    "public_form",
    "review",
    "reviews",
    "story",
    "verify",
    "views",
]
