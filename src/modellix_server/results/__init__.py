"""Result files and uploads: fetched, stored, linked, expired. `inspection` examines them."""

from modellix_server.results.expiry import delete_expired, delete_orphans, delete_result, discard
from modellix_server.results.fetch import Fetcher, InlineResult, RemoteResult, Resource
from modellix_server.results.helper_process import Helper
from modellix_server.results.inputs import INPUT_TTL_S, drop_inputs, save_inputs, stored_input_path
from modellix_server.results.kept_inputs import KeptInputs
from modellix_server.results.links import (
    check_file_link,
    check_link,
    file_link,
    is_ours,
    link,
    own_file_link,
    own_link,
    own_sample,
)
from modellix_server.results.receiving import UploadBody, given_file, received_file
from modellix_server.results.spool import Scratch, Spool
from modellix_server.results.storage import (
    MOST_READ_BYTES,
    TROUBLE,
    FetchError,
    FetchGone,
    FetchLater,
    FetchNever,
    Opened,
    RangeNotSatisfiable,
    Storage,
    TooBig,
)
from modellix_server.results.store import find_inputs, resources
from modellix_server.results.uploads import MOST_UPLOAD_BYTES, Upload, Uploads, redact_names
