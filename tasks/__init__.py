"""inspect-ai tasks, one folder each; their generators live in data/generators"""
