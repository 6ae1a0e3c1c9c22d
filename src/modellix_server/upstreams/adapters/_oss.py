"""Alibaba Cloud's object storage, as its other services lend it for inputs: files go there by a form with a policy.

Facts: help.aliyun.com (Object Storage Service, PostObject) and the client of Model Studio.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from modellix_server.upstreams.contract import Busy, Failed, Http, Order

MIB = 1024 * 1024


class Policy(msgspec.Struct, frozen=True):
    """What the storage wants to see of an upload, signed by the service that lends it."""

    policy: str
    signature: str
    upload_dir: str
    upload_host: str
    oss_access_key_id: str
    x_oss_object_acl: str
    x_oss_forbid_overwrite: str | bool
    max_file_size_mb: float | None = None

    def form(self, key: str) -> dict[str, str]:
        """The fields that go before the file."""
        return {
            "OSSAccessKeyId": self.oss_access_key_id,
            "Signature": self.signature,
            "policy": self.policy,
            "x-oss-object-acl": self.x_oss_object_acl,
            "x-oss-forbid-overwrite": str(self.x_oss_forbid_overwrite).lower(),
            "key": key,
            "success_action_status": "200",
        }


async def put_files(policy: Policy, order: Order, http: Http) -> Order | Busy | Failed:
    """The order with all its files stored under one policy, and named `oss://…`. Raises NotSent or AnswerLost."""
    most = policy.max_file_size_mb
    names: dict[str, str] = {}
    for index, (text, file) in enumerate(order.files.items()):
        if most is not None and file.size > most * MIB:
            return Failed("invalid_input", f"the vendor takes files of {most:g} MB at most, got {file.size:,} bytes")
        key = f"{policy.upload_dir}/{index}-{file.name}"  # two results of ours may have the same name
        stored = await http.upload(policy.upload_host, policy.form(key), file)
        if stored.status != 200:
            return Busy(f"the vendor's storage answered {stored.status}")
        names[text] = f"oss://{key}"
    return replace(order, params=_renamed(dict(order.params), names))


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    match value:
        case str():
            return names.get(value, value)
        case list():
            return [_renamed(one, names) for one in value]
        case dict():
            return {key: _renamed(one, names) for key, one in value.items()}
        case _:
            return value
