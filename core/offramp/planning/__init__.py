"""Planning: from a situation to a plan."""
