-- Called by other functions only, which have followed.
drop function if exists ledger.hold(bigint[], boolean[], bigint[], uuid[], bigint[]);
drop function if exists ledger.hold(bigint[], boolean[], bigint[], uuid[], bigint[], text[]);
