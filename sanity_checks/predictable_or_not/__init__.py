"""questions and answers that can be foretold or not, with prompts learnt or not"""
