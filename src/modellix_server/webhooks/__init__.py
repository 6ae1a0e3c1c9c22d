"""Webhooks about ended tasks, and alerts: endpoints, signatures, deliveries."""

from modellix_server.webhooks.alerts import (
    BALANCE_LOW,
    BUDGET_THRESHOLD,
    Alert,
    AlertChoice,
    LowBalance,
    send_alerts,
    take_low,
    told_of_budgets,
)
from modellix_server.webhooks.delivery import Deliverer
from modellix_server.webhooks.endpoints import (
    NO_ALERTS,
    SEALED,
    Endpoint,
    change,
    create,
    delete,
    find,
    list_all,
    rotate,
    team_secret,
)
from modellix_server.webhooks.messages import Delivery, deliveries, deliveries_of_task, drop_old, replay, replay_failed
from modellix_server.webhooks.signing import message_name
from modellix_server.webhooks.target import TaskLink, check_url, task_link
