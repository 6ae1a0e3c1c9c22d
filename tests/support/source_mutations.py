"""Guards of the source, each with what is left when it is gone, and the tests that must notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """One guard taken away."""

    name: str
    file: str
    """Below src/modellix_server."""
    guard: str
    instead: str
    tests: tuple[str, ...]
    """At least one of them must fail."""


SETTLE = "tests/tasks/test_settle.py"
ACCEPT = "tests/tasks/test_accept.py"
BUDGETS = "tests/budgets/test_budgets.py"
KEY_LIMITS = "tests/identity/test_key_limits.py"
ADVANCE_SQL = "tasks/functions/advance.sql"
SETTLE_SQL = "tasks/functions/settle.sql"
CLAIM_SQL = "tasks/functions/claim.sql"
DEAD_WORKERS_SQL = "tasks/functions/release_dead_workers.sql"
ACCEPT_SQL = "tasks/functions/accept.sql"
HOLD_SQL = "ledger/functions/hold.sql"
LEDGER_TABLES = "ledger/migrations/0003_ledger.sql"
CARRY_SQL = "ledger/functions/advance_checkpoint.sql"

MUTATIONS = (
    Mutation(
        "a move looks at the state",
        ADVANCE_SQL,
        "where t.id = w.task_id and t.epoch = w.epoch and t.state = w.was and t.owner = p_worker",
        "where t.id = w.task_id and t.epoch = w.epoch and t.owner = p_worker and t.finished_at is null",
        (f"{SETTLE}::test_a_move_from_another_state_is_none",),
    ),
    Mutation(
        "a move looks at the epoch",
        ADVANCE_SQL,
        "where t.id = w.task_id and t.epoch = w.epoch and t.state = w.was and t.owner = p_worker",
        "where t.id = w.task_id and t.state = w.was and t.owner = p_worker",
        (f"{SETTLE}::test_an_earlier_claim_of_one_s_own_changes_nothing",),
    ),
    Mutation(
        "a move looks at the owner",
        ADVANCE_SQL,
        "where t.id = w.task_id and t.epoch = w.epoch and t.state = w.was and t.owner = p_worker",
        "where t.id = w.task_id and t.epoch = w.epoch and t.state = w.was",
        (f"{SETTLE}::test_a_former_owner_changes_nothing",),
    ),
    Mutation(
        "an ending looks at the state",
        SETTLE_SQL,
        "where t.id = w.task_id and t.epoch = w.epoch and t.state = w.was",
        "where t.id = w.task_id and t.epoch = w.epoch",
        (f"{SETTLE}::test_a_move_from_another_state_is_none", f"{SETTLE}::test_a_task_ends_once_whoever_races"),
    ),
    Mutation(
        "an ending looks at the owner",
        SETTLE_SQL,
        "and t.owner is not distinct from p_worker",
        "",
        (f"{SETTLE}::test_an_ending_is_the_owner_s",),
    ),
    Mutation(
        "an ending looks at the epoch",
        SETTLE_SQL,
        "where t.id = w.task_id and t.epoch = w.epoch and t.state = w.was",
        "where t.id = w.task_id and t.state = w.was",
        (f"{SETTLE}::test_an_earlier_claim_of_one_s_own_changes_nothing",),
    ),
    Mutation(
        "a claim takes nobody's task",
        CLAIM_SQL,
        "where owner is null and finished_at is null and due_at <= now()",
        "where finished_at is null and due_at <= now()",
        (f"{SETTLE}::test_two_workers_never_claim_one_task",),
    ),
    Mutation(
        "a submission waits for its lease",
        DEAD_WORKERS_SQL,
        "where t.finished_at is null and (s.lapsed or t.state <> 'submitting')",
        "where t.finished_at is null",
        (f"{SETTLE}::test_a_submission_on_its_way_waits_for_the_lease",),
    ),
    Mutation(
        "nobody is dead right after a start of the database",
        DEAD_WORKERS_SQL,
        "if pg_postmaster_start_time() > now() - make_interval(secs => p_grace_s) then",
        "if false then",
        (f"{SETTLE}::test_nobody_is_dead_right_after_a_database_start",),
    ),
    Mutation(
        "the intent comes before the POST",
        "tasks/executor.py",
        """                if not await self._move(intent):
                    return False
