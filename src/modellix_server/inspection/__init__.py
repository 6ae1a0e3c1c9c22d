"""Examines files and large request bodies in a confined process.

That process (`helper`) reads untrusted data. It imports no database, no HTTP client and no storage.
"""

from modellix_server.inspection.formats import (
    FORMATS,
    HEAD_BYTES,
    Format,
    Kind,
    Wanted,
    head_tells,
    identify,
    sniff,
    unsupported,
)
from modellix_server.inspection.heif import still_size_of
from modellix_server.inspection.inputs import STORED, UPLOADED, InputFile, as_sent, take_inputs
from modellix_server.inspection.messages import (
    LENGTH,
    Extract,
    Extracted,
    Probe,
    Probed,
    Refused,
    Reply,
    Request,
    Unkept,
    decode_replies,
    encode_requests,
)
