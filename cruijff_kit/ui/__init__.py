"""a face: pages in a browser of this machine, which look at runs and change none"""
