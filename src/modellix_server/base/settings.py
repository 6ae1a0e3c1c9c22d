"""Settings: declared once, read once from the environment, typed and frozen; nothing else reads the environment.

Each field of `Settings` declares a variable: name, type, bounds, default and help. The table in the documentation is
`markdown()`, and a test compares the two. In the embedded mode a data directory gives some of the values
(`embedded.data_directory`).
"""

import ipaddress
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from modellix_server.base.addresses import Network
from modellix_server.base.envelope import Keyring, MasterKeys
from modellix_server.base.secret import Secret, weakness
from modellix_server.base.sign_up_policy import SignUpPolicy
from modellix_server.base.support_contact import SupportContact

_PREFIX = "MODELLIX_"
_TEN_YEARS_S = 315_360_000
_ORIGIN = Meta(pattern=r"^https?://[^\s/?#@]+[^\s?#]*$")


class BadSettings(ValueError):
    """A variable is missing, malformed or too weak; the message names it."""


def _variable(
    about: str, default: Any = MISSING, bounds: Meta | None = None, *, shown: str = "", secret: bool = False
) -> Any:
    """A field that is a variable. `shown` is how the documentation names a default that is computed."""
    metadata = {"help": about, "bounds": bounds or Meta(), "shown": shown, "secret": secret}
    given: dict[str, Any] = {"default_factory": default} if callable(default) else {"default": default}
    return field(repr=not secret, metadata=metadata, **given)


