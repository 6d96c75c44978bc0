"""seeded generators of data sets, one file each, and their registry"""
