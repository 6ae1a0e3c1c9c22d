"""The room without business words: settings, database, errors, money, time, ids, outbound HTTP."""
