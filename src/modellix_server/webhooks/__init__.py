"""Webhooks about ended tasks: endpoints, signatures, deliveries."""

from modellix_server.webhooks.delivery import Deliverer
from modellix_server.webhooks.endpoints import (
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
