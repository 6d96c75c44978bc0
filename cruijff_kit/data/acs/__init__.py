"""American Community Survey: its tasks, words for its codes, rows of a person file, and a population made up"""
