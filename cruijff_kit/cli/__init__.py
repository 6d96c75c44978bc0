"""a face: arguments in, table or JSON out"""
