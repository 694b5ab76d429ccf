"""Live runs: the rows of a record, by real processes over shaped links, in the time that they take."""
