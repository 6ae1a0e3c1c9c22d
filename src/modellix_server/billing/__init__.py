"""How money comes in: redemption codes.

Knows no ledger: it says what a code is worth, and operations move the money in the same transaction.
"""

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
