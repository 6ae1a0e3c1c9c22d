"""What tests share, one module for each thing: none of them is collected.

PYTEST_DONT_REWRITE: only this file, which is loaded when it says that the others' assertions explain themselves.
"""

import pytest

pytest.register_assert_rewrite(__name__)
