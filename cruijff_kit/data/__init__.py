"""pure: loaders, format detection, prompt templates, splits, generators, tokens-and-labels"""
