-- Called by other functions only, which have followed.
drop function if exists budgets.hold(bigint[], boolean[], bigint[], uuid[], bigint[]);
