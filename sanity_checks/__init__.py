"""smallest experiments with known answers: a design and the band its result must fall in"""
