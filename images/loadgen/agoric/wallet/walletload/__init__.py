"""The load driver of smart wallets: Python 3.9, standard library only."""
