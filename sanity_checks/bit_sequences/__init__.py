"""parity, noisy parity and a coin: what can be learnt is learnt, and no more"""
