"""Guards of the front, as in `source_mutations`."""

from __future__ import annotations

from tests.support.source_mutations import Mutation

FRONT_MUTATIONS = (
    Mutation(
        "who says nothing at all has ten seconds",
        "api/hot/connection_clock.py",
        "(_IDLE_LIMIT_S if self._asked else HEAD_LIMIT_S)",
        "_IDLE_LIMIT_S",
        ("tests/api/test_protocol.py::test_who_keeps_us_waiting_is_cut_off",),
    ),
    Mutation(
        "when files run short the idle have to go",
        "api/hot/connection_limit.py",
        "            self._reclaim(now, connections)",
        "            pass",
        ("tests/api/test_connection_limit.py::test_who_has_to_go",),
    ),
    Mutation(
        "calls of unknown callers are sampled",
        "requestlog/sampling.py",
        "if self._rows <= _MOST_ROWS and self._characters <= _MOST_CHARACTERS:",
        "if self._rows:",
        ("tests/requestlog/test_sampling.py::test_a_flood_is_a_few_rows_and_its_number",),
    ),
    Mutation(
        "between two turns others go on",
        "base/turn_queue.py",
        "            self._pause(loop, _PAUSES - 1)",
        "            self._pause(loop, 0)",
        ("tests/base/test_turn_queue.py::test_between_two_turns_the_loop_goes_round_some_times",),
    ),
    Mutation(
        "hundreds that open a local file share a few threads",
        "results/storage.py",
        "async with self._reads if self._folder is not None else nullcontext():",
        "async with nullcontext():",
        ("tests/results/test_results_storage.py::test_hundreds_of_readers_of_local_files_share_a_few_threads",),
    ),
    Mutation(
        "searches of one address take turns with those of others",
        "docsite/finding.py",
        "await self._turns.acquire(who)",
        "await self._turns.acquire(None)",
        ("tests/docsite/test_finding.py::test_who_asks_much_takes_turns_with_who_asks_once",),
    ),
    Mutation(
        "a search whose process has ended is asked again",
        "docsite/live.py",
        "_TRIES = 2",
        "_TRIES = 1",
        ("tests/docsite/test_finding.py::test_the_end_of_the_process_is_not_seen",),
    ),
    Mutation(
        "a process that searches and hangs is ended",
        "docsite/finding.py",
        "        if self._asked:\n            self.kill()",
        "",
        ("tests/docsite/test_finding.py::test_a_process_that_hangs_is_given_up",),
    ),
    Mutation(
        "a page that was rendered keeps nothing of its request",
        "web/page_template.py",
        "                one.vars.clear()",
        "                pass",
        ("tests/web/test_page_template.py::test_a_page_that_was_rendered_keeps_nothing_of_its_request",),
    ),
    Mutation(
        "who asks often takes turns with the others",
        "base/turn_queue.py",
        "            who = next(iter(self._waiting))",
        "            who = max(self._waiting, key=lambda one: len(self._waiting[one]))",
        ("tests/base/test_turn_queue.py::test_who_asks_again_and_again_takes_turns_with_the_others",),
    ),
    Mutation(
        "a body does not come in thousands of tiny chunks",
        "api/hot/client_connection.py",
        "if self._parts > _MANY_PARTS and",
        "if False and",
        ("tests/api/test_protocol.py::test_what_cannot_be_answered_is_refused_in_json_and_ends_the_connection",),
    ),
    Mutation(
        "thousands of small parts take turns",
        "api/hot/protocol.py",
        "if self._parts > _MANY_PARTS or at == _MANY_BYTES:",
        "if False:",
        ("tests/api/test_protocol.py::test_a_body_of_small_parts_comes_whole_and_others_go_on_meanwhile",),
    ),
    Mutation(
        "no more of a body is read than its endpoint takes",
        "api/hot/protocol.py",
        "if self._receiving is not None and self._receiving.is_full:",
        "if False:",
        ("tests/api/test_protocol.py::test_no_more_of_a_body_is_read_than_its_endpoint_takes",),
    ),
    Mutation(
        "what is no body after the answer ends the connection",
        "api/hot/protocol.py",
        "            if broken.complete:\n                self._linger()\n            elif",
        "            if",
        ("tests/api/test_protocol.py::test_what_is_no_body_after_the_answer_ends_the_connection",),
    ),
    Mutation(
        "a refusal that is kept keeps no frames",
        "api/hot/protocol.py",
        "cause.with_traceback(None) if",
        "cause if",
        ("tests/api/test_protocol.py::test_nothing_is_kept_of_a_connection_that_has_gone",),
    ),
    Mutation(
        "memory of large bodies goes back when their connections have gone",
        "api/hot/connection_clock.py",
        "sum(1 + connection.clock.heard_bytes // _AS_ONE_MORE_BYTES for connection in connections)",
        "len(connections)",
        ("tests/api/test_protocol.py::test_the_memory_of_a_large_body_goes_back_when_its_connection_has_gone",),
    ),
    Mutation(
        "what is slow to parse is parsed in small pieces",
        "base/aside.py",
        "_PIECE_S / max(spent_s, 1e-9)",
        "_MOST_GROWTH",
        ("tests/base/test_aside.py::test_data_is_taken_in_pieces_that_compute_about_a_millisecond",),
    ),
    Mutation(
        "a form has not thousands of parts",
        "base/multipart.py",
        "if self._begun > _MOST_PARTS:",
        "if False:",
        ("tests/base/test_multipart.py::test_a_form_of_many_parts_is_refused_at_the_first_too_many",),
    ),
)