@dataclass(frozen=True)
class Settings:
    """Everything a process needs to know about where it runs. Times are seconds."""

    database_url: str = _variable(
        "`postgresql://modellix_app:…`; a direct connection, not a transaction pooler", secret=True
    )
    owner_database_url: str = _variable(
        "the owner's role, for `migrate` only", shown="`MODELLIX_DATABASE_URL`", secret=True
    )
    storage_url: str = _variable("`file:///…`, `s3://…`, `gs://…` or `az://…`; must be the same for all processes")
    secret: Secret = _variable(  # noqa: RUF009 - a field
        "32 random bytes (`openssl rand -base64 32`): pepper of API keys, signs links", secret=True
    )
    master_key: Secret = _variable(  # noqa: RUF009
        "another 32 random bytes: encrypt vendor keys and webhook secrets", secret=True
    )
    sandbox_url: str = _variable("origin of the sandbox, to which tasks of test keys are sent")
    public_url: str = _variable(
        "origin of links to results, samples and tasks; the sandbox reads it too",
        "http://127.0.0.1:8000",
        shown="`http://HOST:PORT`",
    )
    docs_url: str = _variable(
        "another origin for the documentation, which is then at the root of that host alone",
        "",
        shown="`/docs` below `MODELLIX_PUBLIC_URL`",
    )
    docs_after_s: float = _variable(
        "seconds after the start of `serve` at which the documentation is made, which takes a processor 3 s; "
        "who reads it earlier waits for that",
        3.0,
        Meta(ge=0, le=_TEN_YEARS_S),
    )
    results_url: str = _variable(
        "another origin for result links; files are then served under that host alone",
        "",
        shown="`MODELLIX_PUBLIC_URL`",
    )
    host: str = _variable("address that `serve` and `up` bind", "127.0.0.1")
    port: int = _variable("port that `serve` and `up` bind", 8000, Meta(ge=1, le=65_535))
    spool_dir: str = _variable(
        "local space for files in transfer; should survive a restart of the worker",
        tempfile.gettempdir,
        shown="the temporary directory",
    )
    allow_networks: tuple[Network, ...] = _variable(
        "private networks that outbound requests may reach, such as `10.0.0.0/8`; for development", ()
    )
    trusted_proxies: tuple[Network, ...] = _variable(
        "networks of the reverse proxies in front, whose `X-Forwarded-For` names the client; else it is ignored",
        (),
    )
    address_rpm: int = _variable(
        "requests per minute that one address (of IPv6 a /64) may send without a valid API key, pages included; "
        "behind a proxy only with `MODELLIX_TRUSTED_PROXIES`",
        0,
        Meta(ge=0, le=1_000_000),
        shown="no limit",
    )
    catalogue_dir: str = _variable("folder of your own model files; they replace built-in ones", "")
    openai_models: tuple[str, ...] = _variable(
        "names of models for OpenAI's clients, such as `sora-2=minimax/hailuo-2.3-t2v`", ()
    )
    drain_s: float = _variable(
        "seconds that `serve` still accepts connections after SIGTERM, while `/readyz` answers 503",
        5.0,
        Meta(ge=0, le=3_600),
        shown="`5`; `0` with `up`",
    )
    lease_s: float = _variable("seconds after which a silent worker loses its tasks", 30.0, Meta(ge=1, le=3_600))
    result_ttl_s: int = _variable(
        "seconds after completion at which results are deleted", 86_400, Meta(ge=1, le=_TEN_YEARS_S)
    )
    upload_ttl_s: int = _variable("seconds after which uploads are deleted", 604_800, Meta(ge=60, le=_TEN_YEARS_S))
    upload_quota_bytes: int = _variable(
        "bytes of uploads that a team may keep, in each mode", 2_000_000_000, Meta(ge=0)
    )
    metrics_address: str = _variable(
        "`HOST:PORT` for `GET /metrics` of `serve` and of `work`, which uses the next port with `up`", ""
    )
    smtp_url: str = _variable(
        "mail server: `smtp://user:password@host:587` (STARTTLS) or `smtps://…:465`; without one, no mail is sent",
        "",
        secret=True,
    )
    mail_from: str = _variable("address that mail comes from, such as `Modellix <no-reply@example.com>`", "")
    mail_dir: str = _variable(
        "folder for messages as `.eml` files, where no mail server is set",
        "",
        shown="none; `mail` in the data directory with `up`",
    )
    sign_up: SignUpPolicy = _variable(  # noqa: RUF009 - a field
        "who may sign up: `invited`, `open`, or addresses of domains: `domain:example.com`",
        SignUpPolicy(),
        shown="`invited`",
    )
    starter_credit_usd: float = _variable(
        "USD of live credit that the first team of somebody who signs up starts with", 0.0, Meta(ge=0, le=10_000)
    )
    stripe_secret_key: str = _variable(
        "Stripe's secret or restricted key of live mode (`sk_live_…`, `rk_live_…`): teams recharge by Checkout",
        "",
        Meta(pattern=r"^(sk|rk)_live_\w{16,}$"),
        secret=True,
    )
    stripe_webhook_secrets: tuple[str, ...] = _variable(
        "signing secrets (`whsec_…`) of Stripe's events to `/payments/stripe/events`; two while one replaces the other",
        (),
        Meta(pattern=r"^whsec_\S{24,}$"),
        secret=True,
    )
    stripe_url: str = _variable("origin of Stripe's API; another one for tests", "https://api.stripe.com")
    google_client_id: str = _variable("OAuth client that lets people sign in with Google", "")
    google_client_secret: str = _variable("its secret", "", secret=True)
    github_client_id: str = _variable("OAuth app that lets people sign in with GitHub", "")
    github_client_secret: str = _variable("its secret", "", secret=True)
    github_url: str = _variable("GitHub, or a GitHub Enterprise Server", "https://github.com", _ORIGIN)
    oidc_issuer: str = _variable(
        "issuer of an OpenID provider that lets people sign in: `https://id.example.com`", "", _ORIGIN
    )
    oidc_client_id: str = _variable("client at that provider", "")
    oidc_client_secret: str = _variable("its secret", "", secret=True)
    oidc_name: str = _variable("name of that provider on buttons", "Single sign-on")
    support_contact: tuple[SupportContact, ...] = _variable(
        "where people find help: an address of mail, of a page, or both; at the foot of every page", ()
    )
    log_level: Literal["debug", "info", "warning", "error"] = _variable("`debug`, `info`, `warning` or `error`", "info")
    old_master_keys: tuple[Secret, ...] = _variable(
        "former master keys; needed until a rotation is complete", (), secret=True
    )
    reread_master_keys: Callable[[], MasterKeys] | None = field(default=None, compare=False)
    """Reads the master keys again, where they can change under a running process (embedded mode)."""

    @cached_property
    def keyring(self) -> Keyring:
        """Seals and opens what is stored encrypted."""
        return Keyring(self.master_key, self.old_master_keys, reread=self.reread_master_keys)

    @cached_property
    def public_origin(self) -> str:
        """`public_url` without a trailing slash."""
        return self.public_url.rstrip("/")

    @cached_property
    def docs_origin(self) -> str:
        """What the addresses of the documentation's pages begin with, without a trailing slash."""
        return self.docs_url.rstrip("/") or f"{self.public_origin}/docs"

    @cached_property
    def results_origin(self) -> str:
        """Where result links lead, without a trailing slash."""
        return (self.results_url or self.public_url).rstrip("/")


_TOGETHER = (
    ("google_client_id", "google_client_secret"),
    ("github_client_id", "github_client_secret"),
    ("oidc_issuer", "oidc_client_id", "oidc_client_secret"),
)
"""Variables that are of use together only."""


class Variable(NamedTuple):
    """One environment variable, for the documentation and for reading it."""

    name: str
    type: str
    default: str
    """In words; empty where there is none, so that nothing starts without it outside the embedded mode."""
    help: str
    secret: bool = False
    """Not passed on to child processes."""


_OUTSIDE = (
    Variable("MODELLIX_DATA", "text", "`data`", "the data directory, for every command"),
    Variable("MODELLIX_POSTGRES_BIN", "text", "the package's", "folder with `postgres` and `initdb`, for `up`"),
)
"""Variables that select the source of settings, or are used before settings are read."""

_SHOWN = (str, tuple[str, ...])
"""Types of which an error quotes the value."""
_TYPES = {str: "text", int: "integer", float: "number", Secret: "base64", Network: "network"}
_TYPES = {str: "text", int: "integer", float: "number", Secret: "base64", Network: "network", SupportContact: "text"}


