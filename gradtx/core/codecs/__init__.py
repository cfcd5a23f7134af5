"""How the numbers of slots are kept in few bits."""
