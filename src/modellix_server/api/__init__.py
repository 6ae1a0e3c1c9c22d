"""HTTP for programs: the public contract under `/api/v1`, result files, health."""

from modellix_server.api.app import build_app, on_every_answer
from modellix_server.api.context import ApiContext
from modellix_server.api.hot.client_connection import CONNECTION
from modellix_server.api.hot.connection_clock import close_overdue
from modellix_server.api.hot.connection_limit import ConnectionLimit
from modellix_server.api.hot.protocol import HttpProtocol
