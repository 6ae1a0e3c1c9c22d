"""Result files and uploads: fetched, examined, stored, linked, expired."""

from modellix_server.results.errors import FetchError, FetchGone, FetchLater, FetchNever
from modellix_server.results.expiry import delete_expired, delete_orphans, delete_result, discard
from modellix_server.results.fetch import Fetcher, InlineResult, RemoteResult, Resource
from modellix_server.results.formats import FORMATS, Format, Kind, sniff
from modellix_server.results.helper_process import Helper
from modellix_server.results.inputs import STORED, InputFile, drop_inputs, read_input, save_inputs, take_inputs
from modellix_server.results.links import check_link, link, looks_own, own_link, own_sample
from modellix_server.results.messages import Probed, Refused
from modellix_server.results.spool import Scratch, Spool
from modellix_server.results.storage import MOST_READ_BYTES, TROUBLE, Opened, RangeNotSatisfiable, Storage, TooBig

__all__ = [
    "Scratch",
    "Spool",
    "Helper",
    "Storage",
    "TROUBLE",
    "MOST_READ_BYTES",
    "TooBig",
    "Fetcher",
    "InlineResult",
    "RemoteResult",
    "Resource",
    "FetchError",
    "FetchLater",
    "FetchNever",
    "FetchGone",
    "Probed",
    "Refused",
    "STORED",
    "InputFile",
    "take_inputs",
    "save_inputs",
    "drop_inputs",
    "read_input",
    "link",
    "looks_own",
    "own_link",
    "own_sample",
    "check_link",
    "Opened",
    "RangeNotSatisfiable",
    "discard",
    "delete_expired",
    "delete_orphans",
    "delete_result",
    "FORMATS",
    "Format",
    "Kind",
    "sniff",
]
