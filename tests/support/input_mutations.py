"""Guards of what people send and vendors answer; as in `source_mutations`."""

from __future__ import annotations

from tests.support.source_mutations import Mutation

INPUT_MUTATIONS = (
    Mutation(
        "a link goes out as it was given",
        "base/outbound.py",
        "{link.target} HTTP/1.1",
        "{link.target.replace('%2F', '/')} HTTP/1.1",
        ("tests/base/test_outbound_links.py::test_a_link_is_asked_for_byte_for_byte",),
    ),
    Mutation(
        "a count of zero costs nothing",
        "catalogue/price.py",
        "if not 0 <= units <=",
        "if not 0 < units <=",
        ("tests/tasks/test_rules.py::test_the_charge_is_the_smaller_count",),
    ),
    Mutation(
        "a coded body is decoded in small pieces",
        "base/content_coding.py",
        'piece = inflate.feed(message.get("body", b""), _PIECE_BYTES)',
        'piece = inflate.feed(message.get("body", b""), 1 << 40)',
        ("tests/base/test_content_coding.py::test_a_body_that_grows_is_given_in_small_pieces",),
    ),
    Mutation(
        "a scratch file takes no file that connections need",
        "results/spool.py",
        "or not self._files_left:",
        "or self._files_left < -1_000_000:",
        ("tests/results/test_results_spool.py::test_scratch_files_take_few_of_the_files_that_may_be_open",),
    ),
    Mutation(
        "a sender does not say how much a decoder remembers",
        "base/answer_coding.py",
        "zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})",
        "zstd.ZstdDecompressor()",
        ("tests/base/test_content_coding.py::test_an_answer_may_not_ask_for_much_memory",),
    ),
    Mutation(
        "a 429 took nothing on",
        "upstreams/adapters/_reading.py",
        "if answer.status == 429:",
        "if answer.status == 0:",
        ("tests/contract/test_statuses.py::test_a_429_took_nothing_on_whatever_it_says",),
    ),
    Mutation(
        "a link with a password is refused",
        "catalogue/media.py",
        "if _CREDENTIALS.match(text):",
        "if False:",
        ("tests/catalogue/test_check.py::test_the_shapes_of_media",),
    ),
)
