"""The vendor's temporary storage: policies that are signed and expire, uploads by form, files named `oss://…`.

As strict as its object storage: an expired or altered policy, a key outside its folder, a file that is there
already and a request that carries the API key are refused. A file is good for one model and one account.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modellix_server.sandbox import forms, wire
from modellix_server.sandbox.protocols.dashscope import answers
from modellix_server.sandbox.protocols.dashscope.fields import DashScopeRefusal, invalid
from modellix_server.sandbox.spool import SandboxSpool
from modellix_server.sandbox.store import MemoryStore

PATH = "/oss"
"""The path of the storage in this app; the vendor has a host of its own for it."""
SCHEME = "oss://"
EXPIRES_IN_S = 300
KEEP_S = 24 * 3600
"""Half as long as the vendor: no file stays here longer."""
MOST_MB = 100
_MIB = 1024 * 1024
_BUCKET = "dashscope-file"
_ACCESS_KEY = "sandbox-access-key"
_FORM = ("OSSAccessKeyId", "Signature", "policy", "key")


@dataclass(frozen=True, slots=True)
class Owned:
    """A file in the storage, and who may use it for what."""

    path: Path
    account: str
    model: str


class DashScopeUploads:
    """Policies and files of all accounts."""

    def __init__(self, spool: SandboxSpool, *, clock: Any = time.time) -> None:
        self._spool = spool
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._folders: MemoryStore[tuple[str, str]] = MemoryStore(keep_s=KEEP_S)
        self._files: MemoryStore[Owned] = MemoryStore(keep_s=KEEP_S)

    def policy(self, account: str, asked: dict[str, str], models: Any, host: str) -> dict[str, Any]:
        """The answer to `uploads?action=getPolicy&model=…`. Raises Refusal."""
        if asked.get("action") != "getPolicy":
            raise invalid("action must be getPolicy")
        model = asked.get("model", "")
        if model not in models:
            raise invalid("Model not exist.")
        folder = f"dashscope-instant/{secrets.token_hex(16)}/{datetime.now(UTC):%Y-%m-%d}/{secrets.token_hex(8)}"
        self._folders.put(folder, (account, model))
        expires = datetime.fromtimestamp(self._clock() + EXPIRES_IN_S, UTC)
        conditions = [
            {"bucket": _BUCKET},
            ["content-length-range", 1, MOST_MB * _MIB],
            ["starts-with", "$key", folder],
        ]
        text = json.dumps({"expiration": f"{expires:%Y-%m-%dT%H:%M:%S.000Z}", "conditions": conditions})
        policy = base64.b64encode(text.encode()).decode()
        told = {
            "policy": policy,
            "signature": self._sign(policy),
            "upload_dir": folder,
            "upload_host": host + PATH,
            "expire_in_seconds": EXPIRES_IN_S,
            "max_file_size_mb": MOST_MB,
            "capacity_limit_mb": 999_999_999,
            "oss_access_key_id": _ACCESS_KEY,
            "x_oss_object_acl": "private",
            "x_oss_forbid_overwrite": "true",
        }
        return {"request_id": answers.request_id(), "data": told, "output": told}

    async def receive(self, scope: wire.Scope, receive: wire.Receive, send: wire.Send) -> None:
        """Answer a request to the storage; errors are XML, as there."""
        try:
            if scope["method"] != "POST":
                raise _Denied(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
            if wire.header(scope, b"authorization"):
                raise _Denied(400, "InvalidArgument", "Only one auth mechanism allowed: the form carries it.")
            body = await wire.read_body(receive, (MOST_MB + 1) * _MIB)
            self._store(_form(wire.header(scope, b"content-type"), body))
        except _Denied as denied:
            text = f'<?xml version="1.0"?><Error><Code>{denied.code}</Code><Message>{denied.message}</Message></Error>'
            await wire.answer(send, denied.status, text.encode(), b"application/xml")
        except wire.BodyOverCap:
            await wire.answer(send, 400, b"<Error><Code>EntityTooLarge</Code></Error>", b"application/xml")
        except wire.Gone:
            return
        else:
            await wire.answer(send, 200, b"", b"text/plain")

    def _store(self, form: dict[str, bytes]) -> None:
        key = _text(form, "key")
        conditions = self._conditions(form)
        _, least, most = next(one for one in conditions if one[0] == "content-length-range")
        folder = next(one[2] for one in conditions if one[0] == "starts-with")
        owner = self._folders.get(folder)
        if owner is None or not key.startswith(f"{folder}/"):
            raise _Denied(403, "AccessDenied", "Invalid according to Policy: Policy Condition failed.")
        if not least <= len(form["file"]) <= most:
            raise _Denied(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size.")
        if self._files.get(key) is not None:
            raise _Denied(
                409, "FileAlreadyExists", "The object you specified already exists and can not be overwritten."
            )
        path = self._spool.new_path(".bin")
        path.write_bytes(form["file"])
        self._spool.add(path)  # under a name that nobody is told
        self._files.put(key, Owned(path, *owner))

    def _conditions(self, form: dict[str, bytes]) -> list[Any]:
        policy = _text(form, "policy")
        if _text(form, "OSSAccessKeyId") != _ACCESS_KEY:
            raise _Denied(403, "InvalidAccessKeyId", "The OSS Access Key Id you provided does not exist.")
        if not hmac.compare_digest(self._sign(policy), _text(form, "Signature")):
            raise _Denied(403, "SignatureDoesNotMatch", "The request signature we calculated does not match.")
        said = json.loads(base64.b64decode(policy))
        if datetime.fromisoformat(said["expiration"]).timestamp() <= self._clock():
            raise _Denied(403, "AccessDenied", "Invalid according to Policy: Policy expired.")
        conditions: list[Any] = [one for one in said["conditions"] if isinstance(one, list)]
        return conditions

    def _sign(self, policy: str) -> str:
        return base64.b64encode(hmac.digest(self._secret, policy.encode(), hashlib.sha1)).decode()

    def require(self, links: list[str], account: str, model: str, *, resolve: bool) -> None:
        """Refuse `oss://` names in a submission that this account cannot use for this model."""
        for link in links:
            if not resolve:
                raise DashScopeRefusal(
                    400,
                    "InvalidParameter.DataInspection",
                    "Unable to download the media resource during the data inspection process.",
                )
            owned = self._files.get(link.removeprefix(SCHEME))
            if owned is None or (owned.account, owned.model) != (account, model) or not owned.path.exists():
                raise DashScopeRefusal(
                    400, "InvalidParameter", "The oss resource does not exist or belongs to another model."
                )

    def read(self, link: str) -> bytes:
        """The bytes of a file that `require` let pass. Raises FileNotFoundError when it has gone since."""
        owned = self._files.get(link.removeprefix(SCHEME))
        if owned is None:
            raise FileNotFoundError(link)
        return owned.path.read_bytes()


class _Denied(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def _text(form: dict[str, bytes], name: str) -> str:
    return form[name].decode("ascii", "replace").replace("\ufffd", "?")


def _form(content_type: str | None, body: bytes) -> dict[str, bytes]:
    """The fields up to the file: what comes after it is ignored there, so it must not be anything that counts."""
    try:
        parts = forms.read(content_type, body)
    except forms.BrokenForm as error:
        raise _Denied(400, "MalformedPOSTRequest", str(error)) from error
    found: dict[str, bytes] = {}
    for part in parts:
        found[part.name] = part.data
        if part.name == "file":
            break
    absent = [name for name in (*_FORM, "file") if name not in found]
    if absent:
        raise _Denied(400, "InvalidArgument", f"The form has no field {absent[0]} before its file.")
    return found
