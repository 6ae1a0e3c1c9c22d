"""How money comes in: redemption codes, recharges through a payment provider, alerts about balances.

Knows no ledger: it says what a code or a payment is worth, and operations move the money in the same transaction.
"""

from modellix_server.billing.alerts import (
    BalanceAlert,
    add_alert,
    alerts_of,
    delete_alert,
    is_told_of_budgets,
    members_told_of_budgets,
    take_crossed,
    tell_of_budgets,
)
from modellix_server.billing.codes import (
    MOST_CODES,
    CodeBatch,
    CodeRefused,
    RedeemedCode,
    TooManyGuesses,
    count_guess,
    create_batch,
    list_batches,
    new_code,
    redeem,
    revoke_batch,
)
from modellix_server.billing.gateways import Gateways
from modellix_server.billing.provider import (
    MICROS_PER_CENT,
    Checkout,
    ForgedEvent,
    Payment,
    PaymentEvent,
    PaymentProvider,
    PaymentsOff,
    ProviderFailed,
    RechargeOrder,
)
from modellix_server.billing.recharges import (
    MOST_MICROS,
    Recharge,
    add,
    find,
    find_at,
    list_recharges,
    lock,
    note_checkout,
    note_event,
    save,
    with_debt,
)
from modellix_server.billing.rules import RechargeChange, bring_up_to_date
