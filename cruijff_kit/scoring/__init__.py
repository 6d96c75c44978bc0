"""pure: answer -> score; calibration, conformal, risk control, groups, intervals"""
