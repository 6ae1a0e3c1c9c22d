"""The generation server: what a key may do through the API, as tools for agents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import mcp_types as mcp
import msgspec
from mcp.server import ServerRequestContext
from mcp.server.caching import CacheHint
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from modellix_server.base import log, time_budget
from modellix_server.base.errors import PlatformError, Unavailable
from modellix_server.mcp import file_tools, model_tools, task_tools
from modellix_server.mcp import tool_arguments as takes
from modellix_server.mcp.answers import ToolAnswer, arguments, card, failed, portable, schema_of, shape_of
from modellix_server.mcp.calls import call_of
from modellix_server.mcp.tool_context import ToolContext
from modellix_server.openapi.shapes import Schema, array, flag, obj, only, or_null, text, whole
from modellix_server.operations.context import OUT_OF_REACH, ServingContext

NAME = "Modellix generation"
_INSTRUCTIONS = """\
Makes pictures and videos with the models of this Modellix installation, paid for by the team of the API key.
Find a model with modellix_list_models, read its parameters with modellix_get_schema, ask for the price with \
modellix_quote, submit with modellix_submit_task (set max_cost), then call modellix_wait_task until the status is \
success or failed. Results are links that anybody can download for a limited time. A failed task costs nothing. \
Never submit again because an answer was lost: repeat the same call with the same idempotency_key."""
_LOG = log.get("mcp")
_READS, _ADDS, _ENDS = (
    mcp.ToolAnnotations(read_only_hint=True, open_world_hint=False),
    mcp.ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True),
    mcp.ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False),
)


@dataclass(frozen=True, slots=True)
class GenerationTool:
    """One tool: what it is called, takes and gives, and what it does."""

    name: str
    title: str
    about: str
    takes: type[msgspec.Struct]
    gives: Schema
    hints: mcp.ToolAnnotations
    run: Callable[[ToolContext, Any], Awaitable[ToolAnswer]]

    def described(self) -> mcp.Tool:
        """As the protocol lists it."""
        return mcp.Tool(
            name=self.name,
            title=self.title,
            description=self.about,
            input_schema=schema_of(self.takes),
            output_schema=portable(self.gives),
            annotations=self.hints,
        )


_TASK, _FILE, _RECEIPT = shape_of("Task"), shape_of("File"), shape_of("AcceptedTask")
_CURSOR = or_null(text("Send it as `cursor` for the next ones; null at the end"))
TOOLS = (
    GenerationTool(
        "modellix_list_models",
        "List models",
        "Lists the models that make images and videos, with type, price and documentation. Narrow it by type, "
        "provider, category or words.",
        takes.ListModels,
        obj(models=array(shape_of("Model")), total=whole(minimum=0), next_page=or_null(whole())),
        _READS,
        model_tools.list_models,
    ),
    GenerationTool(
        "modellix_get_schema",
        "Describe a model",
        "The JSON Schema of a model's input, its price list, its deadline and an example that works.",
        takes.GetSchema,
        shape_of("ModelDetails"),
        _READS,
        model_tools.get_schema,
    ),
    GenerationTool(
        "modellix_quote",
        "Ask for a price",
        "The most that a task with this input can cost, in USD. Nothing is run or charged.",
        takes.AskQuote,
        shape_of("Quote"),
        _READS,
        model_tools.quote,
    ),
    GenerationTool(
        "modellix_submit_task",
        "Run a model",
        "Accepts one paid generation and returns its task_id at once. The price is held now and charged on success "
        "only, never more than the quote; max_cost refuses a dearer task. Follow it with modellix_wait_task.",
        takes.SubmitTask,
        {
            **_RECEIPT,
            "required": [*_RECEIPT["required"], "replayed", "idempotency_key"],
            "properties": {
                **_RECEIPT["properties"],
                "replayed": flag("Whether an earlier call with this key made the task"),
                "idempotency_key": text("Repeat the call with it if its outcome is unclear"),
            },
        },
        _ADDS,
        task_tools.submit,
    ),
    GenerationTool(
        "modellix_get_task",
        "Read a task",
        "A task as it is now: pending, success with links to its files, or failed with the reason.",
        takes.NameTask,
        _TASK,
        _READS,
        task_tools.get,
    ),
    GenerationTool(
        "modellix_wait_task",
        "Wait for a task",
        "Waits until a task has ended or the time is up, with notifications of progress. If it is still pending, "
        "call it again.",
        takes.WaitTask,
        _TASK,
        _READS,
        task_tools.wait,
    ),
    GenerationTool(
        "modellix_cancel_task",
        "Cancel a task",
        "Cancels a task that has not begun at the vendor; it costs nothing then. One that has begun is refused.",
        takes.NameTask,
        obj(status=text(), task_id=text(), maybe={"cancel": only("requested", "Not decided yet")}),
        _ENDS,
        task_tools.cancel,
    ),
    GenerationTool(
        "modellix_upload_file",
        "Upload a file",
        "Keeps a picture, clip or sound for some days; its file_id or url is an input of models.",
        takes.UploadFile,
        _FILE,
        _ADDS,
        file_tools.upload,
    ),
    GenerationTool(
        "modellix_list_files",
        "List uploaded files",
        "The team's uploaded files, the latest first.",
        takes.ListFiles,
        obj(files=array(_FILE), next_cursor=_CURSOR),
        _READS,
        file_tools.list_files,
    ),
    GenerationTool(
        "modellix_delete_file",
        "Delete an uploaded file",
        "Deletes an uploaded file: its link and id stop working at once.",
        takes.NameFile,
        obj(file_id=text(), deleted=flag()),
        _ENDS,
        file_tools.delete_file,
    ),
)
"""In the order in which agents need them."""


def build_generation(ctx: ServingContext) -> tuple[Server[Any], bytes]:
    """The server, and its card."""
    tools: Mapping[str, GenerationTool] = {tool.name: tool for tool in TOOLS}
    described = [tool.described() for tool in TOOLS]
    schemas = {tool.name: tool.input_schema for tool in described}

    async def list_tools(_: ServerRequestContext[Any], __: object) -> mcp.ListToolsResult:
        return mcp.ListToolsResult(tools=described)

    async def call_tool(at: ServerRequestContext[Any], params: mcp.CallToolRequestParams) -> mcp.CallToolResult:
        assert at.request is not None
        call = call_of(at.request.scope)
        tool = tools.get(params.name)
        if tool is None:
            raise MCPError(code=mcp.INVALID_PARAMS, message="there is no such tool")

        async def report(progress: float, words: str) -> None:
            await at.session.report_progress(progress, message=words)

        call.tool = tool.name
        time_budget.begin()
        try:
            given = arguments(params.arguments, tool.takes)
            answer = await tool.run(ToolContext(ctx, call, str(at.request_id), report), given)
            return answer.result()
        except PlatformError as error:
            refused = error
        except OUT_OF_REACH as error:
            _LOG.warning("a tool met trouble", tool=tool.name, error=type(error).__name__)
            refused = Unavailable("please retry later", retry_after_s=2)
        except Exception:  # noqa: BLE001 - a model reads that it failed, the log why
            _LOG.exception("a tool failed", tool=tool.name)
            refused = PlatformError("please retry later")
        call.refused, call.arguments = refused, msgspec.json.encode(params.arguments or {})
        return failed(ctx.settings, refused)

    release = version("modellix-server")
    server: Server[Any] = Server(
        NAME,
        version=release,
        title=NAME,
        instructions=_INSTRUCTIONS,
        website_url=ctx.settings.docs_origin,
        cache_hints={"tools/list": CacheHint(300_000, "public")},
        get_tool_input_schema=schemas.get,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
    return server, card(NAME, release, described, [])
