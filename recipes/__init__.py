"""hackable single files, one per backend, method and scale"""
