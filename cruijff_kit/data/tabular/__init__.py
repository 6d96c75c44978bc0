"""tables to text: readers, schema, features, styles, perturbations, splits"""