def variables() -> Iterator[Variable]:
    """Every variable that an operator may set, in the order of the documentation."""
    for declared, kind in _declarations():
        about = declared.metadata
        name = _PREFIX + declared.name.upper()
        yield Variable(name, _type_name(kind), _default(declared), about["help"], about["secret"])
    yield from _OUTSIDE


def markdown() -> str:
    """The table of all variables for the documentation; those marked * have no default."""
    rows = [
        f"| `{one.name}`{'' if one.default else ' *'} | {one.type} | {one.default} | {one.help} |"
        for one in variables()
    ]
    return "\n".join(["| variable | type | default | meaning |", "| --- | --- | --- | --- |", *rows, ""])


def load(env: Mapping[str, str], given: Mapping[str, str] | None = None) -> Settings:
    """Settings from `MODELLIX_*` variables over `given` values (by field name). An empty variable counts as not set.

    Raises BadSettings, naming the variable, when one is missing, malformed, out of bounds or too weak.
    """
    texts = {**(given or {})}
    texts |= {
        name.removeprefix(_PREFIX).lower(): text for name, text in env.items() if name.startswith(_PREFIX) and text
    }
    found = _read(texts)
    if found["secret"] == found["master_key"]:
        raise BadSettings("MODELLIX_MASTER_KEY must not be the same as MODELLIX_SECRET")
    if bool(found.get("stripe_secret_key")) != bool(found.get("stripe_webhook_secrets")):
        raise BadSettings("MODELLIX_STRIPE_SECRET_KEY and MODELLIX_STRIPE_WEBHOOK_SECRETS need each other")
    for names in _TOGETHER:
        missing = [_PREFIX + name.upper() for name in names if not found.get(name)]
        if 0 < len(missing) < len(names):
            raise BadSettings(f"{' and '.join(missing)} must be set too")
    found.setdefault("owner_database_url", found["database_url"])
    host, port = found.get("host", Settings.host), found.get("port", Settings.port)
    found.setdefault("public_url", f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
    return Settings(**found)


def master_keys_of(texts: Mapping[str, str]) -> MasterKeys:
    """The master keys among values named like the fields of `Settings`; BadSettings names what is wrong."""
    found = _read(texts, only=("master_key", "old_master_keys"))
    return found["master_key"], found.get("old_master_keys", ())


def _declarations() -> Iterator[tuple[Field[Any], Any]]:
    """The fields of `Settings` that are variables, each with its type."""
    kinds = get_type_hints(Settings)
    return ((declared, kinds[declared.name]) for declared in fields(Settings) if declared.metadata)


def _read(texts: Mapping[str, str], only: tuple[str, ...] = ()) -> dict[str, Any]:
    """Convert what is given. Raises BadSettings."""
    found = {}
    for declared, kind in _declarations():
        name = declared.name
        if only and name not in only:
            continue
        if text := texts.get(name, "").strip():
            try:
                found[name] = _convert(text, kind, declared.metadata["bounds"])
            except ValueError as error:
                what = (
                    "is not of the form that it must have" if declared.metadata["secret"] and kind in _SHOWN else error
                )
                raise BadSettings(f"{_PREFIX}{name.upper()} {what}") from None
        elif not _default(declared):
            raise BadSettings(f"{_PREFIX}{name.upper()} is not set")
    return found


def _convert(text: str, kind: Any, bounds: Meta) -> Any:
    """A value of this type; ValueError says what is wrong, in words that follow the variable's name."""
    if get_origin(kind) is tuple:
        return tuple(_convert(part.strip(), get_args(kind)[0], bounds) for part in text.split(",") if part.strip())
    if kind is Secret:
        secret = Secret.of(text)
        if why := weakness(secret):
            raise ValueError(f"{why}: make one with `openssl rand -base64 32`")
        return secret
    if kind is SignUpPolicy:
        return SignUpPolicy.of(text)
    if kind is SupportContact:
        return SupportContact.of(text)
    if kind == Network:
        try:
            return ipaddress.ip_network(text)
        except ValueError as error:
            raise ValueError(f"must be networks, such as 10.0.0.0/8: {error}") from None
    try:
        return msgspec.convert(text, Annotated[kind, bounds], strict=False)
    except msgspec.ValidationError as error:
        wanted = str(error).partition(",")[0].removeprefix("Expected ")
        wanted = wanted.replace("`int`", "a whole number").replace("`float`", "a number")
        if get_origin(kind) is Literal:
            wanted = f"one of {', '.join(get_args(kind))}"
        raise ValueError(f"must be {wanted}, not {text!r}") from None


def _type_name(kind: Any) -> str:
    if get_origin(kind) is tuple:
        return f"{_type_name(get_args(kind)[0])}, …"
    return _TYPES.get(kind, "word")


def _default(declared: Field[Any]) -> str:
    """The default as the documentation shows it; empty when there is none."""
    if text := declared.metadata["shown"]:
        return str(text)
    match declared.default:
        case _ if declared.default is MISSING:
            return ""
        case "" | ():
            return "none"
        case float(value):
            return f"`{value:g}`"
        case value:
            return f"`{value}`"
