"""The engine: tasks from accept to settlement. The only room that knows money, results and upstreams together."""

from modellix_server.tasks.accounts import Account, FindAccount, api_path
from modellix_server.tasks.delivered import StoredResult
from modellix_server.tasks.engine import HINT_CHANNEL, Worker
from modellix_server.tasks.errors import ConcurrencyExceeded, IdempotencyMismatch, NotCancelable
from modellix_server.tasks.listing import USAGE_GROUPS, ListedTask, TaskFilter, Usage, list_tasks, usage
from modellix_server.tasks.media import Media
from modellix_server.tasks.read import Question, Reader, TaskView, cancel
from modellix_server.tasks.restored import end_doubtful
from modellix_server.tasks.store import forget_idempotency_keys
from modellix_server.tasks.story import Review, Story, reviews, story
from modellix_server.tasks.submit import Accepted, Submission, Submissions
from modellix_server.tasks.tools import Tools
from modellix_server.tasks.verify import verify

__all__ = [
    "HINT_CHANNEL",
    "USAGE_GROUPS",
    "Accepted",
    "Account",
    "ConcurrencyExceeded",
    "FindAccount",
    "ListedTask",
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
    "TaskFilter",
    "TaskView",
    "Tools",
    "Usage",
    "Worker",
    "api_path",
    "cancel",
    "end_doubtful",
    "forget_idempotency_keys",
    "list_tasks",
    "reviews",
    "story",
    "usage",
    "verify",
]
