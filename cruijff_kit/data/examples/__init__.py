"""example data sets that come with the package, made by a seeded generator of its own and free for any use"""
