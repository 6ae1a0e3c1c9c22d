"""No secret passes a logger, whoever hands it over and however."""

from __future__ import annotations

import subprocess
import sys

import pytest

PLANTED = {
    "our key": "mdlx-test-Ab94x6cMG1234567890abcdefghijklmnopqr",
    "vendor key": "sk-0123456789abcdef0123",
    "webhook secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "header": "Bearer abcdefghijklmnopqrstuvwxyz012345",
    "link": "https://files.test/a.png?Signature=verysecretsignature",
    "database": "postgresql://modellix_app:hunter2hunter2@db/modellix",
}
RAISED = "try:\n    raise ValueError(SECRET)\nexcept ValueError:\n    "
WAYS = {
    "event": "LOG.warning(SECRET)",
    "value": "LOG.warning('x', value=SECRET)",
    "nested": "LOG.warning('x', value={'a': [SECRET]})",
    "object": "LOG.warning('x', value=ValueError(SECRET))",
    "exception": RAISED + "LOG.exception('x')",
    "library": "logging.getLogger('lib').warning('got %s', SECRET)",
    "library exception": RAISED + "logging.getLogger('lib').exception('x')",
    "bound": "LOG.bind(key=SECRET).warning('x')",
}
HIDDEN = ("Ab94x6cMG", "0123456789abcdef", "MfKQ9r8GKY", "abcdefghijklmnopqrstuvwxyz", "verysecret", "hunter2")


@pytest.mark.parametrize("way", WAYS)
def test_secrets_do_not_pass(way):
    program = (
        "import logging\nfrom modellix_server.base import log\nlog.set_up('test', 'debug')\nLOG = log.get('test')\n"
    )
    for secret in PLANTED.values():
        program += f"SECRET = {secret!r}\n{WAYS[way]}\n"
    program += "LOG.warning('end', at=1.5, on=True, nothing=None)\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == len(PLANTED) + 1
    assert '"at": 1.5, "on": true, "nothing": null' in lines[-1]
    for hidden in HIDDEN:
        assert hidden not in done.stderr
