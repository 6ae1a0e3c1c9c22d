"""The engine: tasks from accept to settlement. The only room that knows money, results and upstreams together."""

from modellix_server.tasks.accounts import Account, FindAccount, api_path
from modellix_server.tasks.afterlook import look_again
from modellix_server.tasks.breakers import Breaker, Breakers, list_open
from modellix_server.tasks.callbacks import Callbacks, Doorbell
from modellix_server.tasks.canceling import cancel
from modellix_server.tasks.deletion import delete_result
from modellix_server.tasks.delivered import StoredResult
from modellix_server.tasks.engine import HINT_CHANNEL, Worker
from modellix_server.tasks.errors import (
    ConcurrencyExceeded,
    IdempotencyMismatch,
    NotCancelable,
    TooManyFollowers,
    Unfinished,
)
from modellix_server.tasks.follow import Hub, Watch
from modellix_server.tasks.intake import Intake
from modellix_server.tasks.listing import USAGE_GROUPS, ListedTask, TaskFilter, Usage, list_tasks, usage
from modellix_server.tasks.media import Media
from modellix_server.tasks.public import public_form
from modellix_server.tasks.queue import QueueNow, queue_now
from modellix_server.tasks.read import Question, Reader, TaskView, views
from modellix_server.tasks.restored import end_doubtful
from modellix_server.tasks.store import forget_idempotency_keys, note_death, review, start_waiting
from modellix_server.tasks.story import Review, Story, reviews, story
from modellix_server.tasks.submit import Accepted, Submission, Submissions
from modellix_server.tasks.tools import Tools
from modellix_server.tasks.verify import end_stray_holds, look, verify
from modellix_server.tasks.witness import Witness, take_words

__all__ = [
    "HINT_CHANNEL",
    "USAGE_GROUPS",
    "Accepted",
    "Account",
    "Callbacks",
    "ConcurrencyExceeded",
    "Doorbell",
    "FindAccount",
    "Hub",
    "ListedTask",
    "IdempotencyMismatch",
    "Intake",
    "Media",
    "NotCancelable",
    "Question",
    "Reader",
    "Review",
    "StoredResult",
    "Story",
    "Submission",
    "Submissions",
    "TaskFilter",
    "TaskView",
    "TooManyFollowers",
    "Tools",
    "Unfinished",
    "Usage",
    "Watch",
    "Witness",
    "Worker",
    "api_path",
    "cancel",
    "delete_result",
    "end_doubtful",
    "end_stray_holds",
    "forget_idempotency_keys",
    "list_tasks",
    "look",
    "look_again",
    "note_death",
    "public_form",
    "Breaker",
    "Breakers",
    "QueueNow",
    "list_open",
    "queue_now",
    "review",
    "reviews",
    "start_waiting",
    "story",
    "take_words",
    "usage",
    "verify",
    "views",
]