""",
        "",
        ("tests/faults/test_kill_points.py::test_killed_at[intent_committed]",),
    ),
    Mutation(
        "what is found in submitting is not sent again",
        "tasks/rules.py",
        'return state in ("queued", "preparing")',
        "return True",
        ("tests/tasks/test_rules.py::test_only_what_cannot_have_left_is_sent_again",),
    ),
    Mutation(
        "nothing is posted after the lease",
        "tasks/steps/submit.py",
        "if not lease.fresh():",
        "if False:",
        ("tests/tasks/test_executor.py::test_nothing_is_posted_without_a_fresh_lease",),
    ),
    Mutation(
        "a lost answer is no refusal",
        "tasks/steps/submit.py",
        "except NotSent as error:",
        "except (NotSent, AnswerLost) as error:",
        ("tests/tasks/test_executor.py::test_a_lost_answer_ends_the_task_and_is_not_sent_again",),
    ),
    Mutation(
        "an answer that comes too late is told",
        "tasks/steps/submit.py",
        """, too_late=f"the vendor's id is {ticket}")""",
        ")",
        ("tests/tasks/test_late_results.py::test_an_id_that_came_after_the_judgement_is_looked_at_too",),
    ),
    Mutation(
        "a hold fits",
        HOLD_SQL,
        " and b.posted - b.held >= w.total",
        "",
        ("tests/ledger/test_guards.py::test_a_hold_fits_without_the_table_s_check",),
    ),
    Mutation(
        "a balance is never below its holds",
        LEDGER_TABLES,
        "    check (held >= 0),\n    check (posted - held >= 0)\n",
        "    check (held >= 0)\n",
        (f"{ACCEPT}::test_corrections_never_go_below_zero", "tests/ledger/test_state_machine.py"),
    ),
    Mutation(
        "a hold ends once",
        LEDGER_TABLES,
        "create unique index transfer_closes_once on ledger.transfer (task_id) where closes;\n",
        "",
        ("tests/ledger/test_guards.py::test_a_hold_ends_once_whatever_it_was_ended_by",),
    ),
    Mutation(
        "an entry of a task is made once",
        LEDGER_TABLES,
        "create unique index transfer_once on ledger.transfer (task_id, kind) where task_id is not null;\n",
        "create index transfer_once on ledger.transfer (task_id, kind) where task_id is not null;\n",
        ("tests/ledger/test_guards.py::test_one_hold_a_task",),
    ),
    Mutation(
        "accepting waits for the balance",
        ACCEPT_SQL,
        "    perform ledger.lock(batch.team_id, batch.live);\n",
        "",
        (f"{ACCEPT}::test_three_processes_and_slots_for_seven",),
    ),
    Mutation(
        "slots are counted",
        ACCEPT_SQL,
        "when waiting = 0 and running + place <= slots then 'accepted'",
        "when waiting = 0 then 'accepted'",
        (f"{ACCEPT}::test_slots_are_exact_and_refused_after_money",),
    ),
    *(
        Mutation(
            f"all are accepted at once only where {what}",
            ACCEPT_SQL,
            guard,
            instead,
            (f"{ACCEPT}::test_who_is_accepted_at_once_would_be_accepted_one_by_one",),
        )
        for what, guard, instead in (
            ("the keys are active", "key_id in (select k from identity.active_keys(batch.key_id) k)", "true"),
            ("the money is there", "a.asked <= b.available and s.waiting", "s.waiting"),
            ("nobody waits", "s.waiting = 0 and s.running + a.more", "s.running + a.more"),
            ("there are slots", "s.running + a.more <= a.slots", "true"),
        )
    ),
    Mutation(
        "nobody passes those that wait",
        ACCEPT_SQL,
        "when waiting = 0 and running + place <= slots then 'accepted'",
        "when running + place <= slots then 'accepted'",
        ("tests/tasks/test_waiting.py::test_nobody_passes_those_that_wait",),
    ),
    Mutation(
        "a key seen twice in a batch is one request",
        ACCEPT_SQL,
        "            when twin then 'again'\n",
        "",
        (f"{ACCEPT}::test_fifty_parallel_submits_with_one_key_make_one_task",),
    ),
    Mutation(
        "a key stands for one request",
        ACCEPT_SQL,
        "when known is not null and known_fingerprint = fingerprint then 'replayed'",
        "when known is not null then 'replayed'",
        (f"{ACCEPT}::test_a_key_names_one_request_of_one_team",),
    ),
    Mutation(
        "a key is its team's",
        ACCEPT_SQL,
        "left join tasks.idempotency i on i.team_id = a.team_id and i.live = a.live\n",
        "left join tasks.idempotency i on i.live = a.live\n",
        (f"{ACCEPT}::test_a_key_names_one_request_of_one_team",),
    ),
    Mutation(
        "a revoked API key accepts nothing",
        ACCEPT_SQL,
        "            when not active then 'revoked'\n",
        "",
        (f"{ACCEPT}::test_revocation_takes_effect_at_once",),
    ),
    Mutation(
        "an expired API key accepts nothing",
        "identity/functions/active_keys.sql",
        " and (k.expires_at is null or k.expires_at > now())",
        "",
        (f"{KEY_LIMITS}::test_a_key_is_refused_from_its_expiry_on_also_out_of_a_cache",),
    ),
    Mutation(
        "a key's former text works until the overlap ends",
        "identity/functions/texts_of_keys.sql",
        " and r.ends_at > now()",
        "",
        (f"{KEY_LIMITS}::test_both_texts_work_until_the_overlap_ends",),
    ),
    Mutation(
        "a cached caller expires in time",
        "identity/callers.py",
        "_TTL_S if lasts_s is None else min(_TTL_S, lasts_s)",
        "_TTL_S",
        (f"{KEY_LIMITS}::test_a_key_is_refused_from_its_expiry_on_also_out_of_a_cache",),
    ),
    Mutation(
        "a submission fits into its key's budget",
        ACCEPT_SQL,
        "            and quote <= least(coalesce(available, 0), left_of_key[ord]) as candidate",
        "            and quote <= coalesce(available, 0) as candidate",
        (f"{BUDGETS}::test_one_batch_is_judged_by_what_is_left",),
    ),
    Mutation(
        "neighbours share their key's budget",
        ACCEPT_SQL,
        "when spent > available or asked_of_key[ord] > left_of_key[ord] then 'again'",
        "when spent > available then 'again'",
        (f"{BUDGETS}::test_one_batch_is_judged_by_what_is_left",),
    ),
    Mutation(
        "what ended counts in its budget as charged",
        SETTLE_SQL,
        "if exists (select from budgets.charged(p_task)) then",
        "if false then",
        (f"{BUDGETS}::test_any_order_of_accept_settle_and_change_adds_up",),
    ),
    Mutation(
        "a key submits only what it may use",
        "operations/submissions.py",
        "    _require_allowed(who, model)\n    if key is not None",
        "    if key is not None",
        ("tests/journeys/test_key_limits.py::test_a_model_that_the_key_may_not_use_is_refused_at_quote_and_submit",),
    ),
    Mutation(
        "an accept whose answer was lost is looked up",
        "tasks/submit.py",
        "found.append(Accepted(s.task_id) if known else await self._offer_alone(s))",
        "found.append(_unreachable())",
        (f"{ACCEPT}::test_a_lost_answer_of_the_database_is_resolved_by_the_ids",),
    ),
    Mutation(
        "the smaller count is charged",
        "tasks/rules.py",
        "return Charge(min(ours, theirs), f",
        "return Charge(max(ours, theirs), f",
        ("tests/tasks/test_rules.py::test_the_charge_is_the_smaller_count",),
    ),
    Mutation(
        "the quote is the most",
        "catalogue/price.py",
        "return min(_amount(quote.unit, quote.unit_micros, units), quote.amount_micros)",
        "return _amount(quote.unit, quote.unit_micros, units)",
        ("tests/catalogue/test_price.py::test_never_above_the_quote_and_never_negative",),
    ),
    Mutation(
        "a task is read by its own team",
        "tasks/read.py",
        "t.team_id = a.team_id and t.live = a.live",
        "t.live = a.live",
        (f"{SETTLE}::test_reads_see_their_team_their_mode_and_their_time",),
    ),
    Mutation(
        "a callback carries our mark",
        "tasks/signals.py",
        "if found is None or not hmac.compare_digest(found[4], self._mark(upstream, found[1])):",
        "if found is None:",
        ("tests/tasks/test_callbacks.py::test_an_address_stands_for_one_attempt_of_one_vendor",),
    ),
    Mutation(
        "a result link carries our mark",
        "results/links.py",
        "if not hmac.compare_digest(_sign(settings, path, proof[1]), proof[2]) or int(proof[1]) <= time.time():",
        "if int(proof[1]) <= time.time():",
        ("tests/results/test_results_links.py::test_any_change_to_a_link_breaks_it",),
    ),
    Mutation(
        "inner addresses are denied",
        "base/addresses.py",
        '        "169.254.0.0/16",  # link-local, cloud metadata\n',
        "",
        ("tests/base/test_outbound_addresses.py::test_inner_addresses_are_denied",),
    ),
    Mutation(
        "a task that kills its workers is set aside",
        "tasks/rules.py",
        "return deaths >= _MOST_DEATHS",
        "return False",
        ("tests/tasks/test_executor.py::test_a_task_that_killed_three_workers_is_set_aside",),
    ),
    Mutation(
        "a mark waits for numbers that are committed late",
        CARRY_SQL,
        "if at.ahead_xid <= pg_snapshot_xmin(pg_current_snapshot()) and at.ahead > at.up_to then",
        "if at.ahead > at.up_to then",
        ("tests/ledger/test_monitor.py::test_numbers_that_are_committed_late_are_waited_for",),
    ),
    Mutation(
        "a frozen account takes no new tasks",
        "operations/submissions.py",
        "if ctx.frozen(submission.team_id, submission.live) else None",
        "if False else None",
        ("tests/journeys/test_frozen_accounts.py::test_a_frozen_account",),
    ),
    Mutation(
        "a seal is compared with what is there",
        "operations/reconciliation.py",
        "if (now := await seal.of(db, sealed.after, sealed.up_to)) != sealed:",
        "if (now := await seal.of(db, sealed.after, sealed.up_to)).count != sealed.count:",
        ("tests/operations/test_reconciliation.py::test_a_forger_who_mends_every_sum_is_found_by_the_seal",),
    ),
    Mutation(
        "a request waits once for all that it asks",
        "base/database.py",
        "async with asyncio.timeout(limit.left_s), self._acquire() as connection:",
        "async with self._acquire() as connection:",
        ("tests/base/test_time_budget.py::test_several_statements_have_one_time_budget",),
    ),
    Mutation(
        "a payment is compared with its recharge",
        "billing/rules.py",
        "    if payment.amount != known.amount:",
        "    if payment.amount < 0:",
        ("tests/billing/test_rules.py::test_anything_else_is_refused_for_good",),
    ),
    Mutation(
        "a record that was overtaken is read again",
        "operations/recharges.py",
        "if locked is None or locked.version != known.version:",
        "if locked is None:",
        ("tests/operations/test_recharges.py::test_an_answer_that_was_overtaken_gives_nothing_back",),
    ),
    Mutation(
        "a code is used up once",
        "billing/codes.py",
        "b.id = c.batch_id and c.redeemed_at is null and b.live = $3",
        "b.id = c.batch_id and b.live = $3",
        ("tests/billing/test_codes.py::test_a_refusal_that_is_committed_changes_nothing",),
    ),
    Mutation(
        "whoever saves a price has seen the latest",
        "operations/prices.py",
        "if row.version > seen and wish.touches(row)",
        "if row.version < 0",
        ("tests/console/test_operator.py::test_a_price_is_previewed_and_the_second_of_two_people_is_told",),
    ),
    Mutation(
        "a credit that is sent twice counts once",
        "operations/money.py",
        "if seen != await ledger.last_funding(tx, of.team_id, live=of.live):",
        "if seen < 0:",
        ("tests/console/test_operator.py::test_a_team_gets_credit_once_with_a_reason_and_limits",),
    ),
)
