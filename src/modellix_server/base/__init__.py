"""Things that know no business word: settings, database, errors, money, time, ids, outbound HTTP."""
