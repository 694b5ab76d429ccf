"""Where exits hang: the places there are, what each is worth, and which of them to keep."""
