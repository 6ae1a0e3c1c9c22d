"""The engine: tasks from accept to settlement. The only room that knows money, results and upstreams together."""

from modellix_server.tasks.breakers import Breaker, Breakers, list_open
from modellix_server.tasks.canceling import cancel
from modellix_server.tasks.crash_marker import CrashMarker, take_marks
from modellix_server.tasks.deletion import delete_result
from modellix_server.tasks.errors import (
    ConcurrencyExceeded,
    IdempotencyMismatch,
    NotCancelable,
    TooManyFollowers,
    Unfinished,
)
from modellix_server.tasks.follow import LONGEST_WAIT_S, Subscription, SubscriptionHub
from modellix_server.tasks.history import TaskHistory, TaskStep, course, story
from modellix_server.tasks.input_redaction import redact_inputs
from modellix_server.tasks.intake import Intake
from modellix_server.tasks.late_results import look_again
from modellix_server.tasks.listing import (
    ListedTask,
    TaskFilter,
    find_task,
    ways_used,
)
from modellix_server.tasks.model_health import ModelHealth, ModelHealthReader
from modellix_server.tasks.overview import (
    AccountHealth,
    ListedWorker,
    TaskFailures,
    account_health,
    count_unfinished,
    failures_since,
    list_workers,
)
from modellix_server.tasks.read import Reader, TaskQuery, TaskView, public_form, views
from modellix_server.tasks.restored import end_doubtful
from modellix_server.tasks.reviews import (
    DECISIONS,
    Review,
    ReviewDecided,
    ReviewDecision,
    count_reviews,
    decide_review,
    list_reviews,
)
from modellix_server.tasks.routing import Destination, Routing, VendorAccount, account_address, api_path
from modellix_server.tasks.rules import StoredFile, StoredResult
from modellix_server.tasks.search import add_block, list_tasks, to_index
from modellix_server.tasks.sendings import Sending, SendingOutcome, begin_sending, end_sending, forget_sendings
from modellix_server.tasks.signals import CallbackNotifier, Callbacks
from modellix_server.tasks.steps import Tools
from modellix_server.tasks.store import (
    QueueNow,
    forget_idempotency_keys,
    note_death,
    open_team,
    queue_now,
    review,
    start_waiting,
)
from modellix_server.tasks.submit import Accepted, Submission, Submissions
from modellix_server.tasks.usage_sums import (
    MOST_NEW,
    SUM_GROUPS,
    UsageFilter,
    UsageRead,
    UsageSum,
    add_usage,
    usage_sums,
)
from modellix_server.tasks.verify import CHECKS, checks, end_stray_holds, look, verify
from modellix_server.tasks.worker import HINT_CHANNEL, Worker
