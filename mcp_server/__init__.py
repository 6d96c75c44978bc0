"""a face: one tool per verb over stdio"""
